//! Names come from strangers: a registry makes them of hosts and keys. Wherever a name is shown, it cannot
//! break out of its line, while code gets it as it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_breaker::{CircuitBreaker, CircuitBreakerError};

const SECOND: Duration = Duration::from_secs(1);

/// Would add a line to the log, clear the terminal, turn the line around, and end it in some viewers.
const HOSTILE: &str = "a\nWARN b\r\u{1b}[2J\u{202e}\u{2028}\u{9b}";
const SHOWN: &str = "a\\nWARN b\\r\\u{1b}[2J\\u{202e}\\u{2028}\\u{9b}";

/// A breaker of that name after one event of every kind, and what its listener printed.
async fn events() -> (CircuitBreaker, Vec<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let printed = lines.clone();
    let breaker = CircuitBreaker::builder(HOSTILE)
        .consecutive_failures(1)
        .open_duration(SECOND)
        .probe_timeout(SECOND)
        .on_event(move |event| {
            assert_eq!(event.breaker(), HOSTILE);
            printed.lock().unwrap().push(event.to_string());
        })
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().success();
    breaker.trip();
    breaker.try_acquire().unwrap_err();
    tokio::time::advance(SECOND).await;
    let _hangs = breaker.try_acquire().unwrap();
    tokio::time::advance(SECOND).await;
    breaker.force_open();
    let lines = lines.lock().unwrap().drain(..).collect();
    (breaker, lines)
}

#[track_caller]
fn assert_shown_on_one_line(line: &str) {
    assert!(line.contains(SHOWN), "{line:?}");
    assert!(!line.contains(|c: char| c.is_control() || "\u{202e}\u{2028}".contains(c)), "{line:?}");
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_event_is_one_line_whatever_the_name() {
    let (_breaker, lines) = events().await;
    assert_eq!(lines.len(), 10);
    lines.iter().for_each(|line| assert_shown_on_one_line(line));
}

#[tokio::test(start_paused = true)]
async fn errors_and_transitions_are_one_line_and_give_the_name_as_it_is() {
    let (breaker, _lines) = events().await;
    assert_eq!(breaker.name(), HOSTILE);
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.breaker(), HOSTILE);
    assert_shown_on_one_line(&rejected.to_string());
    assert_shown_on_one_line(&CircuitBreakerError::<String>::from(rejected.clone()).to_string());
    let boxed: tower::BoxError = CircuitBreakerError::<String>::from(rejected.clone()).into();
    assert_shown_on_one_line(&boxed.to_string());
    for transition in breaker.history() {
        assert_eq!(transition.breaker(), HOSTILE);
        assert_shown_on_one_line(&transition.to_string());
        assert_shown_on_one_line(&format!("{transition:?}"));
    }
    assert_shown_on_one_line(&format!("{breaker:?}"));
    assert_shown_on_one_line(&format!("{rejected:?}"));
}

#[cfg(feature = "keyed")]
#[test]
fn the_circuit_of_a_hostile_key_shows_it_on_one_line() {
    use tower_breaker::keyed::CircuitBreakerRegistry;

    let circuits = CircuitBreakerRegistry::builder(CircuitBreaker::builder("hosts")).build();
    let breaker = circuits.unwrap().get_or_create(&HOSTILE.to_owned());
    assert_eq!(breaker.name(), format!("hosts/{HOSTILE}"));
    breaker.force_open();
    assert_shown_on_one_line(&breaker.try_acquire().unwrap_err().to_string());
}

#[cfg(feature = "metrics")]
#[test]
fn the_label_of_a_metric_is_the_name_as_it_is_and_the_exporter_escapes_it() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || CircuitBreaker::new("a\nb\"c\\"));
    let rendered = handle.render();
    assert!(rendered.contains(r#"breaker="a\nb\"c\\""#), "{rendered}");
}
