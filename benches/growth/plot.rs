//! Plots as SVG: a logarithmic x axis, and nanoseconds from 0 on the y axis.

use std::fmt::Write;

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) x_axis: &'static str,
    pub(crate) lines: Vec<Line>,
}

pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// By size.
    pub(crate) points: Vec<(u32, f64)>,
}

/// Of a panel, with everything around its plot.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 330.0;
/// Where the axes meet, and how far they go from there.
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 225.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 40.0;

/// Told apart by those who see few colours, too (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// Two panels in a row.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let height = HEIGHT * panels.len().div_ceil(2) as f64;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {height}' \
         font-family='sans-serif' font-size='11' fill='#333'>\n\
         <rect width='100%' height='100%' fill='white'/>\n",
        2.0 * WIDTH
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = ((index % 2) as f64 * WIDTH, (index / 2) as f64 * HEIGHT);
        writeln!(svg, "<g transform='translate({x} {y})'>\n{}</g>", draw(panel)).expect(WRITTEN);
    }
    svg + "</svg>\n"
}

const WRITTEN: &str = "a string can be written to";

fn draw(panel: &Panel) -> String {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let step = step(points().map(|(_, time)| *time).fold(0.0, f64::max));
    let steps = points().map(|(_, time)| (time / step).ceil() as u32).max().unwrap_or(1);
    let mut sizes: Vec<u32> = points().map(|(size, _)| *size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let [first, last] = [0, sizes.len() - 1].map(|index| f64::from(sizes[index]).log10());
    let width = if last > first { last - first } else { 1.0 };
    let x =
        |size: u32| LEFT + 15.0 + (f64::from(size).log10() - first) / width * (RIGHT - LEFT - 30.0);
    let y = |time: f64| BOTTOM - time / (f64::from(steps) * step) * (BOTTOM - TOP);

    let mut out = String::new();
    text(&mut out, WIDTH / 2.0, 20.0, "text-anchor='middle' font-size='14'", panel.title);
    for number in 0..=steps {
        let time = f64::from(number) * step;
        let y = y(time);
        let colour = if number == 0 { "#333" } else { "#ddd" };
        writeln!(out, "<path d='M{LEFT} {y:.1}H{RIGHT}' stroke='{colour}'/>").expect(WRITTEN);
        text(&mut out, LEFT - 6.0, y + 4.0, "text-anchor='end'", &time.to_string());
    }
    let turned = "text-anchor='middle' transform='rotate(-90)'";
    text(&mut out, -(TOP + BOTTOM) / 2.0, 18.0, turned, "ns per call");
    for size in sizes {
        text(&mut out, x(size), BOTTOM + 16.0, "text-anchor='middle'", &grouped(size));
    }
    text(&mut out, (LEFT + RIGHT) / 2.0, BOTTOM + 34.0, "text-anchor='middle'", panel.x_axis);

    for (row, (line, colour)) in panel.lines.iter().zip(COLOURS).enumerate() {
        let mut corners = String::new();
        for (size, time) in &line.points {
            let (x, y) = (x(*size), y(*time));
            write!(corners, "{x:.1},{y:.1} ").expect(WRITTEN);
            writeln!(out, "<circle cx='{x:.1}' cy='{y:.1}' r='3' fill='{colour}'/>")
                .expect(WRITTEN);
        }
        let corners = corners.trim_end();
        writeln!(
            out,
            "<polyline points='{corners}' fill='none' stroke='{colour}' stroke-width='2'/>"
        )
        .expect(WRITTEN);
        let y = BOTTOM + 52.0 + 14.0 * row as f64;
        writeln!(out, "<path d='M{LEFT} {y}h20' stroke='{colour}' stroke-width='2'/>")
            .expect(WRITTEN);
        text(&mut out, LEFT + 28.0, y + 4.0, "", line.name);
    }
    out
}

fn text(out: &mut String, x: f64, y: f64, attributes: &str, text: &str) {
    writeln!(out, "<text x='{x:.1}' y='{y:.1}' {attributes}>{text}</text>").expect(WRITTEN);
}

/// Between the lines of the grid: 1, 2 or 5 times a power of ten, so that there are at most five.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| 5.0 * factor * power >= most);
    factor.unwrap_or(10.0) * power
}

/// `1 000 000`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| str::from_utf8(group).expect("digits")).collect();
    groups.join(" ")
}
