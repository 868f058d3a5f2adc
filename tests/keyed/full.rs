//! A registry that is too small reports it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::time::advance;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreakerBuilder, EventKind, State};

const MINUTE: Duration = Duration::from_secs(60);

/// What listeners receive about full registries.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<(String, u64, u64)>>>);

impl Reports {
    fn listen(&self) -> CircuitBreakerBuilder {
        let reports = self.0.clone();
        crate::template().on_event(move |event| {
            if let EventKind::RegistryFull { capacity, unkept_calls } = event.kind() {
                let report = (event.breaker().to_owned(), capacity, unkept_calls);
                reports.lock().unwrap().push(report);
                let calls = if unkept_calls == 1 { "1 call" } else { "3 calls" };
                let expected = format!(
                    "api: the registry is full (capacity {capacity}): {calls} went through circuits \
                     that are not kept"
                );
                assert_eq!(event.to_string(), expected);
            }
        })
    }

    fn take(&self) -> Vec<(String, u64, u64)> {
        self.0.lock().unwrap().drain(..).collect()
    }
}

fn registry(template: CircuitBreakerBuilder, capacity: u32) -> CircuitBreakerRegistry<u32> {
    CircuitBreakerRegistry::builder(template).capacity(capacity).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_full_registry_reports_it_once_a_minute_with_the_number_of_calls() {
    let reports = Reports::default();
    let circuits = registry(reports.listen(), 2);
    (0..2).for_each(|key| circuits.try_acquire(&key).unwrap().failure());
    assert_eq!(reports.take(), [], "there was capacity for these");

    circuits.try_acquire(&7).unwrap().success();
    assert_eq!(reports.take(), [("api".to_owned(), 2, 1)]);
    for key in [7, 8] {
        advance(MINUTE * 9 / 20).await;
        circuits.try_acquire(&key).unwrap().success();
    }
    assert_eq!(reports.take(), [], "a minute has not passed");
    advance(MINUTE / 10).await;
    circuits.get_or_create(&9);
    assert_eq!(reports.take(), [("api".to_owned(), 2, 3)]);

    // Calls through the circuits that it has are not counted.
    advance(MINUTE).await;
    circuits.try_acquire(&0).unwrap_err();
    circuits.get(&0).unwrap().reset();
    circuits.try_acquire(&7).unwrap().success();
    assert_eq!(reports.take(), [], "there is capacity again");
}

#[tokio::test(start_paused = true)]
async fn each_registry_reports_for_itself() {
    let reports = Reports::default();
    for capacity in [1, 2] {
        let circuits = registry(reports.listen(), capacity);
        (0..capacity).for_each(|key| circuits.get_or_create(&key).trip());
        circuits.get_or_create(&7);
    }
    assert_eq!(reports.take(), [("api".to_owned(), 1, 1), ("api".to_owned(), 2, 1)]);
}

#[test]
fn the_listener_of_a_full_registry_may_use_it() {
    static CIRCUITS: OnceLock<CircuitBreakerRegistry<u32>> = OnceLock::new();
    let template = crate::template().on_event(|event| {
        if let EventKind::RegistryFull { .. } = event.kind() {
            let circuits = CIRCUITS.get().unwrap();
            circuits.get_or_create(&8).trip(); // not kept either
            circuits.remove(&0).expect("it is still there");
        }
    });
    let circuits = CIRCUITS.get_or_init(|| registry(template, 1));
    circuits.get_or_create(&0).trip();
    circuits.get_or_create(&7);
    circuits.get_or_create(&7).trip();
    assert_eq!(circuits.get(&7).map(|breaker| breaker.state()), Some(State::Open));
}
