//! [`hints`]: which settings do not fit the traffic.

use std::fmt;
use std::time::Duration;

use super::call::Call;
use super::traffic::{Traffic, Workload};
use crate::config::{CircuitBreakerBuilder, ConfigError};
use crate::machine::{Counted, Extent, Rules, Verdict, nanos};
use crate::observe::Ending;
use crate::snapshot::Length;

/// A setting that does not fit the traffic. Returned by [`hints`].
///
/// `Display` prints a sentence that begins with the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    setting: &'static str,
    text: String,
}

impl Hint {
    /// Returns the name of the setting: that of the method of the [builder](CircuitBreakerBuilder) and of the setting in a
    /// file.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.text)
    }
}

/// Looks for settings that can never matter with this traffic, or that take healthy calls for broken ones.
///
/// * A [minimum of calls](CircuitBreakerBuilder::minimum_calls) that the window never holds.
/// * A failure rate or a slow-call rate of 1.0, which a single good call in the window holds off.
/// * More [consecutive failures](CircuitBreakerBuilder::consecutive_failures), or more
///   [failures](CircuitBreakerBuilder::failure_count_threshold), than there ever are.
/// * A [slow-call duration](CircuitBreakerBuilder::slow_call_duration_threshold) or a
///   [time to hang](CircuitBreakerBuilder::hung_after) that no call reaches, or that more than one of a hundred good calls
///   reaches.
/// * A [probe timeout](CircuitBreakerBuilder::probe_timeout) that is shorter than one of a hundred good calls.
///
/// What a circuit counts is looked at for each [key](super::Call::key), and the hint is about the one that counts most. A
/// hint is no error: a rule that never matters in this traffic may
/// be there for the day on which it does.
///
/// # Errors
/// Returns an error if a setting is invalid.
///
/// # Example
/// ```
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::replay::{Scenario, hints};
///
/// let settings = CircuitBreaker::builder("reports").failure_rate_threshold(0.5);
/// let hints = hints(&settings, &Scenario::one_request_a_minute())?;
/// assert_eq!(
///     hints[0].to_string(),
///     "minimum_calls is 20, and no circuit counts more than 1 call in any 30.0s of this traffic"
/// );
/// # Ok::<(), tower_breaker::ConfigError>(())
/// ```
pub fn hints(
    settings: &CircuitBreakerBuilder,
    traffic: impl Traffic,
) -> Result<Vec<Hint>, ConfigError> {
    let rules = settings.rules()?;
    let mut workload = traffic.workload();
    workload.serve_all();
    let facts = Facts::of(&rules, &workload);
    let all = [
        minimum_calls(&rules, &facts),
        rate("failure_rate_threshold", rules.failure_rate, "success"),
        rate("slow_call_rate_threshold", rules.slow_call_rate, "quick call"),
        streak(&rules, &facts),
        failure_count(&rules, &facts),
        never_reached("slow_call_duration_threshold", rules.slow_call_duration, &facts),
        never_reached("hung_after", rules.hung_after, &facts),
        reached_by_good("slow_call_duration_threshold", rules.slow_call_duration, &facts),
        reached_by_good("hung_after", rules.hung_after, &facts),
        reached_by_good("probe_timeout", Some(rules.probe_timeout), &facts),
    ];
    Ok(all.into_iter().flatten().collect())
}

/// What there is to know about the traffic. The first three are those of the circuit that has most.
#[derive(Default)]
struct Facts {
    /// How many calls count in the fullest window, and how many fail.
    most_calls: u64,
    most_failures: u64,
    longest_streak: u64,
    longest_call: Duration,
    /// One of a hundred good calls takes at least this long.
    slow_good_call: Option<Duration>,
}

impl Facts {
    fn of(rules: &Rules, workload: &Workload<'_>) -> Self {
        let calls = &workload.calls;
        let mut facts = Self {
            longest_call: calls.iter().map(|call| call.duration).max().unwrap_or_default(),
            slow_good_call: slow_good_call(calls),
            ..Self::default()
        };
        for (_, numbers) in workload.by_key() {
            facts.add_circuit(rules, numbers.iter().map(|&number| &calls[number]));
        }
        facts
    }

    fn add_circuit<'a>(&mut self, rules: &Rules, calls: impl Iterator<Item = &'a Call>) {
        let verdict = |call: &Call| rules.verdict(call.report(), nanos(call.duration));
        let mut ended: Vec<(Duration, Verdict)> = calls
            .map(|call| (call.at + call.duration, verdict(call)))
            .filter(|(_, verdict)| verdict.counted.is_some())
            .collect();
        ended.sort_by_key(|(at, _)| *at);

        let mut streak = 0;
        for (_, verdict) in &ended {
            match verdict.counted {
                Some(Counted::Success) => streak = 0,
                Some(Counted::Failure) => streak += 1,
                Some(Counted::SoftFailure) | None => {}
            }
            self.longest_streak = self.longest_streak.max(streak);
        }
        let failed: Vec<Duration> =
            ended.iter().filter(|(_, verdict)| verdict.failed()).map(|(at, _)| *at).collect();
        let all: Vec<Duration> = ended.into_iter().map(|(at, _)| at).collect();
        self.most_calls = self.most_calls.max(most_in_window(rules, &all));
        self.most_failures = self.most_failures.max(most_in_window(rules, &failed));
    }
}

fn slow_good_call(calls: &[Call]) -> Option<Duration> {
    let good = calls.iter().filter(|call| call.ending == Some(Ending::Success));
    let mut durations: Vec<Duration> = good.map(|call| call.duration).collect();
    let rank = durations.len().checked_sub(1)? * 99 / 100;
    Some(*durations.select_nth_unstable(rank).1)
}

/// Returns how many of these times the window holds at most.
fn most_in_window(rules: &Rules, times: &[Duration]) -> u64 {
    let most = match rules.window.map(|window| window.extent) {
        None => 0,
        Some(Extent::Calls(calls)) => times.len().min(calls as usize),
        Some(Extent::Time(length)) => {
            let held = times
                .iter()
                .enumerate()
                .map(|(i, start)| times[i..].partition_point(|at| *at - *start < length));
            held.max().unwrap_or(0)
        }
    };
    most as u64
}

fn minimum_calls(rules: &Rules, facts: &Facts) -> Option<Hint> {
    let judges_rates = rules.failure_rate.is_some() || rules.slow_call_rate.is_some();
    let (least, most) = (rules.minimum_calls, facts.most_calls);
    let s = if most == 1 { "" } else { "s" };
    let within = match rules.window?.extent {
        Extent::Time(length) => format!("any {} of", Length(length)),
        Extent::Calls(_) => "all of".into(),
    };
    let text = format!(
        "is {least}, and no circuit counts more than {most} call{s} in {within} this traffic"
    );
    (judges_rates && most < least).then_some(Hint { setting: "minimum_calls", text })
}

fn rate(setting: &'static str, rate: Option<f64>, good: &str) -> Option<Hint> {
    let text = format!("is 1: a single {good} in the window keeps the circuit closed");
    (rate == Some(1.0)).then_some(Hint { setting, text })
}

fn streak(rules: &Rules, facts: &Facts) -> Option<Hint> {
    let (limit, longest) = (rules.consecutive_failures?, facts.longest_streak);
    let text = format!(
        "is {limit}, and at most {longest} calls of a circuit fail in a row in this traffic"
    );
    (longest < limit).then_some(Hint { setting: "consecutive_failures", text })
}

fn failure_count(rules: &Rules, facts: &Facts) -> Option<Hint> {
    let (limit, most) = (rules.failure_count?, facts.most_failures);
    let text = format!("is {limit}, and the window never holds more than {most} failures");
    (most < limit).then_some(Hint { setting: "failure_count_threshold", text })
}

fn never_reached(setting: &'static str, limit: Option<u64>, facts: &Facts) -> Option<Hint> {
    let (limit, longest) = (Duration::from_nanos(limit?), facts.longest_call);
    let text = format!("is {limit:?}, and the longest call of this traffic takes {longest:?}");
    (longest < limit).then_some(Hint { setting, text })
}

fn reached_by_good(setting: &'static str, limit: Option<u64>, facts: &Facts) -> Option<Hint> {
    let (limit, slow) = (Duration::from_nanos(limit?), facts.slow_good_call?);
    let text = format!("is {limit:?}, and 1 of 100 calls that succeed takes {slow:?} or longer");
    (slow >= limit).then_some(Hint { setting, text })
}
