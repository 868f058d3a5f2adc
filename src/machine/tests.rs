//! Tests of behaviour that cannot be observed through the circuit around the machine.

use std::time::Duration;

use super::*;

pub(super) fn rules() -> Rules {
    Rules {
        consecutive_failures: Some(2),
        failure_count: None,
        failure_rate: None,
        slow_call_rate: None,
        slow_call_duration: None,
        window: None,
        minimum_calls: 1,
        open_duration: Backoff::constant(Duration::from_nanos(10)),
        half_open: ProbeRule::ConsecutiveSuccesses(1),
        slow_in_flight: false,
        hung_after: None,
        ramp: 0,
        probe_timeout: 100,
        abandoned_after: None,
        max_retry_after: 0,
        enforcement: 1.0,
        trip_on_retry_after: false,
    }
}

fn settle_without_a_clock(rules: Rules, report: Report) {
    let mut machine = Machine::new(rules, 0, 0, 5);
    let Ok(Admission::Closed(ticket)) = machine.acquire(5) else {
        panic!("a new circuit is closed");
    };
    assert!(machine.settle(|| panic!("the clock was read"), ticket, 5, report));
}

#[test]
fn a_result_that_does_not_depend_on_time_does_not_read_the_clock() {
    let count = Some(SlidingWindow::count(10));
    for report in [Report::Success, Report::Failure, Report::Ignored, Report::GivenUp] {
        settle_without_a_clock(rules(), report);
        settle_without_a_clock(
            Rules { window: count, failure_rate: Some(1.0), minimum_calls: 9, ..rules() },
            report,
        );
    }
}

#[test]
fn a_call_just_after_an_operator_acted_is_rejected_as_forced_open() {
    let mut machine = Machine::new(rules(), 0, 0, 5);
    machine.operate(OperatorAction::ForceOpen, 6);
    assert_eq!(machine.acquire(6).unwrap_err(), Refusal::FORCED_OPEN);
}
