//! The metrics of states, the time in each state, transitions and rates.

use tokio::time::advance;

use crate::scrape::Scrape;
use crate::*;

const STATES: [&str; 3] = ["closed", "open", "half_open"];

fn states(scrape: &Scrape) -> [f64; 3] {
    STATES.map(|state| scrape.value(STATE, &of_test(&[("state", state)])))
}

/// Returns the seconds spent open and half-open.
fn seconds(scrape: &Scrape) -> [f64; 2] {
    ["open", "half_open"].map(|state| scrape.value(STATE_SECONDS, &of_test(&[("state", state)])))
}

#[tokio::test(start_paused = true)]
async fn exactly_one_state_is_one() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    assert_eq!(states(&exporter.scrape()), [1.0, 0.0, 0.0]);
    permit(&breaker).failure();
    assert_eq!(states(&exporter.scrape()), [0.0, 1.0, 0.0]);
    breaker.force_open(); // from open to open
    assert_eq!(states(&exporter.scrape()), [0.0, 1.0, 0.0]);
    breaker.resume();
    assert_eq!(states(&exporter.scrape()), [0.0, 0.0, 1.0]);
    permit(&breaker).success();
    assert_eq!(states(&exporter.scrape()), [1.0, 0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn breakers_with_the_same_name_add_up_and_one_that_is_dropped_leaves_the_states() {
    let exporter = Exporter::new();
    let (one, other) = (sensitive().build().unwrap(), sensitive().build().unwrap());
    assert_eq!(states(&exporter.scrape()), [2.0, 0.0, 0.0]);
    permit(&one).failure();
    assert_eq!(states(&exporter.scrape()), [1.0, 1.0, 0.0]);
    advance(SECOND).await;
    drop(one.clone());
    drop(one);
    assert_eq!(states(&exporter.scrape()), [1.0, 0.0, 0.0]);
    drop(other);
    assert_eq!(states(&exporter.scrape()), [0.0; 3]);
    assert_eq!(seconds(&exporter.scrape()), [1.0, 0.0]); // the counts stay
}

#[tokio::test(start_paused = true)]
async fn the_seconds_in_a_state_are_whole_and_lose_no_fraction() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    let other = sensitive().build().unwrap();
    advance(SECOND * 2).await;
    permit(&breaker).failure();
    advance(SECOND + SECOND / 4).await;
    let probe = permit(&breaker);
    assert_eq!(seconds(&exporter.scrape()), [1.0, 0.0]);
    advance(SECOND / 2).await;
    let _ = breaker.snapshot();
    assert_eq!(seconds(&exporter.scrape()), [1.0, 0.0]);
    advance(SECOND / 2).await;
    tower_breaker::metrics::refresh();
    tower_breaker::metrics::refresh();
    assert_eq!(seconds(&exporter.scrape()), [1.0, 1.0]);
    probe.failure();
    advance(SECOND * 3 / 4).await;
    tower_breaker::metrics::refresh();
    assert_eq!(seconds(&exporter.scrape()), [2.0, 1.0]); // 1.25 s and 0.75 s
    drop(breaker);
    advance(SECOND * 1000).await;
    drop(other);
    assert_eq!(seconds(&exporter.scrape()), [2.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_shows_as_open_once_its_time_has_passed_even_if_nobody_has_noticed() {
    let exporter = Exporter::new();
    let breaker = sensitive().probe_timeout(SECOND * 3).build().unwrap();
    permit(&breaker).failure();
    advance(SECOND).await;
    let hangs = permit(&breaker);
    advance(SECOND * 10).await;
    tower_breaker::metrics::refresh();
    assert_eq!(states(&exporter.scrape()), [0.0, 1.0, 0.0]);
    assert_eq!(seconds(&exporter.scrape()), [8.0, 3.0]);
    let timed_out = [("from", "half_open"), ("to", "open"), ("cause", "probe_timed_out")];
    assert_eq!(exporter.scrape().value(TRANSITIONS, &of_test(&timed_out)), 0.0);

    advance(SECOND).await;
    let probe = permit(&breaker); // notices the timeout
    assert_eq!(states(&exporter.scrape()), [0.0, 0.0, 1.0]);
    assert_eq!(seconds(&exporter.scrape()), [9.0, 3.0]);
    assert_eq!(exporter.scrape().value(TRANSITIONS, &of_test(&timed_out)), 1.0);
    drop((hangs, probe));
}

#[tokio::test(start_paused = true)]
async fn transitions_are_counted_by_both_states_and_the_cause() {
    let exporter = Exporter::new();
    let breaker = sensitive().build().unwrap();
    permit(&breaker).failure();
    breaker.reset();
    permit(&breaker).failure();
    advance(SECOND).await;
    permit(&breaker).failure();
    let scrape = exporter.scrape();
    let counted = |from, to, cause| {
        scrape.value(TRANSITIONS, &of_test(&[("from", from), ("to", to), ("cause", cause)]))
    };
    assert_eq!(counted("closed", "open", "consecutive_failures"), 2.0);
    assert_eq!(counted("open", "closed", "reset"), 1.0);
    assert_eq!(counted("open", "half_open", "wait_over"), 1.0);
    assert_eq!(counted("half_open", "open", "probe_failed"), 1.0);
    assert_eq!(scrape.sum(TRANSITIONS, &[]), 5.0);
}

#[cfg(feature = "keyed")]
#[test]
fn circuits_of_keys_are_counted_under_the_name_of_their_registry() {
    use tower_breaker::keyed::CircuitBreakerRegistry;

    let exporter = Exporter::new();
    let circuits: CircuitBreakerRegistry<String> =
        CircuitBreakerRegistry::builder(sensitive()).build().unwrap();
    for key in ["a", "b", "c"] {
        circuits.get_or_create(key).try_acquire().unwrap().success();
    }
    circuits.get_or_create("c").trip();
    let scrape = exporter.scrape();
    assert_eq!(states(&scrape), [2.0, 1.0, 0.0]);
    assert_eq!(scrape.sum(CALLS, &of_test(&[])), 3.0);
    assert!(scrape.0.iter().all(|series| series.labels["breaker"] == "test"), "a key is no label");
    for name in ["failure_rate", "consecutive_failures", "trip_progress", "trip_threshold"] {
        let name = format!("circuit_breaker_{name}");
        assert_eq!(scrape.of(&name, &[]).count(), 0, "several would fight for {name}");
    }

    drop(circuits);
    let scrape = exporter.scrape();
    assert_eq!(states(&scrape), [0.0; 3]);
}
