//! Which settings are tried: ranges of values, and all combinations of them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tower_breaker::Config;

use crate::failure::{Failure, Result};
use crate::output;
use crate::settings::{Format, read_text};

/// More combinations than this are an error.
const MOST_COMBINATIONS: usize = 100_000;

/// A setting and the values to try.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vary {
    /// `minimum_calls`, or a part of a setting: `open_duration.initial`.
    pub(crate) setting: String,
    /// `None` leaves the setting out.
    values: Vec<Option<Value>>,
}

impl Vary {
    /// Parses `minimum_calls=5..=50/5`, for an argument.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (setting, values) =
            text.split_once('=').ok_or("needs values, as in `minimum_calls=5,10,20`")?;
        let values = values.split(',').map(parse_values).collect::<Result<Vec<_>, _>>()?.concat();
        Self::new(setting.trim(), values)
    }

    fn new(setting: &str, values: Vec<Option<Value>>) -> Result<Self, String> {
        if setting.is_empty() || values.is_empty() {
            return Err("needs a setting and at least one value".into());
        }
        if values.len() > MOST_COMBINATIONS {
            return Err(format!("`{setting}` has more than {MOST_COMBINATIONS} values"));
        }
        Ok(Self { setting: setting.into(), values })
    }

    /// Reads a file of ranges.
    pub(crate) fn read(file: &Path) -> Result<Vec<Self>> {
        let in_file = |problem: String| Failure::in_file(output::name(file), problem);
        let table: Map<String, Value> = Format::Toml.parse(&read_text(file)?).map_err(in_file)?;
        let mut all = Vec::new();
        for (setting, value) in &table {
            read_values(setting, value, &mut all).map_err(in_file)?;
        }
        Ok(all)
    }
}

fn read_values(setting: &str, value: &Value, all: &mut Vec<Vary>) -> Result<(), String> {
    let values = match value {
        Value::Object(parts) => {
            return parts.iter().try_for_each(|(part, value)| {
                read_values(&format!("{setting}.{part}"), value, all)
            });
        }
        Value::String(text) => {
            text.split(',').map(parse_values).collect::<Result<Vec<_>, _>>()?.concat()
        }
        Value::Array(values) => values.iter().map(|value| Some(value.clone())).collect(),
        value => vec![Some(value.clone())],
    };
    all.push(Vary::new(setting, values)?);
    Ok(())
}

/// Parses a value, or a range such as `5..=50/5` or `1s..=10s/500ms`.
fn parse_values(text: &str) -> Result<Vec<Option<Value>>, String> {
    let text = text.trim();
    let Some((first, rest)) = text.split_once("..=") else {
        return Ok(vec![(text != "none").then(|| parse_value(text))]);
    };
    let wrong =
        || format!("`{text}` is no range such as `5..=50/5`, `0.1..=0.9/0.1` or `1s..=10s/1s`");
    let (last, step) = rest.split_once('/').ok_or_else(wrong)?;
    let values = whole_numbers(first, last, step)
        .or_else(|| numbers(first, last, step))
        .or_else(|| durations(first, last, step))
        .ok_or_else(wrong)?;
    if values.is_empty() {
        return Err(format!("`{text}` has no value, or more than {MOST_COMBINATIONS}"));
    }
    Ok(values.into_iter().map(Some).collect())
}

fn parse_value(text: &str) -> Value {
    let number = || {
        serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| value.is_number() || value.is_boolean())
    };
    number().unwrap_or_else(|| text.into())
}

fn whole_numbers(first: &str, last: &str, step: &str) -> Option<Vec<Value>> {
    let [first, last, step]: [u32; 3] =
        [first.parse().ok()?, last.parse().ok()?, step.parse().ok()?];
    Some(up_to(first.into(), last.into(), step.into()).map(|value| json!(value)).collect())
}

fn durations(first: &str, last: &str, step: &str) -> Option<Vec<Value>> {
    let nanos = |text| u64::try_from(humantime::parse_duration(text).ok()?.as_nanos()).ok();
    let values = up_to(nanos(first)?, nanos(last)?, nanos(step)?);
    let text = |nanos| humantime::format_duration(Duration::from_nanos(nanos)).to_string();
    Some(values.map(|nanos| json!(text(nanos))).collect())
}

fn numbers(first: &str, last: &str, step: &str) -> Option<Vec<Value>> {
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    let [first, last, step] = [number(first)?, number(last)?, number(step)?];
    // As whole multiples of a billionth, so that 0.1 + 0.2 is 0.3.
    let billionths =
        |number: f64| (0.0..=1e9).contains(&number).then(|| (number * 1e9).round() as u64);
    let values = up_to(billionths(first)?, billionths(last)?, billionths(step)?);
    Some(values.map(|value| json!(value as f64 / 1e9)).collect())
}

/// Nothing if the step is 0 or there are too many.
fn up_to(first: u64, last: u64, step: u64) -> impl Iterator<Item = u64> {
    let is_allowed =
        step > 0 && last.saturating_sub(first) / step.max(1) < MOST_COMBINATIONS as u64;
    (first..=last).step_by(step.max(1) as usize).take_while(move |_| is_allowed)
}

/// All combinations of the values.
pub(crate) struct Combinations {
    /// The settings that vary.
    pub(crate) settings: Vec<String>,
    /// The values, and all settings that they make.
    pub(crate) valid: Vec<(Vec<String>, Config)>,
    /// How many are left out because they do not go together, and why the first one does not.
    pub(crate) invalid: Option<(usize, String)>,
}

impl Combinations {
    pub(crate) fn new(base: &Config, vary: Vec<Vary>) -> Result<Self> {
        let product = vary.iter().try_fold(1_usize, |n, vary| n.checked_mul(vary.values.len()));
        let product = product.filter(|n| *n <= MOST_COMBINATIONS);
        let count = product.ok_or_else(|| {
            Failure::Bad(format!("there are more than {MOST_COMBINATIONS} combinations of values"))
        })?;
        if vary.is_empty() {
            return Err(Failure::bad(
                "nothing varies: use `--vary minimum_calls=5,10,20` or `--ranges FILE`",
            ));
        }
        let base = serde_json::to_value(base).map_err(Failure::bad)?;
        let (mut valid, mut invalid) = (Vec::new(), None);
        for number in 0..count {
            let chosen = pick(&vary, number);
            let mut settings = base.clone();
            for (setting, value) in &chosen {
                set(&mut settings, setting, *value);
            }
            match serde_json::from_value(settings) {
                Ok(config) => {
                    valid.push((chosen.iter().map(|(_, value)| shown(*value)).collect(), config));
                }
                Err(error) => invalid.get_or_insert((0, error.to_string())).0 += 1,
            }
        }
        match (&invalid, valid.is_empty()) {
            (Some((_, why)), true) => {
                Err(Failure::Bad(format!("no combination of values is valid: {why}")))
            }
            _ => Ok(Self {
                settings: vary.into_iter().map(|it| it.setting).collect(),
                valid,
                invalid,
            }),
        }
    }
}

/// Picks a value of each: the digits of the number. The last one varies fastest.
fn pick(vary: &[Vary], mut number: usize) -> Vec<(&str, Option<&Value>)> {
    let mut picked: Vec<_> = vary
        .iter()
        .rev()
        .map(|vary| {
            let value = vary.values[number % vary.values.len()].as_ref();
            number /= vary.values.len();
            (&*vary.setting, value)
        })
        .collect();
    picked.reverse();
    picked
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// What the parts of a setting exclude: a window of calls has no time.
const EXCLUDED: [(&str, &[&str]); 4] = [
    ("sliding_window.calls", &["time", "buckets"]),
    ("sliding_window.time", &["calls"]),
    ("half_open.sample", &["consecutive_successes"]),
    ("half_open.consecutive_successes", &["sample"]),
];

fn set(settings: &mut Value, setting: &str, value: Option<&Value>) {
    let mut target = settings;
    let mut name = setting;
    while let Some((table, rest)) = name.split_once('.') {
        if !target[table].is_object() {
            target[table] = json!({});
        }
        target = &mut target[table];
        name = rest;
    }
    let Some(target) = target.as_object_mut() else { return };
    let excluded = EXCLUDED.iter().filter(|(it, _)| *it == setting).flat_map(|(_, parts)| *parts);
    excluded.for_each(|part| _ = target.remove(*part));
    match value {
        Some(value) => _ = target.insert(name.into(), value.clone()),
        None => _ = target.remove(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> String {
        let values: Vec<_> =
            Vary::parse(text).unwrap().values.iter().map(|it| shown(it.as_ref())).collect();
        values.join(" ")
    }

    #[test]
    fn a_range_has_whole_numbers_decimals_or_durations() {
        assert_eq!(values("minimum_calls=5..=22/5"), "5 10 15 20");
        assert_eq!(values("failure_rate_threshold=0.1..=0.5/0.1"), "0.1 0.2 0.3 0.4 0.5");
        assert_eq!(values("probe_timeout=500ms..=2s/500ms"), "500ms 1s 1s 500ms 2s");
        assert_eq!(values("consecutive_failures=none,3..=4/1,9"), "none 3 4 9");
        assert_eq!(values("trip_on_retry_after=true,false"), "true false");
    }

    #[test]
    fn a_range_that_cannot_be_is_an_error() {
        for text in [
            "",
            "=1",
            "x",
            "x=1..=2",
            "x=1..=2/0",
            "x=2..=1/1",
            "x=1..=inf/1",
            "x=0..=4000000000/1",
        ] {
            assert!(Vary::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_setting_replaces_what_it_excludes() {
        let base: Config =
            toml::from_str("failure_rate_threshold = 0.5\nsliding_window = { calls = 10 }")
                .unwrap();
        let vary = vec![Vary::parse("sliding_window.time=10s,20s").unwrap()];
        let combinations = Combinations::new(&base, vary).unwrap();
        let text = "failure_rate_threshold = 0.5\nsliding_window = { time = '20s' }";
        assert_eq!(combinations.valid[1].1, toml::from_str(text).unwrap());
    }
}
