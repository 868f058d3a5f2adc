//! What it costs to reject a call, beside the peers and beside a call that is admitted.
//!
//! ```sh
//! cd benches && cargo bench --bench rejection
//! ```

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use failsafe::{CircuitBreaker as _, Config, backoff, failure_policy};
use recloser::Recloser;
use tower::Layer;
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, Rejected};
use tower_breaker_benches::{
    BASELINE, Group, INNER, Shape, behind, concurrency_limit, criterion, open, print_table,
};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

/// Long enough that no circuit admits a probe while it is measured.
const WAIT: Duration = Duration::from_secs(3600);

fn main() {
    let mut criterion = criterion();
    let mut group = Group::new(&mut criterion, "one rejection", Shape::ByHand);
    group.service(BASELINE, concurrency_limit());
    let fallback = |n: u32, _: Rejected| ready(Ok(n));
    let answered = |breaker| CircuitBreakerLayer::new(breaker).fallback(fallback).layer(INNER);
    group.service("open", behind(&open(), INNER));
    group.service("open, a fallback answers", answered(open()));
    group.service("forced open", behind(&forced_open(), INNER));
    group.service("forced open, a fallback answers", answered(forced_open()));
    peers(&mut group);
    let column = group.finish();
    criterion.final_summary();
    print_table(&[column], BASELINE);
}

fn forced_open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("forced");
    breaker.force_open();
    breaker
}

fn peers(group: &mut Group<'_>) {
    let recloser = Recloser::custom().closed_len(1).open_wait(WAIT).build();
    let call = || recloser.call(|| Err::<u32, u32>(black_box(1)));
    while !matches!(call(), Err(recloser::Error::Rejected)) {}
    group.action("recloser", call);

    let policy = failure_policy::consecutive_failures(1, backoff::constant(WAIT));
    let failsafe = Config::new().failure_policy(policy).build();
    let call = || failsafe.call(|| Err::<u32, u32>(black_box(1)));
    while !matches!(call(), Err(failsafe::Error::Rejected)) {}
    group.action("failsafe", call);

    let resilience = ResilienceLayer::builder().wait_duration_in_open(WAIT).build();
    let resilience = resilience.expect("the settings are valid");
    let service = resilience.layer_fn(INNER);
    at_once(service.force_open());
    group.service("tower-resilience", service);
    let service = resilience.layer_fn(INNER).with_fallback(|n| Box::pin(ready(Ok(n))));
    at_once(service.force_open());
    group.service("tower-resilience, a fallback answers", service);
}

/// Drives a future that has nothing to wait for.
fn at_once(future: impl Future) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_ready());
}
