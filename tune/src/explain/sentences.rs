//! What settings do, in sentences.

use super::Settings;
use crate::text::{count, percent};

pub(super) fn all(settings: &Settings) -> Vec<String> {
    let mut sentences = trip_rules(settings);
    sentences.push(open(settings));
    sentences.extend(half_open(settings));
    sentences.extend(others(settings));
    sentences
}

/// Marks what is not in the file.
fn default(settings: &Settings, name: &str) -> &'static str {
    if settings.is_given(name) { "" } else { " (default)" }
}

fn trip_rules(settings: &Settings) -> Vec<String> {
    let mark = |name| default(settings, name);
    let window = window(settings);
    let minimum = settings.number("minimum_calls").unwrap_or_default();
    let mut rules = Vec::new();
    if let Some(n) = settings.number("consecutive_failures") {
        rules.push(format!(
            "after {} in a row{}",
            count(n, "failure"),
            mark("consecutive_failures")
        ));
    }
    if let Some(n) = settings.number("failure_count_threshold") {
        rules.push(format!("when {window} hold {} or more", count(n, "failure")));
    }
    let from = format!("from {} in it on{}", count(minimum, "call"), mark("minimum_calls"));
    if let Some(rate) = settings.share("failure_rate_threshold") {
        let rate = format!("{} or more{}", percent(rate), mark("failure_rate_threshold"));
        rules.push(format!("when {rate} of {window} failed, {from}"));
    }
    if let Some(rate) = settings.share("slow_call_rate_threshold") {
        let slow = settings.time("slow_call_duration_threshold").unwrap_or_default();
        rules.push(format!(
            "when {} or more of {window} took {slow} or longer, {from}",
            percent(rate)
        ));
    }
    if settings.get("trip_on_retry_after").and_then(|it| it.as_bool()) == Some(true) {
        rules.push("at the first failure with a retry-after".into());
    }
    if rules.is_empty() {
        return vec!["The circuit never opens by itself, because it has no trip rule.".into()];
    }
    let mut sentences = vec!["The circuit opens".to_owned()];
    sentences.extend(rules.into_iter().map(|rule| format!("  - {rule}")));
    sentences
}

fn window(settings: &Settings) -> String {
    let mark = default(settings, "sliding_window");
    match (settings.number("sliding_window.calls"), settings.time("sliding_window.time")) {
        (Some(calls), _) => format!("the last {}{mark}", count(calls, "call")),
        (None, Some(time)) => format!("the calls of the last {time}{mark}"),
        (None, None) => "the calls of the window".into(),
    }
}

fn open(settings: &Settings) -> String {
    let mark = default(settings, "open_duration");
    if let Some(wait) = settings.time("open_duration") {
        return format!("It then stays open for {wait} each time{mark}.");
    }
    let part = |name: &str| settings.time(&format!("open_duration.{name}")).unwrap_or_default();
    let number = |name: &str| settings.share(&format!("open_duration.{name}"));
    let (initial, max) = (part("initial"), part("max"));
    let mut text = format!("It then stays open for {initial}");
    if initial != max {
        let factor = number("factor").unwrap_or(2.0);
        text += &format!(", and {factor} times as long after each failed recovery, up to {max}");
    }
    let jitter = number("jitter").unwrap_or_default();
    if jitter > 0.0 {
        text += &format!(", each wait up to {} shorter or longer", percent(jitter));
    }
    if let Some(after) = settings.time("open_duration.forget_after") {
        text += &format!("; it begins with {initial} again after {after} closed");
    }
    format!("{text}{mark}.")
}

fn half_open(settings: &Settings) -> Vec<String> {
    let mark = default(settings, "half_open");
    let rule = match (
        settings.number("half_open.consecutive_successes"),
        settings.number("half_open.sample"),
    ) {
        (_, Some(n)) => format!(
            "Half-open, it sends {}, and closes unless their rates reach the thresholds{mark}.",
            count(n, "probe")
        ),
        (n, None) => format!(
            "Half-open, it closes after {}, and opens again after one failure{mark}.",
            count(n.unwrap_or(1), "successful probe")
        ),
    };
    let timeout = settings.time("probe_timeout").unwrap_or_default();
    let mut sentences = vec![
        rule,
        format!("A probe has failed after {timeout}{}.", default(settings, "probe_timeout")),
    ];
    if let Some(ramp) = settings.time("half_open.ramp") {
        sentences.push(format!(
            "The share of the calls that it admits grows for {ramp} before it closes."
        ));
    }
    sentences
}

fn others(settings: &Settings) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(time) = settings.time("hung_after") {
        sentences
            .push(format!("A call that is in flight for {time} counts as failed until it ends."));
    }
    if settings.get("slow_in_flight").and_then(|it| it.as_bool()) == Some(true) {
        sentences.push("A call counts as slow while it is in flight.".into());
    }
    match settings.time("abandoned_after") {
        Some(time) => {
            sentences.push(format!("A call that is dropped after {time} or later has failed; an earlier one does not count."));
        }
        None => {
            sentences
                .push("A call that is dropped before it ends does not count (default).".into());
        }
    }
    if let Some(time) = settings.time("max_retry_after") {
        let mark = default(settings, "max_retry_after");
        sentences.push(format!("A retry-after keeps it open for {time} at most{mark}."));
    }
    if let Some(share) = settings.share("enforcement") {
        if share < 1.0 {
            sentences.push(format!(
                "Only {} of the rejections are enforced: the other calls are made all the same.",
                percent(share)
            ));
        }
    }
    sentences
}
