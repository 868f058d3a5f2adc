//! Points that are measured in turn, and their medians.

use std::time::Instant;

use tower_breaker_benches::measure::median;

use crate::plot::{Line, Panel};

pub(crate) const ROUNDS: usize = 51;
/// How many calls are timed in each round. They take less than a time slice of the scheduler.
pub(crate) const CALLS: u32 = 50_000;

/// Measures one point once: nanoseconds per call.
pub(crate) type Measure = Box<dyn FnMut() -> f64>;

/// Does something to one item after the other, again and again.
pub(crate) fn in_turn<T: 'static>(
    mut items: Vec<T>,
    mut action: impl FnMut(&mut T) + 'static,
) -> Measure {
    items.iter_mut().for_each(&mut action); // makes what is made once
    let mut next = 0;
    calls(move |_| {
        action(&mut items[next]);
        next = if next + 1 < items.len() { next + 1 } else { 0 };
    })
}

/// Does something with another number each time.
pub(crate) fn calls(mut action: impl FnMut(u32) + 'static) -> Measure {
    Box::new(move || {
        (0..CALLS / 2).for_each(&mut action); // others have used the caches
        let begin = Instant::now();
        (0..CALLS).for_each(&mut action);
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    })
}

pub(crate) struct Series {
    name: &'static str,
    points: Vec<Point>,
}

struct Point {
    size: u32,
    measure: Measure,
    times: Vec<f64>,
}

pub(crate) fn line(name: &'static str, sizes: &[u32], of: impl Fn(u32) -> Measure) -> Series {
    let point = |size: &u32| Point { size: *size, measure: of(*size), times: Vec::new() };
    Series { name, points: sizes.iter().map(point).collect() }
}

pub(crate) fn panel(
    title: &'static str,
    x_axis: &'static str,
    lines: impl Into<Vec<Series>>,
) -> Panel {
    let mut lines = lines.into();
    for _ in 0..ROUNDS {
        for Point { measure, times, .. } in lines.iter_mut().flat_map(|line| &mut line.points) {
            times.push(measure());
        }
    }
    let middle = |point: Point| (point.size, median(point.times));
    let medians = |Series { name, points }: Series| Line {
        name,
        points: points.into_iter().map(middle).collect(),
    };
    Panel { title, x_axis, lines: lines.into_iter().map(medians).collect() }
}
