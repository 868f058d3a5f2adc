//! Scenarios by name, such as `black-hole,rate=50,timeout=1s`.

pub(crate) mod command;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use tower_breaker::replay::Scenario;

use crate::text::parse_duration;

/// A kind of scenario.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What it is about. The parameters are in it, with their defaults.
    pub(crate) about: &'static str,
    make: fn(&mut Parameters<'_>) -> Result<Scenario, String>,
}

pub(crate) const KINDS: [Kind; 8] = [
    Kind {
        name: "always-failing",
        about: "every call of the incident fails after 20 ms",
        make: |it| Ok(Scenario::always_failing(it.rate()?)),
    },
    Kind {
        name: "black-hole",
        about: "no call is answered, and callers give up: timeout=1s",
        make: |it| Ok(Scenario::black_hole(it.rate()?, it.duration("timeout", 1)?)),
    },
    Kind {
        name: "brown-out",
        about: "a share of the calls fails: share=0.5",
        make: |it| Ok(Scenario::brown_out(it.rate()?, it.share()?)),
    },
    Kind {
        name: "slow",
        about: "each call succeeds and takes long: duration=2s",
        make: |it| Ok(Scenario::slow(it.rate()?, it.duration("duration", 2)?)),
    },
    Kind {
        name: "flapping",
        about: "down and up in turn: period=5s",
        make: |it| Ok(Scenario::flapping(it.rate()?, it.duration("period", 5)?)),
    },
    Kind {
        name: "one-lost-connection",
        about: "some calls fail at once, which a breaker had better ignore: calls=3",
        make: |it| {
            Ok(Scenario::one_lost_connection(it.rate()?, it.number("calls", 3, 1..=100_000)?))
        },
    },
    Kind {
        name: "one-request-a-minute",
        about: "one call per minute, and half an hour in which each fails (has no rate)",
        make: |_| Ok(Scenario::one_request_a_minute()),
    },
    Kind {
        name: "overload",
        about: "a stall of 10 s and a queue that only less load makes shorter: capacity=55, timeout=1s",
        make: |it| {
            let capacity = it.number("capacity", 55, RATES)?;
            Ok(Scenario::overload(it.rate()?, capacity, it.duration("timeout", 1)?))
        },
    },
];

const RATES: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// A longer time or more calls are an error, because they hardly fit into memory.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
const MOST_CALLS: u128 = 5_000_000;

/// Makes the scenario that is described by its name and its parameters. For an argument.
pub(crate) fn parse(text: &str) -> Result<Scenario, String> {
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or_default();
    let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names = KINDS.map(|kind| kind.name).join(", ");
        format!("there is no scenario {name:?} (there are: {names})")
    })?;
    let mut parameters = Parameters(BTreeMap::new());
    for part in parts {
        let (name, value) =
            part.split_once('=').ok_or_else(|| format!("{part:?} is no `parameter=value`"))?;
        if parameters.0.insert(name, value).is_some() {
            return Err(format!("`{name}` is there twice"));
        }
    }
    let rate = parameters.0.get("rate").copied();
    let mut scenario = (kind.make)(&mut parameters)?;
    let mut length = Duration::ZERO;
    type Set = fn(Scenario, Duration) -> Scenario;
    let spans: [(_, Set, u64); 3] = [
        ("before", Scenario::healthy_before, 60),
        ("lasting", Scenario::lasting, 60),
        ("after", Scenario::healthy_after, 180),
    ];
    for (name, set, default) in spans {
        length += match parameters.0.contains_key(name) {
            true => {
                let span = parameters.duration(name, default)?;
                scenario = set(scenario, span);
                span
            }
            false => Duration::from_secs(default),
        };
    }
    if let Some(unknown) = parameters.0.keys().next() {
        return Err(format!("`{name}` has no parameter `{unknown}`: it is {}", kind.about));
    }
    let per_second = rate.and_then(|rate| rate.parse().ok()).unwrap_or(DEFAULT_RATE);
    if kind.name != "one-request-a-minute"
        && length.as_millis() * u128::from(per_second) / 1000 > MOST_CALLS
    {
        return Err(format!("{text:?} has more than {MOST_CALLS} calls"));
    }
    Ok(scenario)
}

const DEFAULT_RATE: u32 = 50;

/// The parameters that have not been used yet.
struct Parameters<'a>(BTreeMap<&'a str, &'a str>);

impl Parameters<'_> {
    fn take<T>(
        &mut self,
        name: &str,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        let Some(text) = self.0.remove(name) else { return Ok(default) };
        parse(text).ok_or_else(|| format!("`{name}` is {text:?} (allowed: {allowed})"))
    }

    fn number(
        &mut self,
        name: &str,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, String> {
        let allowed = format!("a whole number, {} to {}", range.start(), range.end());
        self.take(name, default, &allowed, |text| {
            u32::from_str(text).ok().filter(|number| range.contains(number))
        })
    }

    fn rate(&mut self) -> Result<u32, String> {
        self.number("rate", DEFAULT_RATE, RATES)
    }

    fn share(&mut self) -> Result<f64, String> {
        self.take("share", 0.5, "0.0 to 1.0", |text| {
            f64::from_str(text).ok().filter(|share| (0.0..=1.0).contains(share))
        })
    }

    fn duration(&mut self, name: &str, default_seconds: u64) -> Result<Duration, String> {
        let default = Duration::from_secs(default_seconds);
        self.take(name, default, "a duration such as 250ms, 30 days at most", |text| {
            parse_duration(text).ok().filter(|it| *it <= LONGEST)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_has_the_parameters_that_are_given_and_the_defaults_of_the_others() {
        let parsed = parse("black-hole,rate=10,lasting=20s,before=1m 30s").unwrap();
        let same = Scenario::black_hole(10, Duration::from_secs(1))
            .lasting(Duration::from_secs(20))
            .healthy_before(Duration::from_secs(90));
        assert_eq!(parsed, same);
        for kind in &KINDS {
            parse(kind.name).unwrap();
        }
    }

    #[test]
    fn a_scenario_that_cannot_be_says_which_part_is_wrong() {
        for (text, problem) in [
            ("", "there is no scenario \"\" (there are: always-failing, black-hole,"),
            ("slow,rate", "\"rate\" is no `parameter=value`"),
            ("slow,rate=1,rate=2", "`rate` is there twice"),
            ("slow,rate=0", "`rate` is \"0\" (allowed: a whole number, 1 to 1000000)"),
            ("slow,timeout=1s", "`slow` has no parameter `timeout`: it is each call succeeds"),
            ("slow,lasting=1M 1y", "`lasting` is \"1M 1y\" (allowed: a duration such as 250ms"),
            ("brown-out,share=NaN", "`share` is \"NaN\" (allowed: 0.0 to 1.0)"),
            ("slow,rate=1000000,lasting=30d", "has more than 5000000 calls"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
