//! What happened over time: the calls, the share that fails, and the states of the circuits.

use std::time::Duration;

use plotters::prelude::*;
use tower_breaker::replay::{Call, Fate, Report};
use tower_breaker::{Config, Ending};

use super::chart::{
    Area, BLUE, Drawn, FONT, GREY, LEFT, LIGHT_BLUE, ORANGE, RED, Unit, axis, svg, tick,
};
use super::states::{self, Bar};

/// What becomes of calls, from bottom to top.
pub(super) const CALLS: [(&str, RGBColor); 5] = [
    ("sent, succeeded", BLUE),
    ("sent, failed", RED),
    ("sent, ignored, abandoned or unknown", LIGHT_BLUE),
    ("shed, would have succeeded", ORANGE),
    ("shed, would have failed, or unknown", GREY),
];

/// Into how many columns the time is divided at most.
const MOST_COLUMNS: usize = 150;

pub(super) struct Timeline {
    /// How many calls began in each column, by what became of them.
    columns: Vec<[u32; CALLS.len()]>,
    /// How many of the calls in each column succeed and fail, whether or not they are sent.
    ended: Vec<(u32, u32)>,
    threshold: Option<f64>,
    length: Duration,
    bars: Vec<Bar>,
    circuits: usize,
}

impl Timeline {
    pub(super) fn new(settings: &Config, report: &Report, calls: &[Call]) -> Self {
        let length = report.duration();
        // With few calls in each column, the picture would show where the columns begin rather than the traffic.
        let n = (calls.len() / 8).clamp(20, MOST_COLUMNS);
        let mut columns = vec![[0; CALLS.len()]; n];
        let mut ended = vec![(0, 0); n];
        for (call, fate) in calls.iter().zip(report.fates()) {
            let share = call.at.as_secs_f64() / length.as_secs_f64().max(f64::MIN_POSITIVE);
            let column = ((share * n as f64) as usize).min(n - 1);
            let is_good = call.ending == Some(Ending::Success);
            let is_bad = matches!(call.ending, Some(Ending::Failure | Ending::SoftFailure));
            let row = match (*fate == Fate::Shed, is_good, is_bad) {
                (false, true, _) => 0,
                (false, _, true) => 1,
                (false, _, _) => 2,
                (true, true, _) => 3,
                (true, _, _) => 4,
            };
            columns[column][row] += 1;
            ended[column].0 += u32::from(is_good);
            ended[column].1 += u32::from(is_bad);
        }
        let threshold = serde_json::to_value(settings).ok();
        let threshold = threshold.and_then(|it| it.get("failure_rate_threshold")?.as_f64());
        let bars = states::bars(report, calls);
        Self { columns, ended, threshold, length, bars, circuits: report.circuits() }
    }

    /// Says how many circuits have no bar.
    pub(super) fn left_out(&self) -> Option<String> {
        let more = self.circuits.saturating_sub(self.bars.len());
        (more > 0).then(|| format!("{more} more circuits have no bar here, because they stayed closed or there are too many."))
    }

    pub(super) fn draw(&self, width: u32) -> String {
        let unit = Unit::of(self.length);
        let (calls, rate, states) = (240, 130, states::height(&self.bars));
        svg((width, calls + rate + states), |area| {
            let (above, states) = area.split_vertically(calls + rate);
            let (calls, rate) = above.split_vertically(calls);
            self.draw_calls(&calls, unit)?;
            self.draw_rate(&rate, unit)?;
            states::draw(&self.bars, &states, unit, self.length)
        })
    }

    /// The left and the right side of a column.
    fn sides(&self, column: usize, unit: Unit) -> (f64, f64) {
        let width = unit.value(self.length) / self.columns.len() as f64;
        (column as f64 * width, (column + 1) as f64 * width)
    }

    fn draw_calls(&self, area: &Area<'_>, unit: Unit) -> Drawn {
        let seconds = self.length.as_secs_f64().max(1e-9) / self.columns.len() as f64;
        let all = |column: &[u32; CALLS.len()]| f64::from(column.iter().sum::<u32>()) / seconds;
        let most = self.columns.iter().map(all).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .x_label_area_size(4)
            .y_label_area_size(LEFT)
            .margin_right(12)
            .margin_top(26)
            .build_cartesian_2d(axis(unit.value(self.length)), axis(most * 1.05))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(TRANSPARENT)
            .y_labels(5)
            .y_label_formatter(&tick)
            .label_style(FONT)
            .draw()?;
        area.draw(&Text::new("calls per second", (4, 4), FONT))?;
        for row in 0..CALLS.len() {
            let bars = self.columns.iter().enumerate().filter(|(_, column)| column[row] > 0);
            chart.draw_series(bars.map(|(i, column)| {
                let below = f64::from(column[..row].iter().sum::<u32>()) / seconds;
                let above = below + f64::from(column[row]) / seconds;
                let (left, right) = self.sides(i, unit);
                Rectangle::new([(left, below), (right, above)], CALLS[row].1.filled())
            }))?;
        }
        Ok(())
    }

    fn draw_rate(&self, area: &Area<'_>, unit: Unit) -> Drawn {
        let end = unit.value(self.length);
        let mut chart = ChartBuilder::on(area)
            .x_label_area_size(4)
            .y_label_area_size(LEFT)
            .margin_right(12)
            .margin_top(26)
            .build_cartesian_2d(axis(end), 0.0..103.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(TRANSPARENT)
            .y_labels(3)
            .y_label_formatter(&tick)
            .label_style(FONT)
            .draw()?;
        let title = "% that fail, sent or not (dashed: the threshold)";
        area.draw(&Text::new(title, (4, 4), FONT))?;
        let points = self.ended.iter().enumerate().filter(|(_, (good, bad))| good + bad > 0);
        let line = points.flat_map(|(i, (good, bad))| {
            let (left, right) = self.sides(i, unit);
            let rate = 100.0 * f64::from(*bad) / f64::from(good + bad);
            [(left, rate), (right, rate)]
        });
        chart.draw_series(LineSeries::new(line, RED.stroke_width(2)))?;
        if let Some(threshold) = self.threshold {
            let line = [(0.0, 100.0 * threshold), (end, 100.0 * threshold)];
            chart.draw_series(DashedLineSeries::new(line, 6, 4, BLACK.stroke_width(1)))?;
        }
        Ok(())
    }
}
