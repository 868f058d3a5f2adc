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
use tower_breaker_benches::{BASELINE, INNER, Shape, Table, behind, concurrency_limit, open};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

/// Long enough that no circuit admits a probe while it is measured.
const WAIT: Duration = Duration::from_secs(3600);

fn main() {
    let mut table = Table::new(&[Shape::ByHand]);
    table.service(BASELINE, concurrency_limit());
    let fallback = |n: u32, _: Rejected| ready(Ok(n));
    let answered = |breaker| CircuitBreakerLayer::new(breaker).fallback(fallback).layer(INNER);
    table.service("open", behind(&open(), INNER));
    table.service("open, a fallback answers", answered(open()));
    table.service("forced open", behind(&forced_open(), INNER));
    table.service("forced open, a fallback answers", answered(forced_open()));
    peers(&mut table);
    table.measure();
    table.print(BASELINE);
}

fn forced_open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("forced");
    breaker.force_open();
    breaker
}

fn peers(table: &mut Table<'_>) {
    let recloser = Recloser::custom().closed_len(1).open_wait(WAIT).build();
    let call = move || recloser.call(|| Err::<u32, u32>(black_box(1)));
    while !matches!(call(), Err(recloser::Error::Rejected)) {}
    table.action("recloser", call);

    let policy = failure_policy::consecutive_failures(1, backoff::constant(WAIT));
    let failsafe = Config::new().failure_policy(policy).build();
    let call = move || failsafe.call(|| Err::<u32, u32>(black_box(1)));
    while !matches!(call(), Err(failsafe::Error::Rejected)) {}
    table.action("failsafe", call);

    let resilience = ResilienceLayer::builder().wait_duration_in_open(WAIT).build();
    let resilience = resilience.expect("the settings are valid");
    let service = resilience.layer_fn(INNER);
    at_once(service.force_open());
    table.service("tower-resilience", service);
    let service = resilience.layer_fn(INNER).with_fallback(|n| Box::pin(ready(Ok(n))));
    at_once(service.force_open());
    table.service("tower-resilience, a fallback answers", service);
}

/// Drives a future that has nothing to wait for.
fn at_once(future: impl Future) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_ready());
}
