//! What all pictures share.

use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

/// Part of a picture. Its errors cannot happen, because it is a string.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

pub(super) const FONT: (&str, i32) = ("sans-serif", 15);
/// The space for the labels beside and below a chart.
pub(super) const LEFT: u32 = 52;
pub(super) const BELOW: u32 = 44;

pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const RED: RGBColor = RGBColor(213, 94, 0);
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(super) const GREY: RGBColor = RGBColor(150, 150, 150);
pub(super) const LIGHT_BLUE: RGBColor = RGBColor(140, 200, 235);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const PURPLE: RGBColor = RGBColor(204, 121, 167);

/// Draws a picture, as SVG that is as wide as the page lets it be.
pub(super) fn svg((width, height): (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?)).expect("a string can be written");
    }
    text.replacen(&format!("width=\"{width}\" height=\"{height}\" "), "", 1)
}

/// A unit in which a time axis has short numbers.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    seconds: f64,
}

impl Unit {
    pub(super) fn of(longest: Duration) -> Self {
        let (name, seconds) = match longest.as_secs() {
            0..300 => ("seconds", 1.0),
            300..10_800 => ("minutes", 60.0),
            10_800..432_000 => ("hours", 3600.0),
            _ => ("days", 86_400.0),
        };
        Self { name, seconds }
    }

    pub(super) fn value(self, time: Duration) -> f64 {
        time.as_secs_f64() / self.seconds
    }
}

/// An axis that begins at 0 and is never empty.
pub(super) fn axis(most: f64) -> std::ops::Range<f64> {
    0.0..if most > 0.0 { most } else { 1.0 }
}

/// Prints a number on an axis without superfluous decimals.
pub(super) fn tick(value: &f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
