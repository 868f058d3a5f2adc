//! A global recorder that is installed after the breaker was built. A process has only one global recorder, so this
//! test has a process of its own.
#![cfg(feature = "metrics")]

#[path = "metrics/scrape.rs"]
mod scrape;

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::advance;
use tower_breaker::CircuitBreaker;

use crate::scrape::Scrape;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_installed_later_misses_nothing() {
    let breakers = ["calls", "refreshed", "operated"].map(|name| {
        let breaker = CircuitBreaker::builder(name).consecutive_failures(1).build().unwrap();
        (0..1000).for_each(|_| breaker.try_acquire().unwrap().success());
        breaker.try_acquire().unwrap().failure();
        breaker.reset();
        breaker.try_acquire().unwrap().failure();
        breaker.try_acquire().unwrap_err();
        breaker
    });
    #[cfg(feature = "keyed")]
    let _registry = {
        use tower_breaker::keyed::CircuitBreakerRegistry;
        let circuits = CircuitBreakerRegistry::builder(CircuitBreaker::builder("registry")).build();
        circuits.inspect(|circuits| drop(circuits.get_or_create(&1)))
    };
    advance(SECOND * 2).await;

    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    breakers[0].try_acquire().unwrap_err();
    breakers[2].force_open();
    let scrape = || Scrape::parse(&handle.render());
    let state = |breaker, state| {
        scrape().value("circuit_breaker_state", &[("breaker", breaker), ("state", state)])
    };
    for breaker in ["calls", "operated"] {
        assert_eq!(["closed", "open", "half_open"].map(|s| state(breaker, s)), [0.0, 1.0, 0.0]);
    }
    assert_eq!(scrape().of("circuit_breaker_state", &[("breaker", "refreshed")]).count(), 0);

    tower_breaker::metrics::refresh();
    assert_eq!(["closed", "open", "half_open"].map(|s| state("refreshed", s)), [0.0, 1.0, 0.0]);
    let sum = |name, breaker| scrape().sum(name, &[("breaker", breaker)]);
    for (breaker, transitions, rejections) in
        [("calls", 3.0, 2.0), ("refreshed", 3.0, 1.0), ("operated", 4.0, 1.0)]
    {
        assert_eq!(sum("circuit_breaker_state_seconds_total", breaker), 2.0);
        assert_eq!(sum("circuit_breaker_transitions_total", breaker), transitions);
        assert_eq!(sum("circuit_breaker_rejections_total", breaker), rejections);
        assert_eq!(sum("circuit_breaker_calls_total", breaker), 1002.0);
    }
    #[cfg(feature = "keyed")]
    for (name, value) in [("circuits", 1.0), ("capacity", 1024.0), ("unkept_calls_total", 0.0)] {
        let name = format!("circuit_breaker_registry_{name}");
        assert_eq!(scrape().value(&name, &[("breaker", "registry")]), value, "{name}");
    }
}
