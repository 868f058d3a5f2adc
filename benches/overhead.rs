//! What one call costs on one thread, for each kind of window, beside the peers: polled by hand, and
//! in an async function on a tokio runtime.
//!
//! ```sh
//! cd benches && cargo bench --bench overhead --no-default-features
//! ```

use std::hint::black_box;
use std::time::Duration;

use failsafe::{CircuitBreaker as _, Config, backoff, failure_policy};
use recloser::Recloser;
use tower_breaker::{CircuitBreaker, SlidingWindow, State};
use tower_breaker_benches::{
    BASELINE, HALF_FAILS, INNER, Shape, Table, behind, build, visit_services,
};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

fn main() {
    let mut table = Table::new(&Shape::ALL);
    table.service("no layer", INNER);
    visit_services(&mut table);
    let breaker = one_failure_short();
    let name = "count window of 100, one failure short of tripping";
    table.service(name, behind(&breaker, HALF_FAILS));
    let resilience = ResilienceLayer::builder().sliding_window_size(100).build();
    let resilience = resilience.expect("the settings are valid");
    table.service("tower-resilience", resilience.layer_fn(INNER));
    not_services(&mut table);
    table.measure();
    table.print(BASELINE);
    assert_eq!(breaker.state(), State::Closed);
}

/// If half of the calls fail, one failure more would trip it.
fn one_failure_short() -> CircuitBreaker {
    let builder = CircuitBreaker::builder("short").failure_rate_threshold(0.51).minimum_calls(100);
    build(builder.sliding_window(SlidingWindow::count(100)))
}

/// Peers that are not Tower services, measured by a plain call, and the clock.
fn not_services(table: &mut Table<'_>) {
    let recloser = Recloser::custom().closed_len(100).build();
    table.action("recloser", move || recloser.call(|| Ok::<u32, ()>(black_box(1))));
    let wait = || backoff::constant(Duration::from_secs(5));
    let consecutive = failure_policy::consecutive_failures(5, wait());
    let consecutive = Config::new().failure_policy(consecutive).build();
    table.action("failsafe, consecutive", move || consecutive.call(|| Ok::<u32, ()>(black_box(1))));
    let average =
        failure_policy::success_rate_over_time_window(0.5, 20, Duration::from_secs(30), wait());
    let average = Config::new().failure_policy(average).build();
    table.action("failsafe, moving average", move || average.call(|| Ok::<u32, ()>(black_box(1))));
    table.action("reading the clock", tokio::time::Instant::now);
}
