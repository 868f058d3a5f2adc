//! The arguments and the plan that they describe.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Takes a real HTTP backend through several outages, with and without a circuit breaker.

Usage: cargo run --example outage -- [OPTIONS]

Options:
  --rate <CALLS/S>       calls that each client starts per second, 10 to 300 [default: 100]
  --phase-seconds <S>    the length of phases without their own, 0.1 to 60
  --phases <LIST>        the phases, in order: <NAME>[=<SECONDS>],...
                           healthy  answers at once
                           error    answers 500
                           hang     accepts requests and never answers
                           refuse   refuses connections
                           slow     answers after 100 ms
                           cold     takes little load at first, and falls over if it gets more
  --record <FILE>        write the calls of the bare client as a trace; needs the feature `replay`
  --help                 print this help

The default is --phases healthy=1,error=1.5,healthy=3,hang=2,healthy=3,slow=2,healthy=3,refuse=1.5,\
cold=4
";

/// How the backend behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Healthy,
    Error,
    Hang,
    Refuse,
    Slow,
    Cold,
}

impl Mode {
    const ALL: [(&str, Self); 6] = [
        ("healthy", Self::Healthy),
        ("error", Self::Error),
        ("hang", Self::Hang),
        ("refuse", Self::Refuse),
        ("slow", Self::Slow),
        ("cold", Self::Cold),
    ];

    /// Whether the backend fails whatever its clients do. A cold one fails only if they send too much.
    pub(crate) fn is_outage(self) -> bool {
        !matches!(self, Self::Healthy | Self::Cold)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Error => "answers 500",
            Self::Hang => "hangs",
            Self::Refuse => "refuses",
            Self::Slow => "slow",
            Self::Cold => "cold",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Phase {
    pub(crate) mode: Mode,
    pub(crate) length: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Calls per second.
    pub(crate) rate: u32,
    pub(crate) phases: Vec<Phase>,
    /// Where the calls of the bare client are recorded.
    pub(crate) record: Option<PathBuf>,
}

impl Plan {
    pub(crate) fn calls_in(&self, phase: &Phase) -> u32 {
        (f64::from(self.rate) * phase.length.as_secs_f64()).round().max(1.0) as u32
    }

    #[cfg(feature = "replay")]
    pub(crate) fn calls(&self) -> u32 {
        self.phases.iter().map(|phase| self.calls_in(phase)).sum()
    }

    pub(crate) fn length(&self) -> Duration {
        self.phases.iter().map(|phase| phase.length).sum()
    }
}

/// Returns `None` if the user asks for help. The error says what is wrong and what is allowed.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
    let mut rate = 100;
    let mut seconds = None;
    let mut phases = None;
    let mut record = None;
    let mut args = args;
    while let Some(arg) = args.next() {
        // Accepts both `--rate 50` and `--rate=50`.
        let (name, mut value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let mut value = |what: &str| {
            let value = value.take().or_else(|| args.next());
            value.ok_or_else(|| format!("`{name}` needs a value: {what}"))
        };
        match name {
            "--help" | "-h" => return Ok(None),
            "--rate" => rate = parse_rate(&value("calls per second, 10 to 300")?)?,
            "--phase-seconds" => {
                seconds = Some(parse_seconds(name, &value("seconds, 0.1 to 60")?)?);
            }
            "--phases" => phases = Some(value("a list such as `healthy=1,error=2,healthy=2`")?),
            "--record" if cfg!(feature = "replay") => {
                record = Some(value("the name of a file")?.into());
            }
            "--record" => return Err("`--record` needs `--features replay`".into()),
            _ => {
                return Err(format!(
                    "unknown argument `{arg}` (allowed: --rate, --phase-seconds, --phases, --record, --help)"
                ));
            }
        }
    }
    let phases = match phases {
        Some(list) => list
            .split(',')
            .map(|item| parse_phase(item, seconds.unwrap_or(Duration::from_secs(2))))
            .collect::<Result<_, _>>()?,
        None => default_phases(seconds),
    };
    Ok(Some(Plan { rate, phases, record }))
}

/// The backend is healthy or cold for a while after each outage, so that the recovery can be seen.
fn default_phases(seconds: Option<Duration>) -> Vec<Phase> {
    let phase =
        |mode, millis| Phase { mode, length: seconds.unwrap_or(Duration::from_millis(millis)) };
    vec![
        phase(Mode::Healthy, 1000),
        phase(Mode::Error, 1500),
        phase(Mode::Healthy, 3000),
        phase(Mode::Hang, 2000),
        phase(Mode::Healthy, 3000),
        phase(Mode::Slow, 2000),
        phase(Mode::Healthy, 3000),
        phase(Mode::Refuse, 1500),
        phase(Mode::Cold, 4000),
    ]
}

/// The rate is limited because every call that hangs keeps a connection, and both of its ends are open files
/// of this process.
fn parse_rate(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(rate @ 10..=300) => Ok(rate),
        _ => Err(format!("invalid `--rate`: `{text}` (allowed: a whole number, 10 to 300)")),
    }
}

fn parse_seconds(name: &str, text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("invalid `{name}`: `{text}` (allowed: seconds, 0.1 to 60)")),
    }
}

fn parse_phase(item: &str, default: Duration) -> Result<Phase, String> {
    let (name, seconds) = match item.split_once('=') {
        Some((name, seconds)) => (name, Some(seconds)),
        None => (item, None),
    };
    let Some(&(_, mode)) = Mode::ALL.iter().find(|(known, _)| *known == name) else {
        let known = Mode::ALL.map(|(known, _)| known).join(", ");
        return Err(format!("invalid `--phases`: unknown phase `{name}` (allowed: {known})"));
    };
    let length = match seconds {
        Some(seconds) => parse_seconds(&format!("--phases` at `{name}"), seconds)?,
        None => default,
    };
    Ok(Phase { mode, length })
}
