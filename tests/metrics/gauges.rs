//! The gauges that say how near a circuit is to tripping, and how an outage goes on.

use std::time::SystemTime;

use tokio::time::advance;
use tower_breaker::SlidingWindow;

use crate::*;

/// The value of a gauge that has no label but the breaker.
fn gauge(exporter: &Exporter, name: &str) -> f64 {
    exporter.scrape().value(&format!("circuit_breaker_{name}"), &of_test(&[]))
}

fn of_rule(exporter: &Exporter, name: &str, rule: &str) -> f64 {
    exporter.scrape().value(&format!("circuit_breaker_{name}"), &of_test(&[("rule", rule)]))
}

/// Whether a gauge shows about this time from now on. The wall clock is not paused in these tests.
fn is_from_now(exporter: &Exporter, name: &str, wait: Duration) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    (gauge(exporter, name) - (now + wait).as_secs_f64()).abs() < 60.0
}

#[tokio::test(start_paused = true)]
async fn the_failure_streak_and_its_limit_are_shown_and_stay_while_the_circuit_is_not_closed() {
    let exporter = Exporter::new();
    let breaker = sensitive().consecutive_failures(5).build().unwrap();
    let streak = || {
        let _ = breaker.snapshot();
        let progress = of_rule(&exporter, "trip_progress", "consecutive_failures");
        (gauge(&exporter, "consecutive_failures"), progress)
    };
    assert_eq!(of_rule(&exporter, "trip_threshold", "consecutive_failures"), 5.0);
    assert_eq!(streak(), (0.0, 0.0));
    (0..2).for_each(|_| permit(&breaker).failure());
    assert_eq!(streak(), (2.0, 0.4));
    permit(&breaker).success();
    assert_eq!(streak(), (0.0, 0.0));
    (0..5).for_each(|_| permit(&breaker).failure());
    assert_eq!(streak(), (5.0, 1.0));
    advance(SECOND).await;
    let probe = permit(&breaker);
    assert_eq!(streak(), (5.0, 1.0));
    probe.failure();
    assert_eq!(streak(), (5.0, 1.0));
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(streak(), (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn rates_are_shown_as_they_were_judged_last() {
    let exporter = Exporter::new();
    let breaker = sensitive()
        .consecutive_failures(100)
        .failure_rate_threshold(0.75)
        .slow_call_duration_threshold(SECOND)
        .minimum_calls(4)
        .sliding_window(SlidingWindow::time(SECOND * 10))
        .build()
        .unwrap();
    let rates = || {
        let _ = breaker.snapshot();
        ["failure_rate", "slow_call_rate"].map(|name| gauge(&exporter, name))
    };
    let slow = permit(&breaker);
    advance(SECOND).await;
    slow.success();
    permit(&breaker).success();
    permit(&breaker).failure();
    assert_eq!(rates(), [0.0, 0.0], "too few calls to judge");
    assert_eq!(of_rule(&exporter, "trip_progress", "failure_rate"), 1.0 / 3.0 / 0.75);
    permit(&breaker).failure();
    assert_eq!(rates(), [0.5, 0.25]);
    assert_eq!(of_rule(&exporter, "trip_progress", "failure_rate"), 0.5 / 0.75);
    advance(SECOND * 20).await;
    assert_eq!(rates(), [0.0, 0.0], "the window is empty");

    permit(&breaker).success();
    (0..3).for_each(|_| permit(&breaker).failure());
    assert_eq!(rates(), [0.75, 0.0]);
    for _ in 0..3 {
        advance(SECOND).await;
        let probe = permit(&breaker);
        assert_eq!(rates(), [0.75, 0.0], "probes are no window");
        probe.failure();
        assert_eq!(rates(), [0.75, 0.0]);
    }
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(rates(), [0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_judged_by_a_sample_of_probes_is_shown() {
    let exporter = Exporter::new();
    let breaker = CircuitBreaker::builder("test")
        .failure_rate_threshold(0.5)
        .half_open(HalfOpen::sample(4))
        .open_duration(SECOND)
        .build()
        .unwrap();
    breaker.trip();
    advance(SECOND).await;
    let probes: Vec<_> = (0..4).map(|_| permit(&breaker)).collect();
    probes.into_iter().for_each(tower_breaker::Permit::failure);
    assert_eq!(gauge(&exporter, "failure_rate"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_number_of_failures_in_the_window_has_its_threshold_and_its_progress() {
    let exporter = Exporter::new();
    let breaker = CircuitBreaker::builder("test").failure_count_threshold(8).build().unwrap();
    (0..2).for_each(|_| permit(&breaker).failure());
    tower_breaker::metrics::refresh();
    assert_eq!(of_rule(&exporter, "trip_threshold", "failure_count"), 8.0);
    assert_eq!(of_rule(&exporter, "trip_progress", "failure_count"), 0.25);
}

#[tokio::test(start_paused = true)]
async fn an_outage_shows_since_when_its_attempt_and_its_next_probe() {
    let exporter = Exporter::new();
    let breaker = sensitive().open_duration(SECOND * 3600).build().unwrap();
    permit(&breaker).failure();
    assert!(is_from_now(&exporter, "open_since_timestamp_seconds", Duration::ZERO));
    let since = gauge(&exporter, "open_since_timestamp_seconds");
    assert_eq!(gauge(&exporter, "attempt"), 1.0);
    assert!(is_from_now(&exporter, "next_probe_timestamp_seconds", SECOND * 3600));
    advance(SECOND * 1800).await;
    tower_breaker::metrics::refresh();
    assert!(is_from_now(&exporter, "next_probe_timestamp_seconds", SECOND * 1800));

    advance(SECOND * 1800).await;
    let probe = permit(&breaker);
    assert_eq!(gauge(&exporter, "probes_in_flight"), 1.0);
    assert_eq!(gauge(&exporter, "next_probe_timestamp_seconds"), 0.0);
    probe.failure();
    assert_eq!(gauge(&exporter, "probes_in_flight"), 0.0);
    assert_eq!(gauge(&exporter, "attempt"), 2.0);
    assert_eq!(gauge(&exporter, "open_since_timestamp_seconds"), since);

    breaker.force_open();
    assert_eq!(gauge(&exporter, "next_probe_timestamp_seconds"), 0.0);
    breaker.resume();
    permit(&breaker).success();
    for name in ["open_since", "next_probe"].map(|name| format!("{name}_timestamp_seconds")) {
        assert_eq!(gauge(&exporter, &name), 0.0);
    }
    assert_eq!(gauge(&exporter, "attempt"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn forced_circuits_are_counted_by_the_state_that_they_are_held_in() {
    let exporter = Exporter::new();
    let [one, other] = [(); 2].map(|()| sensitive().build().unwrap());
    let forced = || {
        let scrape = exporter.scrape();
        ["open", "closed"]
            .map(|state| scrape.value("circuit_breaker_forced", &of_test(&[("state", state)])))
    };
    one.force_open();
    assert_eq!(forced(), [1.0, 0.0]);
    other.force_closed();
    assert_eq!(forced(), [1.0, 1.0]);
    one.force_closed();
    assert_eq!(forced(), [0.0, 2.0]);
    other.resume();
    assert_eq!(forced(), [0.0, 1.0]);
    drop(one);
    assert_eq!(forced(), [0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_suspected_circuit_shows_that_and_the_stricter_thresholds_until_it_ends() {
    let exporter = Exporter::new();
    let breaker = sensitive().consecutive_failures(5).build().unwrap();
    let threshold = || {
        tower_breaker::metrics::refresh();
        let labels = of_test(&[("rule", "consecutive_failures")]);
        exporter.scrape().value("circuit_breaker_trip_threshold", &labels)
    };
    assert_eq!(threshold(), 5.0);
    breaker.suspect(SECOND * 10);
    assert_eq!((threshold(), gauge(&exporter, "suspected")), (3.0, 1.0));
    advance(SECOND * 10).await;
    assert_eq!((threshold(), gauge(&exporter, "suspected")), (5.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_begins_open_because_of_a_saved_state_is_counted_as_opened_by_it() {
    let exporter = Exporter::new();
    let former = sensitive().build().unwrap();
    former.trip();
    let _breaker = CircuitBreaker::builder("primed").primed(&former.save()).build().unwrap();
    let labels = [("breaker", "primed"), ("cause", "primed"), ("from", "closed"), ("to", "open")];
    let scrape = exporter.scrape();
    assert_eq!(scrape.value("circuit_breaker_transitions_total", &labels), 1.0);
    let labels = [("breaker", "primed"), ("state", "open")];
    assert_eq!(scrape.value("circuit_breaker_state", &labels), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_forced_for_a_time_is_counted_until_that_is_over_although_nobody_calls() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let forced = || {
        tower_breaker::metrics::refresh();
        let scrape = exporter.scrape();
        ["open", "closed"]
            .map(|state| scrape.value("circuit_breaker_forced", &of_test(&[("state", state)])))
    };
    breaker.force_open_for(SECOND * 10);
    assert_eq!(forced(), [1.0, 0.0]);
    assert!(is_from_now(&exporter, "next_probe_timestamp_seconds", SECOND * 10));
    advance(SECOND * 60).await;
    assert_eq!(forced(), [0.0, 0.0]);
    let scrape = exporter.scrape();
    let seconds =
        |state| scrape.value("circuit_breaker_state_seconds_total", &of_test(&[("state", state)]));
    assert_eq!([seconds("open"), seconds("half_open")], [10.0, 50.0]);

    breaker.force_closed_for(SECOND * 10);
    assert_eq!(forced(), [0.0, 1.0]);
    advance(SECOND * 10).await;
    assert_eq!(forced(), [0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_opens_soon_after_its_probes_closed_it_is_a_reopening() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let reopenings = || gauge(&exporter, "reopenings_total");
    let recover = async || {
        advance(SECOND).await;
        permit(&breaker).success();
    };
    permit(&breaker).failure();
    assert_eq!(reopenings(), 0.0, "the first opening");
    recover().await;
    advance(SECOND * 599).await;
    permit(&breaker).failure();
    assert_eq!(reopenings(), 1.0);
    recover().await;
    advance(SECOND * 601).await;
    permit(&breaker).failure();
    assert_eq!(reopenings(), 1.0, "long after");
    breaker.reset();
    permit(&breaker).failure();
    assert_eq!(reopenings(), 1.0, "an operator closed it");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_dropped_leaves_no_value_in_its_gauges() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure();
    breaker.force_open();
    drop(breaker);
    let scrape = exporter.scrape();
    let is_gauge = |name: &str| !name.ends_with("_total");
    for series in scrape.0.iter().filter(|series| is_gauge(&series.name)) {
        assert_eq!(series.value, 0.0, "{series:?}");
    }
}

#[cfg(feature = "keyed")]
#[tokio::test(start_paused = true)]
async fn the_circuits_of_keys_add_up_and_show_since_when_one_of_them_has_not_been_closed() {
    use tower_breaker::keyed::CircuitBreakerRegistry;

    let exporter = Exporter::new();
    let circuits: CircuitBreakerRegistry<String> =
        CircuitBreakerRegistry::builder(sensitive()).build().unwrap();
    let [a, b] = ["a", "b"].map(|key| circuits.get_or_create(key));
    a.trip();
    b.trip();
    let since = gauge(&exporter, "open_since_timestamp_seconds");
    assert!(is_from_now(&exporter, "open_since_timestamp_seconds", Duration::ZERO));
    advance(SECOND).await;
    let probes = [&a, &b].map(permit);
    assert_eq!(gauge(&exporter, "probes_in_flight"), 2.0);
    let [first, second] = probes;
    first.success();
    assert_eq!(gauge(&exporter, "open_since_timestamp_seconds"), since);
    second.success();
    assert_eq!(gauge(&exporter, "open_since_timestamp_seconds"), 0.0);
    assert_eq!(gauge(&exporter, "probes_in_flight"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_share_that_is_admitted_is_shown_where_a_circuit_recovers_gradually() {
    let exporter = Exporter::new();
    let without = sensitive().build().unwrap();
    without.trip();
    assert_eq!(exporter.scrape().of(ADMITTED_SHARE, &[]).count(), 0);
    drop(without);

    let ramp = HalfOpen::consecutive_successes(1).ramp(10 * SECOND);
    let breaker = sensitive().half_open(ramp).build().unwrap();
    let share = || {
        tower_breaker::metrics::refresh();
        gauge(&exporter, "admitted_share")
    };
    assert_eq!(share(), 1.0);
    breaker.trip();
    assert_eq!(share(), 0.0);
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(share(), 0.1);
    advance(SECOND * 4).await;
    assert_eq!(share(), 0.4);
    while breaker.try_acquire().map(Permit::success).is_ok() {}
    let recovering = of_test(&[("reason", "recovering")]);
    assert_eq!(exporter.scrape().value(REJECTIONS, &recovering), 1.0);
    advance(SECOND * 6).await;
    permit(&breaker).success();
    assert_eq!(share(), 1.0);
    let completed = [("from", "half_open"), ("to", "closed"), ("cause", "ramp_completed")];
    assert_eq!(exporter.scrape().value(TRANSITIONS, &of_test(&completed)), 1.0);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_shown_where_they_count_and_those_that_are_overdue() {
    let exporter = Exporter::new();
    let without = sensitive().build().unwrap();
    let _call = permit(&without);
    let scrape = exporter.scrape();
    assert_eq!(scrape.of(CALLS_IN_FLIGHT, &[]).count() + scrape.of(CALLS_OVERDUE, &[]).count(), 0);
    drop(without);

    let breaker = sensitive()
        .consecutive_failures(5)
        .slow_call_duration_threshold(SECOND)
        .slow_in_flight(true)
        .hung_after(SECOND * 2)
        .build()
        .unwrap();
    let seen = || {
        tower_breaker::metrics::refresh();
        let scrape = exporter.scrape();
        let overdue = |kind| scrape.value(CALLS_OVERDUE, &of_test(&[("kind", kind)]));
        (scrape.value(CALLS_IN_FLIGHT, &of_test(&[])), overdue("slow"), overdue("hung"))
    };
    assert_eq!(seen(), (0.0, 0.0, 0.0));
    let calls: Vec<Permit> = (0..3).map(|_| permit(&breaker)).collect();
    assert_eq!(seen(), (3.0, 0.0, 0.0));
    advance(SECOND * 5 / 4).await;
    assert_eq!(seen(), (3.0, 3.0, 0.0));
    advance(SECOND * 5 / 4).await;
    assert_eq!(seen(), (3.0, 3.0, 3.0));
    calls.into_iter().for_each(Permit::success);
    assert_eq!(seen(), (0.0, 0.0, 0.0));
}
