//! The states of the circuits over time, as bars.

use std::sync::Arc;
use std::time::Duration;

use plotters::prelude::*;
use tower_breaker::State;
use tower_breaker::replay::{Call, Report};

use super::chart::{Area, BELOW, Drawn, FONT, GREEN, LEFT, RED, Unit, YELLOW, axis};
use super::visible;

pub(super) const STATES: [(&str, RGBColor); 3] =
    [("closed", GREEN), ("half-open", YELLOW), ("open", RED)];

/// More circuits than this are only counted.
const MOST_CIRCUITS: usize = 12;

/// The states of one circuit.
pub(super) struct Bar {
    name: String,
    /// When each state began and ended.
    states: Vec<(Duration, Duration, State)>,
}

/// Returns a bar for each circuit that changed its state, or for the first one if none did.
pub(super) fn bars(report: &Report, calls: &[Call]) -> Vec<Bar> {
    let mut keys: Vec<&Arc<str>> = Vec::new();
    for transition in report.transitions() {
        if keys.len() < MOST_CIRCUITS && !keys.contains(&&transition.key) {
            keys.push(&transition.key);
        }
    }
    if keys.is_empty() {
        keys.extend(calls.first().map(|call| &call.key));
    }
    keys.into_iter().map(|key| bar(key, report)).collect()
}

fn bar(key: &Arc<str>, report: &Report) -> Bar {
    let mut states = Vec::new();
    let (mut since, mut state) = (Duration::ZERO, State::Closed);
    for transition in report.transitions().iter().filter(|it| it.key == *key) {
        states.push((since, transition.at, state));
        (since, state) = (transition.at, transition.to);
    }
    states.push((since, report.duration().max(since), state));
    let name: String = key.chars().take(40).map(visible).collect();
    Bar { name, states }
}

/// The height of the bars, in pixels.
pub(super) fn height(bars: &[Bar]) -> u32 {
    BELOW + 8 + bars.len() as u32 * if has_names(bars) { 40 } else { 28 }
}

fn has_names(bars: &[Bar]) -> bool {
    bars.len() > 1 || bars.iter().any(|bar| !bar.name.is_empty())
}

pub(super) fn draw(bars: &[Bar], area: &Area<'_>, unit: Unit, length: Duration) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(BELOW)
        .y_label_area_size(LEFT)
        .margin_right(12)
        .margin_top(8)
        .build_cartesian_2d(axis(unit.value(length)), 0.0..bars.len() as f64)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .x_labels(6)
        .x_label_formatter(&super::chart::tick)
        .x_desc(unit.name)
        .label_style(FONT)
        .draw()?;
    let thickness = if has_names(bars) { 0.5 } else { 0.9 };
    for (i, bar) in bars.iter().rev().enumerate() {
        let bottom = i as f64;
        chart.draw_series(bar.states.iter().map(|(from, to, state)| {
            let colour = STATES[match state {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            }]
            .1;
            let corners = [(unit.value(*from), bottom), (unit.value(*to), bottom + thickness)];
            Rectangle::new(corners, colour.filled())
        }))?;
        let at = (0.0, bottom + 0.95);
        chart.draw_series([Text::new(bar.name.clone(), at, FONT)])?;
    }
    Ok(())
}
