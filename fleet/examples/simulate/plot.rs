//! A plot as SVG: how soon circuits open, and what the server has to do.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::{KINDS, Outcome, SIZES};

/// The width and the height of a panel, in pixels.
const SIZE: (u32, u32) = (460, 330);

/// People who do not see all colours can tell these apart, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

const TEXT: (&str, u32) = ("sans-serif", 12);
const CAPTION: (&str, u32) = ("sans-serif", 15);

/// Of so many instances, the plot shows when their circuits open.
const SHOWN: usize = 500;

/// For so many seconds.
const LONGEST: f64 = 20.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(crate) fn draw(outcomes: &[Outcome], file: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (2 * SIZE.0, SIZE.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0);
    draw_openings(outcomes, &left)?;
    draw_exchanges(outcomes, &right)?;
    Ok(root.present()?)
}

fn draw_openings(outcomes: &[Outcome], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(format!("Circuits that are open, of {SHOWN} instances"), CAPTION)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..LONGEST, 0.0..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(TEXT)
        .axis_desc_style(TEXT)
        .x_desc("seconds since the dependency fails")
        .y_desc("% have opened")
        .y_label_formatter(&|percent| format!("{percent:.0}"))
        .draw()?;
    let shown = outcomes.iter().filter(|it| it.instances == SHOWN);
    for (outcome, colour) in shown.zip(COLOURS) {
        let all = outcome.instances as f64;
        let opened = outcome.opened.iter().enumerate();
        let points = opened.map(|(n, at)| (at.as_secs_f64(), 100.0 * (n + 1) as f64 / all));
        let points = points.take_while(|(at, _)| *at <= LONGEST);
        let stroke = ShapeStyle::from(colour).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, stroke))?
            .label(outcome.kind.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], stroke));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(TEXT)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

fn draw_exchanges(outcomes: &[Outcome], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let of_fleets = outcomes.iter().filter(|it| it.kind.name == KINDS[1].name);
    let points: Vec<(f64, f64)> =
        of_fleets.map(|it| (it.instances as f64, it.exchanges_per_second)).collect();
    let (most, largest) =
        (points.iter().map(|(_, y)| *y).fold(1.0, f64::max), SIZES[SIZES.len() - 1]);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption("What the server has to do while all is well", CAPTION)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..1.05 * largest as f64, 0.0..1.1 * most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(TEXT)
        .axis_desc_style(TEXT)
        .x_desc("instances")
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_desc("exchanges per second")
        .y_label_formatter(&|n| format!("{n:.0}"))
        .draw()?;
    let stroke = ShapeStyle::from(COLOURS[1]).filled().stroke_width(2);
    chart.draw_series(LineSeries::new(points, stroke).point_size(3))?;
    Ok(())
}
