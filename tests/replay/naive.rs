//! The numbers of a report, computed in the most direct way.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tower_breaker::replay::{self, Call, Fate, Report, Trace, Transition};
use tower_breaker::{Ending, State};

use crate::cases;
use crate::draw::{Settings, settings, trace};

const ALL_STATES: [State; 3] = [State::Closed, State::Open, State::HalfOpen];

fn is_good(call: &Call) -> bool {
    call.ending == Some(Ending::Success)
}

fn is_failed(call: &Call) -> bool {
    matches!(call.ending, Some(Ending::Failure | Ending::SoftFailure))
}

/// The state of a circuit at every transition and at the end, found by looking at all transitions before.
fn state_at(steps: &[&Transition], at: Duration) -> State {
    steps.iter().rev().find(|it| it.at <= at).map_or(State::Closed, |it| it.to)
}

fn time_in(state: State, steps: &[&Transition], end: Duration) -> Duration {
    let mut times: BTreeSet<Duration> = steps.iter().map(|it| it.at).collect();
    times.extend([Duration::ZERO, end]);
    let times: Vec<_> = times.into_iter().collect();
    let spans = times.windows(2).filter(|span| state_at(steps, span[0]) == state);
    spans.map(|span| span[1] - span[0]).sum()
}

/// Each opening from closed after a shorter time than the circuit had not been closed before.
fn flaps(steps: &[&Transition]) -> usize {
    let openings: Vec<Duration> =
        steps.iter().filter(|it| it.from == State::Closed).map(|it| it.at).collect();
    let closings: Vec<Duration> =
        steps.iter().filter(|it| it.to == State::Closed).map(|it| it.at).collect();
    let again = openings.iter().skip(1).zip(&closings).zip(&openings);
    again.filter(|((opens, closed), before)| **opens - **closed < **closed - **before).count()
}

/// Where the score of the calls is above 0 and reaches 6.
fn incidents(settings: &Settings, calls: &[&Call]) -> Vec<(Duration, Option<Duration>)> {
    let judged: Vec<(bool, Duration)> =
        calls.iter().filter_map(|call| Some((settings.is_bad(call)?, call.at))).collect();
    let mut scores = Vec::new();
    for (is_bad, _) in &judged {
        let score: i32 = scores.last().copied().unwrap_or(0);
        scores.push(if *is_bad { (score + 2).min(20) } else { (score - 1).max(0) });
    }
    let mut found = Vec::new();
    let mut i = 0;
    while i < scores.len() {
        let length = scores[i..].iter().take_while(|score| **score > 0).count();
        if scores[i..i + length].iter().any(|score| *score >= 6) {
            let last_bad = (i..i + length).rfind(|i| judged[*i].0).unwrap();
            let has_end = i + length < scores.len();
            let end = has_end.then(|| judged[last_bad + 1].1);
            found.push((judged[i].1, end));
        }
        i += length + 1;
    }
    found
}

fn check(settings: &Settings, trace: &Trace, report: &Report) {
    let calls = trace.calls();
    let fates: Vec<(&Call, Fate)> = calls.iter().zip(report.fates().iter().copied()).collect();
    let count = |is: &dyn Fn(&Call, Fate) -> bool| {
        fates.iter().filter(|(call, fate)| is(call, *fate)).count() as u64
    };
    let is_shed = |fate| fate == Fate::Shed;
    assert_eq!(report.calls(), calls.len() as u64);
    assert_eq!(report.sent(), count(&|_, fate| !is_shed(fate)));
    assert_eq!(report.sent_good(), count(&|call, fate| !is_shed(fate) && is_good(call)));
    assert_eq!(report.sent_bad(), count(&|call, fate| !is_shed(fate) && is_failed(call)));
    assert_eq!(report.shed(), count(&|_, fate| is_shed(fate)));
    assert_eq!(report.shed_good(), count(&|call, fate| is_shed(fate) && is_good(call)));
    assert_eq!(report.shed_bad(), count(&|call, fate| is_shed(fate) && is_failed(call)));
    assert_eq!(report.unknown(), count(&|call, _| call.ending.is_none()));
    assert_eq!(report.probes(), count(&|_, fate| fate == Fate::Probe));
    let good = count(&|call, _| is_good(call)).max(1);
    assert_eq!(report.shed_share(), report.shed_good() as f64 / good as f64);
    let end = calls.iter().map(|call| call.at + call.duration).max().unwrap_or_default();
    assert_eq!(report.duration(), end);

    let keys: BTreeSet<_> = calls.iter().map(|call| call.key.clone()).collect();
    assert_eq!(report.circuits(), keys.len());
    let steps = |key: &str| -> Vec<&Transition> {
        report.transitions().iter().filter(|it| *it.key == *key).collect()
    };
    for state in ALL_STATES {
        let sum: Duration = keys.iter().map(|key| time_in(state, &steps(key), end)).sum();
        assert_eq!(report.time_in(state), sum, "{state}");
    }
    let opened_from = |from| {
        report.transitions().iter().filter(|it| (it.from, it.to) == (from, State::Open)).count()
    };
    assert_eq!(report.openings(), opened_from(State::Closed) as u64);
    assert_eq!(report.reopenings(), opened_from(State::HalfOpen) as u64);
    assert_eq!(report.flaps(), keys.iter().map(|key| flaps(&steps(key))).sum::<usize>() as u64);
    assert!(report.transitions().is_sorted_by_key(|it| it.at));

    let mut expected = Vec::new();
    for key in &keys {
        let own: Vec<&Call> = calls.iter().filter(|call| call.key == *key).collect();
        for (began, ended) in incidents(settings, &own) {
            let steps = steps(key);
            let first = |to, from: Duration| {
                let at = steps.iter().find(|it| it.to == to && it.at >= from).map(|it| it.at);
                if state_at(&steps, from) == to { Some(from) } else { at }
            };
            let is_in_incident = |at: &Duration| ended.is_none_or(|ended| *at < ended);
            let opened = match state_at(&steps, began) {
                State::Closed => first(State::Open, began).filter(is_in_incident),
                _ => Some(began),
            };
            let until = opened.or(ended).unwrap_or(Duration::MAX);
            let sent = fates.iter().filter(|(call, fate)| {
                call.key == *key && !is_shed(*fate) && call.at >= began && call.at < until
            });
            let recovered = ended.and_then(|ended| Some(first(State::Closed, ended)? - ended));
            let opened = opened.map(|at| at - began);
            expected.push((key.clone(), began, ended, opened, sent.count() as u64, recovered));
        }
    }
    assert!(report.incidents().is_sorted_by_key(|it| it.began));
    let seen = report.incidents().iter().map(|it| {
        (it.key.clone(), it.began, it.ended, it.opened_after, it.sent, it.recovered_after)
    });
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by_key(|it| it.0.clone());
    assert_eq!(seen, expected);
}

proptest! {
    #![proptest_config(cases(1024))]

    #[test]
    fn every_number_of_a_report_is_that_of_a_naive_computation(
        trace in trace(),
        settings in settings(),
    ) {
        let report = replay::run(&settings.builder(""), &trace).unwrap();
        check(&settings, &trace, &report);
    }
}
