//! The formats of access logs.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;
use tower_breaker::Ending;

use super::fields::{Field, Problem, named, split};
use super::time::{Unit, duration, time};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    Nginx,
    Envoy,
    Json,
    Openstack,
}

/// Where the fields are, if not where the format has them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fields")]
pub(crate) struct Overrides {
    /// The number of the field with the time, or in JSON its name
    #[arg(long, value_name = "FIELD")]
    time_field: Option<String>,
    /// The field with the status
    #[arg(long, value_name = "FIELD")]
    status_field: Option<String>,
    /// The field with the duration
    #[arg(long, value_name = "FIELD")]
    duration_field: Option<String>,
    /// The field that decides which circuit a call belongs to, such as the host
    #[arg(long, value_name = "FIELD")]
    key_field: Option<String>,
    /// The unit of the duration
    #[arg(long)]
    unit: Option<Unit>,
    /// Whether the time is that of the start or the end of a request
    #[arg(long, value_enum)]
    time_is: Option<TimeIs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TimeIs {
    Start,
    End,
}

/// Where the fields of a line are.
pub(super) struct Layout {
    format: FormatName,
    time: String,
    status: String,
    duration: String,
    pub(super) key: Option<String>,
    unit: Unit,
    /// Otherwise it is that of the end.
    pub(super) time_is_start: bool,
}

/// What a line says.
pub(super) struct Request<'a> {
    /// In microseconds since 1970.
    pub(super) time: i64,
    pub(super) time_column: usize,
    pub(super) duration: Duration,
    pub(super) status: u16,
    pub(super) key: Option<std::borrow::Cow<'a, str>>,
    /// How the call ended, if the status does not decide that.
    pub(super) ending: Option<Option<Ending>>,
}

impl Overrides {
    /// Returns the layout of the format, with these changes.
    pub(super) fn over(self, format: FormatName) -> Layout {
        let (time, status, duration, key, unit) = match format {
            FormatName::Nginx => ("4", "6", "10", None, Unit::S),
            FormatName::Envoy => ("1", "3", "7", Some("12"), Unit::Ms),
            FormatName::Json => ("time", "status", "duration", None, Unit::S),
            FormatName::Openstack => ("2", "10", "14", None, Unit::S),
        };
        Layout {
            format,
            time: self.time_field.unwrap_or(time.into()),
            status: self.status_field.unwrap_or(status.into()),
            duration: self.duration_field.unwrap_or(duration.into()),
            key: self.key_field.or(key.map(str::to_owned)),
            unit: self.unit.unwrap_or(unit),
            time_is_start: match self.time_is {
                Some(time_is) => time_is == TimeIs::Start,
                None => format == FormatName::Envoy,
            },
        }
    }
}

impl Layout {
    /// Reads a line. Returns `None` if it is about something else.
    pub(super) fn request<'a>(&self, line: &'a str) -> Result<Option<Request<'a>>, Problem> {
        if self.format == FormatName::Json {
            let object: Value = serde_json::from_str(line).map_err(|error| {
                Problem::at(error.column().max(1), format_args!("is no JSON: {error}"))
            })?;
            return self.read(|name| named(&object, name)).map(Some);
        }
        let mut fields = split(line);
        if self.format == FormatName::Openstack {
            if !line.contains("\" status: ") {
                return Ok(None);
            }
            join_date(line, &mut fields);
        }
        let flags =
            (self.format == FormatName::Envoy).then(|| fields.get(3).map(|it| it.text.to_string()));
        let fields = std::cell::RefCell::new(fields);
        let take = |number: &str| {
            let index = number.parse::<usize>().ok()?.checked_sub(1)?;
            let mut fields = fields.borrow_mut();
            let field = fields.get_mut(index)?;
            Some(Field { text: std::mem::take(&mut field.text), column: field.column })
        };
        let mut request = self.read(take)?;
        request.ending = flags.flatten().and_then(|flags| envoy_ending(&flags));
        Ok(Some(request))
    }

    fn read<'a>(&self, field: impl Fn(&str) -> Option<Field<'a>>) -> Result<Request<'a>, Problem> {
        let needed = |name: &str, what: &str| {
            field(name).ok_or_else(|| {
                Problem::at(1, format_args!("the line has no field {name} with the {what}"))
            })
        };
        let at = needed(&self.time, "time")?;
        let status = needed(&self.status, "status")?;
        let took = needed(&self.duration, "duration")?;
        Ok(Request {
            time: time(&at.text)
                .ok_or_else(|| at.problem("is no time, such as 2026-11-26T16:41:39.250Z"))?,
            time_column: at.column,
            duration: duration(&took.text, self.unit).ok_or_else(|| {
                took.problem("is no duration: a number, not negative, 20 years at most")
            })?,
            status: status
                .text
                .parse()
                .ok()
                .filter(|status| *status <= 999)
                .ok_or_else(|| status.problem("is no status, 0 to 999"))?,
            key: match &self.key {
                Some(name) => Some(needed(name, "key")?.text),
                None => None,
            },
            ending: None,
        })
    }
}

/// OpenStack writes the date and the time of the day as two words. They become one field.
fn join_date<'a>(line: &'a str, fields: &mut Vec<Field<'a>>) {
    if let [_, date, time, ..] = &**fields {
        let end = time.column - 1 + time.text.len();
        let text = line.get(date.column - 1..end).unwrap_or_default();
        fields[1].text = text.into();
        fields.remove(2);
    }
}

/// What Envoy's response flags say about the end of a call.
fn envoy_ending(flags: &str) -> Option<Option<Ending>> {
    let has = |flag| flags.split(',').any(|it| it == flag);
    if has("UO") {
        // Envoy's own circuit breaker turned the call away.
        Some(None)
    } else if has("DC") {
        Some(Some(Ending::Abandoned))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIECES: [&str; 16] = [
        "127.0.0.1 - - [26/Nov/2026:16:39:51 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" 0.001",
        "[2026-11-26T16:40:00.250Z] \"GET / HTTP/1.1\" 200 DC 0 512 35 34 \"-\" \"-\" \"-\" \"a\" \"b\"",
        "{\"time\":1,\"status\":200,\"duration\":0}",
        "x 2026-11-26 16:40:00.250 1 INFO a [r] 1 \"GET /\" status: 200 len: 1 time: 0.25",
        "\" status: ",
        "\"",
        "\\",
        "[",
        "]",
        "{",
        "}",
        ":",
        " ",
        "\u{e9}",
        "99999999999999999999",
        "-1e308",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn no_line_makes_a_reader_panic(
            pieces in prop::collection::vec(prop_oneof![prop::sample::select(&PIECES[..]).prop_map(String::from), ".{0,6}"], 0..8),
            cut in any::<prop::sample::Index>(),
            number in 0..20_usize,
        ) {
            let line = pieces.concat();
            let cuts: Vec<usize> = (0..=line.len()).filter(|i| line.is_char_boundary(*i)).collect();
            let line = &line[..*cut.get(&cuts)];
            for format in FormatName::value_variants() {
                let none = Overrides {
                    time_field: None,
                    status_field: None,
                    duration_field: None,
                    key_field: Some(number.to_string()),
                    unit: None,
                    time_is: None,
                };
                _ = none.over(*format).request(line);
            }
        }
    }
}
