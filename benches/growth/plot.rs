//! Plots as SVG: sizes on a logarithmic x axis, and nanoseconds from 0 on the y axis.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) x_axis: &'static str,
    pub(crate) lines: Vec<Line>,
}

pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// Sizes, and the nanoseconds of each.
    pub(crate) points: Vec<(u32, f64)>,
}

/// The width and the height of a panel, in pixels.
const SIZE: (u32, u32) = (460, 330);

/// People who do not see all colours can tell these apart, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

const TEXT: (&str, u32) = ("sans-serif", 12);

/// Draws two panels in a row.
pub(crate) fn draw(panels: &[Panel], file: &Path) -> Result<(), Box<dyn Error>> {
    let rows = panels.len().div_ceil(2);
    let root = SVGBackend::new(file, (2 * SIZE.0, rows as u32 * SIZE.1)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((rows, 2)).iter().zip(panels) {
        draw_panel(panel, area)?;
    }
    Ok(root.present()?)
}

fn draw_panel(
    panel: &Panel,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
) -> Result<(), Box<dyn Error>> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let mut sizes: Vec<f64> = points().map(|(size, _)| f64::from(*size)).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let most = points().map(|(_, time)| *time).fold(0.0, f64::max);

    // Room for the outermost points at the sides, and for the legend above the lines.
    let margin = (last / first).powf(0.05);
    let x_axis = (first / margin..last * margin).log_scale().with_key_points(sizes);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(panel.title, ("sans-serif", 15))
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x_axis, 0.0..1.6 * most)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(TEXT)
        .axis_desc_style(TEXT)
        .x_desc(panel.x_axis)
        .x_label_formatter(&|size| grouped(*size as u32))
        .y_desc("ns per call")
        .y_label_formatter(&|time| time.to_string())
        .y_labels(6)
        .draw()?;
    for (line, colour) in panel.lines.iter().zip(COLOURS) {
        let points = line.points.iter().map(|(size, time)| (f64::from(*size), *time));
        let stroke = ShapeStyle::from(colour).filled().stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, stroke).point_size(3))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], stroke));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(TEXT)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

/// `1 000 000`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| str::from_utf8(group).expect("digits")).collect();
    groups.join(" ")
}
