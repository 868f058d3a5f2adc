//! The states of the circuits over time, as bars.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use plotters::prelude::*;
use tower_breaker::State;
use tower_breaker::replay::{Call, Report};

use super::chart::{Area, BELOW, Drawn, FONT, GREEN, LEFT, PURPLE, RED, Unit, axis};
use crate::text::visible;

pub(super) const STATES: [(&str, RGBColor); 3] =
    [("closed", GREEN), ("half-open", PURPLE), ("open", RED)];

/// Into how many columns the time is divided. In each, the state is shown that lasted longest.
const COLUMNS: usize = 800;

/// More circuits than this are only counted.
const MOST_CIRCUITS: usize = 12;

/// The states of one circuit.
pub(super) struct Bar {
    name: String,
    /// The first column of each state, the column after its last one, and the state.
    runs: Vec<(usize, usize, usize)>,
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
    let own = report.transitions().iter().filter(|it| it.key == *key);
    let mut lengths = vec![[Duration::ZERO; STATES.len()]; COLUMNS];
    let (mut since, mut state) = (Duration::ZERO, State::Closed);
    for transition in own {
        add(&mut lengths, report.duration(), since..transition.at, state);
        (since, state) = (transition.at, transition.to);
    }
    add(&mut lengths, report.duration(), since..report.duration().max(since), state);
    let longest = |lengths: &[Duration; STATES.len()]| {
        // Of equal ones, the last: an open circuit is what one looks for.
        (0..STATES.len()).max_by_key(|state| lengths[*state]).unwrap_or_default()
    };
    let columns: Vec<usize> = lengths.iter().map(longest).collect();
    let mut end = 0;
    let runs = columns.chunk_by(|a, b| a == b).map(|run| {
        let start = end;
        end += run.len();
        (start, end, run[0])
    });
    let name: String = key.chars().take(40).map(visible).collect();
    Bar { name, runs: runs.collect() }
}

/// Adds a time in a state to the columns that it is in.
fn add(
    columns: &mut [[Duration; STATES.len()]],
    whole: Duration,
    time: Range<Duration>,
    state: State,
) {
    let state = match state {
        State::Closed => 0,
        State::HalfOpen => 1,
        State::Open => 2,
    };
    let width = (whole / COLUMNS as u32).max(Duration::from_nanos(1));
    let column = |at: Duration| ((at.as_nanos() / width.as_nanos()) as usize).min(COLUMNS - 1);
    let (first, last) = (column(time.start), column(time.end));
    for (column, i) in columns[first..=last].iter_mut().zip(first..) {
        let start = time.start.max(width * i as u32);
        let end = if i == last { time.end } else { time.end.min(width * (i as u32 + 1)) };
        column[state] += end.saturating_sub(start);
    }
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
        let x = |column: usize| unit.value(length) * column as f64 / COLUMNS as f64;
        chart.draw_series(bar.runs.iter().map(|(start, end, state)| {
            let corners = [(x(*start), bottom), (x(*end), bottom + thickness)];
            Rectangle::new(corners, STATES[*state].1.filled())
        }))?;
        let at = (0.0, bottom + 0.95);
        chart.draw_series([Text::new(bar.name.clone(), at, FONT)])?;
    }
    Ok(())
}
