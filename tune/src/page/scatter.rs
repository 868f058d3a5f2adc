//! The trade-off of all tried settings, as points.

use std::collections::HashSet;
use std::time::Duration;

use plotters::prelude::*;

use super::chart::{BELOW, BLUE, FONT, GREY, LEFT, RED, Unit, axis, svg, tick};

pub(super) const POINTS: [(&str, RGBColor); 3] =
    [("tried", GREY), ("on the Pareto front", BLUE), ("chosen", RED)];

/// A point for each of the settings.
pub(crate) struct Scatter {
    pub(crate) points: Vec<Point>,
    pub(crate) chosen: Point,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) time_to_open: Duration,
    /// The share of the good calls that was shed.
    pub(crate) shed: f64,
    pub(crate) is_on_front: bool,
}

impl Scatter {
    pub(super) fn draw(&self, width: u32) -> String {
        let longest = self.points.iter().map(|point| point.time_to_open).max().unwrap_or_default();
        let unit = Unit::of(longest);
        let most = self.points.iter().map(|point| 100.0 * point.shed).fold(0.0, f64::max);
        let at = |point: &Point| (unit.value(point.time_to_open), 100.0 * point.shed);
        svg((width, 380), |area| {
            let mut chart = ChartBuilder::on(area)
                .x_label_area_size(BELOW)
                .y_label_area_size(LEFT)
                .margin_right(16)
                .margin_top(26)
                .build_cartesian_2d(axis(unit.value(longest) * 1.05), axis(most * 1.05))?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .x_labels(6)
                .y_labels(6)
                .x_label_formatter(&tick)
                .y_label_formatter(&tick)
                .x_desc(format!("time to open, in {}", unit.name))
                .label_style(FONT)
                .draw()?;
            area.draw(&Text::new("% of the good calls shed", (4, 4), FONT))?;
            // One point is enough for those that would be drawn on top of each other.
            let (x_end, y_end) = (axis(unit.value(longest)).end, axis(most).end);
            let cell = |point: &&Point| {
                let (x, y) = at(point);
                let cell = |value: f64, end: f64| (value / end * 400.0) as u32;
                (cell(x, x_end), cell(y, y_end), point.is_on_front)
            };
            let mut seen = HashSet::new();
            let points: Vec<&Point> =
                self.points.iter().filter(|point| seen.insert(cell(point))).collect();
            // The front is drawn last, so that it is on top.
            for is_on_front in [false, true] {
                let points = points.iter().filter(|point| point.is_on_front == is_on_front);
                let (size, colour) = if is_on_front { (4, BLUE) } else { (3, GREY) };
                chart.draw_series(points.map(|it| Circle::new(at(it), size, colour.filled())))?;
            }
            let chosen = at(&self.chosen);
            chart.draw_series([
                Circle::new(chosen, 9, RED.stroke_width(2)),
                Circle::new(chosen, 4, RED.filled()),
            ])?;
            Ok(())
        })
    }
}
