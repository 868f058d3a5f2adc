//! What a fleet says about itself.

use std::sync::{Arc, Mutex};

use tower_breaker::EventKind;
use tower_breaker_fleet::MemoryStore;

use crate::{MS, fleet, pass, payments, settle};

#[tokio::test(start_paused = true)]
async fn listeners_of_the_circuit_learn_who_suspects_it_and_why() {
    let store = MemoryStore::new();
    let instances = fleet(&store, 4);
    let log = Arc::new(Mutex::new(Vec::new()));
    let events = log.clone();
    let breaker = payments()
        .on_event(move |event| {
            if let EventKind::OperatorAction(_) = event.kind() {
                events.lock().unwrap().push(event.to_string());
            }
        })
        .build()
        .unwrap();
    instances[3].fleet.add(&breaker).unwrap();
    settle().await;
    instances[..2].iter().for_each(|it| it.breaker.trip());
    pass(500 * MS).await;
    let expected = "payments: suspect(10s), by fleet (open in 2 of 3 other instances)";
    assert_eq!(*log.lock().unwrap(), [expected]);
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_show_the_connection_the_instances_and_what_was_done() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use crate::SECOND;

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            let instances = fleet(&store, 3);
            settle().await;
            instances[..2].iter().for_each(|it| it.breaker.trip());
            pass(SECOND).await;
            instances.iter().for_each(|it| it.link.set_up(false));
            pass(10 * SECOND).await;
            std::mem::forget(instances); // their end would be shown, too
        });
    });
    let shown = snapshotter.snapshot().into_vec();
    let value = |name: &str| {
        let found = shown.iter().find(|(key, ..)| key.key().name() == name);
        let (key, _, _, value) = found.unwrap_or_else(|| panic!("no metric {name}"));
        let label = key.key().labels().next().map(|label| (label.key(), label.value()));
        assert_eq!(label, Some(("fleet", "test")));
        match value {
            DebugValue::Counter(n) => *n as f64,
            DebugValue::Gauge(value) => value.0,
            DebugValue::Histogram(_) => panic!("{name} is a histogram"),
        }
    };
    assert_eq!(value("circuit_breaker_fleet_connected"), 0.0);
    assert_eq!(value("circuit_breaker_fleet_instances"), 3.0);
    assert_eq!(value("circuit_breaker_fleet_suspicions_total"), 1.0);
    assert!(value("circuit_breaker_fleet_exchanges_total") > 5.0);
    assert!(value("circuit_breaker_fleet_failed_exchanges_total") > 5.0);
}
