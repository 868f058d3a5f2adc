//! What it costs to turn a call away, beside the peers and beside a call that is let through.
//!
//! ```sh
//! cd benches && cargo bench --bench rejection
//! ```

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use failsafe::{CircuitBreaker as _, Config, backoff, failure_policy};
use recloser::Recloser;
use tower::Layer;
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Rejected};
use tower_breaker_benches::{
    BASELINE, INNER, behind, concurrency_limit, criterion, measure, open, print_ratios,
};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

const GROUP: &str = "one rejection";
const OPEN: &str = "open";
const OPEN_FALLBACK: &str = "open, a fallback answers";
const FORCED: &str = "forced open";
const FORCED_FALLBACK: &str = "forced open, a fallback answers";
const RECLOSER: &str = "recloser";
const FAILSAFE: &str = "failsafe";
const RESILIENCE: &str = "tower-resilience";
const RESILIENCE_FALLBACK: &str = "tower-resilience, a fallback answers";

const NAMES: [&str; 9] = [
    BASELINE,
    OPEN,
    OPEN_FALLBACK,
    FORCED,
    FORCED_FALLBACK,
    RECLOSER,
    FAILSAFE,
    RESILIENCE,
    RESILIENCE_FALLBACK,
];

/// None of them is to admit a probe.
const WAIT: Duration = Duration::from_secs(3600);

fn main() {
    let mut criterion = criterion();
    let mut group = criterion.benchmark_group(GROUP);
    measure(&mut group, BASELINE, concurrency_limit());
    let fallback = |n: u32, _: Rejected| ready(Ok(n));
    let answered = |breaker| CircuitBreakerLayer::new(breaker).fallback(fallback).layer(INNER);
    measure(&mut group, OPEN, behind(&open(), INNER));
    measure(&mut group, OPEN_FALLBACK, answered(open()));
    measure(&mut group, FORCED, behind(&forced_open(), INNER));
    measure(&mut group, FORCED_FALLBACK, answered(forced_open()));
    peers(&mut group);
    group.finish();
    criterion.final_summary();
    print_ratios(GROUP, BASELINE, &NAMES);
}

fn forced_open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("forced");
    breaker.force_open();
    breaker
}

fn peers(group: &mut BenchmarkGroup<'_, WallTime>) {
    let recloser = Recloser::custom().closed_len(1).open_wait(WAIT).build();
    let call = || recloser.call(|| Err::<u32, u32>(black_box(1)));
    while !matches!(call(), Err(recloser::Error::Rejected)) {}
    group.bench_function(RECLOSER, |bencher| bencher.iter(call));

    let policy = failure_policy::consecutive_failures(1, backoff::constant(WAIT));
    let failsafe = Config::new().failure_policy(policy).build();
    let call = || failsafe.call(|| Err::<u32, u32>(black_box(1)));
    while !matches!(call(), Err(failsafe::Error::Rejected)) {}
    group.bench_function(FAILSAFE, |bencher| bencher.iter(call));

    let resilience = ResilienceLayer::builder().wait_duration_in_open(WAIT).build();
    let resilience = resilience.expect("the settings are valid");
    let service = resilience.layer_fn(INNER);
    at_once(service.force_open());
    measure(group, RESILIENCE, service);
    let service = resilience.layer_fn(INNER).with_fallback(|n| Box::pin(ready(Ok(n))));
    at_once(service.force_open());
    measure(group, RESILIENCE_FALLBACK, service);
}

/// Drives a future that has nothing to wait for.
fn at_once(future: impl Future) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_ready());
}
