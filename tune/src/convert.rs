//! The command `convert`: access logs become traces.

mod fields;
mod formats;
mod lines;
mod outcomes;
mod time;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tower_breaker::replay::{Call, Trace};

use self::fields::Problem;
use self::formats::{FormatName, Layout, Request};
use self::lines::Lines;
use self::outcomes::{Outcome, Outcomes};
use crate::failure::{Failure, Result, note};
use crate::output;
use crate::traffic::open;

/// Converts an access log into a trace
///
/// A status of 500 or more is a failure, 429 a soft failure, and 499 or 0 means that the caller went away. All others are
/// successes. `--outcome` changes that.
#[derive(Debug, Args)]
#[command(after_help = "\
Formats, with the fields that are read (a field is a word, \"quoted\" or [in brackets]; the first has the number 1):
  nginx      combined with $request_time at its end: time 4, status 6, duration 10. The time is that of the end, either
             [$time_local] or $msec, which is finer
  envoy      Envoy's default: time 1, status 3, duration 7 (in ms), key 12 (the authority). The time is that of the start.
             The flag DC (the caller went away) is abandoned, and UO (Envoy did not make the call) is rejected
  json       JSON lines: time, status, duration, by name (a.b is b in a). The time is that of the end
  openstack  OpenStack's nova-api. Lines of other services are skipped. Tried on the sample of LogHub
             (github.com/logpai/loghub), which is free for research and academic work

A time is RFC 3339, $time_local, or seconds since 1970.

Examples:
  tower-breaker-tune convert --format nginx access.log --output trace.csv
  tower-breaker-tune convert --format nginx access.log --key-field 11 --outcome 404=ignored
  tower-breaker-tune convert --format json --duration-field took_ms --unit ms --key-field upstream < log.jsonl")]
pub(crate) struct Convert {
    /// The access log
    #[arg(value_name = "LOG", default_value = "-")]
    log: PathBuf,
    /// The format of the log
    #[arg(long, value_enum)]
    format: FormatName,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// The key of all calls, instead of a field
    #[arg(long, conflicts_with = "key_field")]
    key: Option<String>,
    /// What a status means, such as 404=ignored or 500-599=failure. Can be given several times, and the last one counts
    #[arg(long, value_name = "STATUS=OUTCOME", value_parser = Outcome::parse)]
    outcome: Vec<Outcome>,
    /// Skip lines that are not in the format, and count them
    #[arg(long)]
    skip_bad_lines: bool,
    #[command(flatten)]
    layout: formats::Overrides,
}

/// A log may be a little out of order. A line that is earlier than another one by more than this is an error.
const MOST_DISORDER_US: i64 = 3600 * 1_000_000;
/// A longer log is an error.
const LONGEST_US: i64 = 20 * 365 * 24 * 3600 * 1_000_000;

impl Convert {
    pub(crate) fn run(self) -> Result<()> {
        let name = output::name(&self.log);
        let mut layout = self.layout.over(self.format);
        if self.key.is_some() {
            layout.key = None;
        }
        let converter = Converter {
            layout,
            outcomes: Outcomes::new(self.outcome),
            key: self.key.unwrap_or_default().into(),
            keys: HashSet::new(),
            latest: i64::MIN,
            earliest: i64::MAX,
        };
        let lines = Lines::new(open(&self.log)?);
        let (calls, skipped) = converter
            .convert(lines, self.skip_bad_lines)
            .map_err(|problem| Failure::in_file(&name, problem))?;
        if skipped > 0 {
            let were = if skipped == 1 { "line was" } else { "lines were" };
            note(format_args!("{name}: {skipped} {were} skipped"));
        }
        if calls.is_empty() {
            return Err(Failure::in_file(name, "has no calls"));
        }
        let trace: Trace = calls.into_iter().collect();
        output::write(&self.output, |file| trace.write_csv(file))
    }
}

struct Converter {
    layout: Layout,
    outcomes: Outcomes,
    key: Arc<str>,
    keys: HashSet<Arc<str>>,
    /// The latest end and the earliest start of a call, in microseconds since 1970.
    latest: i64,
    earliest: i64,
}

impl Converter {
    /// Returns the calls, and how many lines are none.
    fn convert(
        mut self,
        mut lines: Lines,
        skip_bad_lines: bool,
    ) -> Result<(Vec<Call>, u64), String> {
        let (mut calls, mut skipped) = (Vec::new(), 0);
        loop {
            let (number, line) = match lines.next() {
                Ok(None) => break,
                Ok(Some(line)) => line,
                Err(problem) if skip_bad_lines && problem.is_about_line() => {
                    skipped += 1;
                    continue;
                }
                Err(problem) => return Err(problem.at_line(lines.number())),
            };
            match self.layout.request(line).and_then(|request| match request {
                Some(request) => self.call(&request).map(Some),
                None => Ok(None),
            }) {
                Ok(Some(call)) => calls.push(call),
                Ok(None) => skipped += 1,
                Err(_) if skip_bad_lines => skipped += 1,
                Err(problem) => return Err(problem.at_line(number)),
            }
        }
        for (call, start) in &mut calls {
            call.at = Duration::from_micros(start.abs_diff(self.earliest));
        }
        Ok((calls.into_iter().map(|(call, _)| call).collect(), skipped))
    }

    /// Returns the call, and when it began.
    fn call(&mut self, request: &Request<'_>) -> Result<(Call, i64), Problem> {
        let took = i64::try_from(request.duration.as_micros()).unwrap_or(i64::MAX);
        let out_of_range = || Problem::at(request.time_column, "this time is out of range");
        let (start, end) = if self.layout.time_is_start {
            (request.time, request.time.checked_add(took).ok_or_else(out_of_range)?)
        } else {
            (request.time.checked_sub(took).ok_or_else(out_of_range)?, request.time)
        };
        if self.latest.saturating_sub(end) > MOST_DISORDER_US && self.latest != i64::MIN {
            let text = "this call ended more than an hour before one of an earlier line: sort the lines by time first";
            return Err(Problem::at(request.time_column, text));
        }
        let (earliest, latest) = (self.earliest.min(start), self.latest.max(end));
        if latest.checked_sub(earliest).is_none_or(|length| length > LONGEST_US) {
            let text = "this time is more than 20 years from that of an earlier line";
            return Err(Problem::at(request.time_column, text));
        }
        (self.earliest, self.latest) = (earliest, latest);
        let mut call = Call::rejected(Duration::ZERO).with_key(self.key(request.key.as_deref()));
        call.ending = request.ending.unwrap_or_else(|| self.outcomes.of(request.status));
        call.duration = request.duration;
        Ok((call, start))
    }

    fn key(&mut self, key: Option<&str>) -> Arc<str> {
        let Some(key) = key else { return self.key.clone() };
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        let new: Arc<str> = key.into();
        self.keys.insert(new.clone());
        new
    }
}
