//! More keys than the registry has capacity for, such as names that an attacker chooses.

use std::future::ready;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker::{Classifier, EventKind, Permit, State};

use crate::{HOUR, builder, numbered};

const CAPACITY: u32 = 1024;

/// How many hosts the flood has. In a release build there is time for a million.
fn flood_size() -> u64 {
    let size = std::env::var("TOWER_BREAKER_FLOOD");
    size.map_or(100_000, |size| size.parse().expect("TOWER_BREAKER_FLOOD is a number"))
}

/// Calls with many more other keys than the registry has capacity for.
fn flood(circuits: &CircuitBreakerRegistry<u32>) {
    for key in 1_000_000..1_001_000 {
        circuits.get_or_create(&key).try_acquire().unwrap().success();
    }
}

#[tokio::test]
async fn a_flood_of_hosts_stays_within_the_capacity_and_drops_no_open_circuit() {
    let circuits = builder().capacity(CAPACITY).build().unwrap();
    let inner = service_fn(|request: Request<bool>| {
        let result = if *request.body() { Ok(()) } else { Err(io::Error::other("refused")) };
        ready(result)
    });
    let mut client = KeyedLayer::by_host(circuits.clone()).layer(inner);
    let mut call = async |host: &str, works: bool| {
        let request = Request::get(format!("http://{host}/")).body(works).unwrap();
        client.ready().await.unwrap().call(request).await
    };
    // The registry is full before the first host fails.
    for n in 0..2 * CAPACITY {
        call(&format!("early-{n}.example.com"), true).await.unwrap();
    }
    let broken: Vec<String> = (0..100).map(|n| format!("broken-{n}.example.com")).collect();
    for host in &broken {
        call(host, false).await.unwrap_err();
    }

    for n in 0..flood_size() {
        call(&format!("{n}.example.com"), true).await.unwrap();
        if n % 1000 == 0 {
            assert!(circuits.len() <= CAPACITY as usize);
        }
    }

    assert_eq!(circuits.len(), CAPACITY as usize);
    for host in &broken {
        let breaker = circuits.get(&format!("{host}:80").as_str().into()).expect("it is kept");
        assert_eq!(breaker.state(), State::Open);
    }
}

#[test]
fn a_flood_takes_no_more_memory_than_the_capacity_needs() {
    let circuits = numbered(64);
    flood(&circuits);
    let taken = allocation_counter::measure(|| (0..20).for_each(|_| flood(&circuits)));
    // The pool of circuits is shared with the tests that run beside this one, so it may grow a little.
    assert!(taken.bytes_current < 4_000_000, "20,000 circuits would need more: {taken:?}");
}

#[test]
fn while_all_circuits_are_open_a_new_one_works_but_is_not_kept() {
    for capacity in [1, 2, 33, CAPACITY] {
        let circuits = numbered(capacity);
        (0..capacity).for_each(|key| circuits.get_or_create(&key).trip());
        flood(&circuits);

        assert_eq!(circuits.len(), capacity as usize);
        assert!(circuits.list().iter().all(|(_, breaker)| breaker.state() == State::Open));
        circuits.get_or_create(&2_000_000).trip();
        assert!(circuits.get(&2_000_000).is_none());
    }
}

#[test]
fn new_circuits_are_kept_again_once_a_circuit_is_at_rest() {
    for capacity in [1, 2, 33, CAPACITY] {
        let circuits = numbered(capacity);
        (0..capacity).for_each(|key| circuits.get_or_create(&key).trip());
        flood(&circuits);
        circuits.get(&0).unwrap().reset();

        flood(&circuits);
        assert!(circuits.get(&0).is_none());
        assert!(circuits.get(&1_000_999).is_some(), "the newest circuit took its place");
        assert_eq!(circuits.len(), capacity as usize);
    }
}

// In a registry of one, a circuit that may be evicted is evicted by the next one.

#[test]
fn a_circuit_at_rest_is_evicted() {
    let circuits = numbered(1);
    circuits.get_or_create(&1).try_acquire().unwrap().success();
    drop(circuits.get_or_create(&1).try_acquire().unwrap());
    flood(&circuits);
    assert!(circuits.get(&1).is_none());
}

#[test]
fn a_circuit_that_an_operator_holds_is_not_evicted() {
    let circuits = numbered(1);
    circuits.get_or_create(&1).force_closed();
    flood(&circuits);
    assert_eq!(circuits.get(&1).unwrap().state(), State::Closed);
    circuits.get(&1).unwrap().force_open();
    flood(&circuits);
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_an_operator_holds_closed_for_a_time_is_evicted_once_that_is_over() {
    let circuits = numbered(1);
    circuits.get_or_create(&1).force_closed_for(HOUR);
    flood(&circuits);
    assert!(circuits.get(&1).is_some());
    advance(HOUR).await;
    flood(&circuits);
    assert!(circuits.get(&1).is_none());
}

#[test]
fn a_half_open_circuit_is_not_evicted() {
    let circuits = numbered(1);
    let breaker = circuits.get_or_create(&1);
    breaker.force_open();
    breaker.resume();
    assert_eq!(breaker.state(), State::HalfOpen);
    drop(breaker);
    flood(&circuits);
    assert_eq!(circuits.get(&1).unwrap().state(), State::HalfOpen);
}

#[test]
fn a_circuit_with_a_handle_is_not_evicted() {
    let circuits = numbered(1);
    let handle = circuits.get_or_create(&1);
    flood(&circuits);
    handle.trip();
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
}

#[test]
fn a_circuit_with_a_call_in_flight_is_not_evicted() {
    let circuits = numbered(1);
    let permit = circuits.get_or_create(&1).try_acquire().unwrap();
    flood(&circuits);
    std::thread::spawn(|| permit.failure()).join().unwrap();
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
}

/// Leaves it to the response to settle the call, as a body does when it is read to its end.
#[derive(Clone)]
struct ByTheResponse;

impl<E> Classifier<(), E> for ByTheResponse {
    type Response = Permit;

    fn response(&self, (): (), permit: Permit) -> Permit {
        permit
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

#[tokio::test]
async fn a_circuit_whose_response_body_is_still_being_read_is_not_evicted() {
    let circuits = numbered(1);
    let layer = KeyedLayer::new(circuits.clone(), |key: &u32| *key).classifier(ByTheResponse);
    let service = layer.layer(service_fn(|_: u32| ready(Ok::<_, io::Error>(()))));
    let body = service.oneshot(1).await.unwrap();
    flood(&circuits);
    body.failure();
    assert_eq!(circuits.get(&1).unwrap().state(), State::Open);
}

/// A listener is notified of the end of a call while the call is being settled.
#[test]
fn a_call_is_in_flight_until_it_has_been_settled() {
    static CIRCUITS: OnceLock<CircuitBreakerRegistry<u32>> = OnceLock::new();
    static SEEN: AtomicBool = AtomicBool::new(false);
    let template = crate::template().on_event(|event| {
        if let (EventKind::Settled(_), "api/1") = (event.kind(), event.breaker()) {
            let circuits = CIRCUITS.get().unwrap();
            flood(circuits);
            SEEN.store(circuits.get(&1).is_some(), Ordering::Relaxed);
        }
    });
    let circuits = CircuitBreakerRegistry::builder(template).capacity(1).build().unwrap();
    let circuits = CIRCUITS.get_or_init(|| circuits);
    circuits.try_acquire(&1).unwrap().success();
    assert!(SEEN.load(Ordering::Relaxed), "its circuit was evicted");
}
