//! Which series there are, and from when on.

use metrics_util::MetricKindMask;
use tokio::time::advance;
use tower_breaker::SlidingWindow;

use crate::scrape::Scrape;
use crate::*;

/// The name of each series with its labels, without that of the breaker.
fn series(exporter: &Exporter) -> Vec<String> {
    let mut all: Vec<_> = exporter
        .scrape()
        .0
        .iter()
        .map(|series| {
            let labels = series.labels.iter().filter(|(key, _)| *key != "breaker");
            let labels: Vec<_> = labels.map(|(key, value)| format!("{key}={value}")).collect();
            let name = series.name.strip_prefix("circuit_breaker_").unwrap();
            format!("{name} {}", labels.join(" ")).trim_end().to_owned()
        })
        .collect();
    all.sort();
    all
}

/// What is in `after` and not in `before`.
fn new(before: &[String], after: &[String]) -> Vec<String> {
    assert!(before.iter().all(|series| after.contains(series)), "no series ends");
    after.iter().filter(|series| !before.contains(series)).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn a_breaker_with_the_defaults_begins_with_few_series() {
    let exporter = Exporter::new();
    let _breaker = CircuitBreaker::new("test");
    let expected = [
        "calls_total outcome=abandoned",
        "calls_total outcome=failure",
        "calls_total outcome=ignored",
        "calls_total outcome=soft_failure",
        "calls_total outcome=success",
        "consecutive_failures",
        "failure_rate",
        "rejections_total reason=half_open",
        "rejections_total reason=open",
        "reopenings_total",
        "stale_results_total",
        "state state=closed",
        "state state=half_open",
        "state state=open",
        "state_seconds_total state=half_open",
        "state_seconds_total state=open",
        "transitions_total cause=consecutive_failures from=closed to=open",
        "transitions_total cause=failure_rate from=closed to=open",
        "transitions_total cause=probe_failed from=half_open to=open",
        "transitions_total cause=probe_timed_out from=half_open to=open",
        "transitions_total cause=probes_succeeded from=half_open to=closed",
        "transitions_total cause=wait_over from=open to=half_open",
        "trip_progress rule=consecutive_failures",
        "trip_progress rule=failure_rate",
        "trip_threshold rule=consecutive_failures",
        "trip_threshold rule=failure_rate",
    ];
    assert_eq!(series(&exporter), expected);
}

#[tokio::test(start_paused = true)]
async fn a_rule_brings_its_own_series() {
    let exporter = Exporter::new();
    let _plain = sensitive().build().unwrap();
    let plain = series(&exporter);
    let _slow = sensitive()
        .slow_call_duration_threshold(SECOND)
        .slow_call_rate_threshold(0.5)
        .sliding_window(SlidingWindow::count(10))
        .build()
        .unwrap();
    let expected = [
        "failure_rate",
        "slow_call_rate",
        "slow_calls_total",
        "transitions_total cause=probe_slow from=half_open to=open",
        "transitions_total cause=slow_call_rate from=closed to=open",
        "trip_progress rule=slow_call_rate",
        "trip_threshold rule=slow_call_rate",
    ];
    assert_eq!(new(&plain, &series(&exporter)), expected);
}

#[tokio::test(start_paused = true)]
async fn what_an_outage_needs_begins_with_the_first_one_and_what_operators_do_with_their_first_action()
 {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let healthy = series(&exporter);
    permit(&breaker).failure();
    let tripped = series(&exporter);
    assert_eq!(
        new(&healthy, &tripped),
        [
            "attempt",
            "next_probe_timestamp_seconds",
            "open_since_timestamp_seconds",
            "probes_in_flight"
        ]
    );
    breaker.try_acquire().unwrap_err();
    advance(SECOND).await;
    permit(&breaker).success();
    assert_eq!(series(&exporter), tripped);

    breaker.force_open();
    let forced = series(&exporter);
    assert_eq!(
        new(&tripped, &forced),
        [
            "forced state=closed",
            "forced state=open",
            "rejections_total reason=forced_open",
            "transitions_total cause=force_open from=closed to=open"
        ]
    );
    breaker.try_acquire().unwrap_err();
    breaker.reset();
    assert_eq!(series(&exporter), forced);
}

#[test]
fn series_that_begin_on_a_thread_without_the_recorder_lose_no_count() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let on_another_thread = |act: fn(&CircuitBreaker)| {
        std::thread::scope(|scope| scope.spawn(|| act(&breaker)).join().unwrap());
    };
    on_another_thread(CircuitBreaker::trip);
    on_another_thread(CircuitBreaker::reset);
    on_another_thread(CircuitBreaker::force_open);
    on_another_thread(|breaker| drop(breaker.try_acquire().unwrap_err()));
    assert_eq!(exporter.scrape().sum(TRANSITIONS, &[]), 0.0);

    let _ = breaker.snapshot();
    let scrape = exporter.scrape();
    let transitions = ["trip", "reset", "force_open"];
    assert_eq!(transitions.map(|cause| scrape.sum(TRANSITIONS, &[("cause", cause)])), [1.0; 3]);
    assert_eq!(scrape.sum("circuit_breaker_forced", &[("state", "open")]), 1.0);

    breaker.try_acquire().unwrap_err();
    assert_eq!(exporter.scrape().sum(REJECTIONS, &[("reason", "forced_open")]), 2.0);
}

#[test]
fn a_refresh_keeps_the_series_in_an_exporter_that_drops_those_that_do_not_change() {
    let _alone = Exporter::new();
    let recorder = PrometheusBuilder::new()
        .idle_timeout(MetricKindMask::ALL, Some(Duration::from_nanos(1)))
        .build_recorder();
    let breaker = metrics::with_local_recorder(&recorder, || sensitive().build().unwrap());
    let served = || Scrape::parse(&recorder.handle().render());
    metrics::with_local_recorder(&recorder, || {
        permit(&breaker).failure();
        breaker.force_open();
    });
    let before = served();
    for _ in 0..3 {
        tower_breaker::metrics::refresh();
        assert_eq!(served().0.len(), before.0.len());
    }
    assert_eq!(served().0.len(), 0, "this exporter does drop what was not refreshed");
}
