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
    BASELINE, Group, HALF_FAILS, INNER, Shape, behind, build, criterion, print_table,
    visit_services,
};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

fn main() {
    let mut criterion = criterion();
    let columns = Shape::ALL.map(|shape| {
        let mut group = Group::new(&mut criterion, shape.name(), shape);
        group.service("no layer", INNER);
        visit_services(&mut group);
        one_failure_short(&mut group);
        let resilience = ResilienceLayer::builder().sliding_window_size(100).build();
        let resilience = resilience.expect("the settings are valid");
        group.service("tower-resilience", resilience.layer_fn(INNER));
        if shape == Shape::ByHand {
            not_services(&mut group);
        }
        group.finish()
    });
    criterion.final_summary();
    print_table(&columns, BASELINE);
}

/// Half of the calls fail, and one failure more would trip the circuit.
fn one_failure_short(group: &mut Group<'_>) {
    let builder = CircuitBreaker::builder("short").failure_rate_threshold(0.51).minimum_calls(100);
    let breaker = build(builder.sliding_window(SlidingWindow::count(100)));
    group.service("the same, one failure short of tripping", behind(&breaker, HALF_FAILS));
    assert_eq!(breaker.state(), State::Closed);
}

/// Peers that are not Tower services, measured by a plain call, and the clock.
fn not_services(group: &mut Group<'_>) {
    let recloser = Recloser::custom().closed_len(100).build();
    group.action("recloser", || recloser.call(|| Ok::<u32, ()>(black_box(1))));
    let wait = || backoff::constant(Duration::from_secs(5));
    let consecutive = failure_policy::consecutive_failures(5, wait());
    let consecutive = Config::new().failure_policy(consecutive).build();
    group.action("failsafe, consecutive", || consecutive.call(|| Ok::<u32, ()>(black_box(1))));
    let average =
        failure_policy::success_rate_over_time_window(0.5, 20, Duration::from_secs(30), wait());
    let average = Config::new().failure_policy(average).build();
    group.action("failsafe, moving average", || average.call(|| Ok::<u32, ()>(black_box(1))));
    group.action("reading the clock", tokio::time::Instant::now);
}
