//! The arguments.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const HELP: &str = "\
Puts circuits under load with faults, aborts, panics and operators, and then checks every call.

Usage: cargo run --release --features http,replay --example soak -- [OPTIONS]

Options:
  --seconds <S>   how long there are faults, 1 to 86400 [default: 4]
  --clients <N>   the number of concurrent clients, 10 to 10000 [default: 400]
  --seed <N>      the seed of the random choices [default: from the clock]
  --record <FILE> write the first 1000 calls as a trace, for `tower-breaker-tune`
  --help          print this help

The same seed repeats the choices, but not the order in which threads make them.
";

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) length: Duration,
    pub(crate) clients: u32,
    pub(crate) seed: u64,
    pub(crate) record: Option<PathBuf>,
}

/// Returns `None` if the user asks for help. The error says what is wrong and what is allowed.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut plan =
        Plan { length: Duration::from_secs(4), clients: 400, seed: now.as_secs(), record: None };
    while let Some(name) = args.next() {
        if name == "--record" {
            let file = args.next().ok_or("`--record` needs the name of a file")?;
            plan.record = Some(file.into());
            continue;
        }
        let mut number = |least: u64, most: u64| {
            let value = args.next().unwrap_or_default();
            let number = value.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or(format!("invalid `{name}`: `{value}` (allowed: {least} to {most})"))
        };
        match &*name {
            "--help" | "-h" => return Ok(None),
            "--seconds" => plan.length = Duration::from_secs(number(1, 86_400)?),
            "--clients" => plan.clients = number(10, 10_000)? as u32,
            "--seed" => plan.seed = number(0, u64::MAX)?,
            _ => return Err(format!("unknown argument `{name}`")),
        }
    }
    Ok(Some(plan))
}
