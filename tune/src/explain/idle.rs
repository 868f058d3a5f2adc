//! Settings that have no effect beside the others, whatever the traffic.

use super::Settings;

pub(super) fn all(settings: &Settings) -> Vec<String> {
    let is_on = |name| settings.get(name).is_some();
    let judges_rates = is_on("failure_rate_threshold") || is_on("slow_call_rate_threshold");
    let looks_at_slow = is_on("slow_call_rate_threshold");
    let has_window = judges_rates || is_on("failure_count_threshold");
    let checks = [
        ("minimum_calls", judges_rates, "no rule looks at a rate"),
        ("sliding_window", has_window, "no rule looks at the window"),
        ("slow_call_duration_threshold", looks_at_slow, "slow_call_rate_threshold is not set"),
        ("slow_in_flight", looks_at_slow, "slow_call_rate_threshold is not set"),
    ];
    let idle = checks.into_iter().filter(|(name, is_used, _)| settings.is_given(name) && !is_used);
    let mut all: Vec<String> =
        idle.map(|(name, _, why)| format!("{name} has no effect: {why}")).collect();
    // The settings that a breaker has are already limited.
    let minimum = settings.given.get("minimum_calls").and_then(|minimum| minimum.as_u64());
    if let (Some(minimum), Some(calls)) = (minimum, settings.number("sliding_window.calls")) {
        if judges_rates && minimum > calls {
            all.push(format!("minimum_calls is {minimum}, but the window has room for {calls} calls, so {calls} is the minimum"));
        }
    }
    all
}
