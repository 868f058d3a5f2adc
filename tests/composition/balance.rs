//! `Balance`, its ready cache, and `steer`: several endpoints, each with its own breaker.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, Constant, PendingRequests};
use tower::ready_cache::ReadyCache;
use tower::steer::Steer;
use tower::util::rng::HasherRng;
use tower::{Layer, Service, ServiceExt};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, CircuitBreakerService, State};

use crate::{Dependency, Down, Health, WAIT, breaker, call, end_of, is_rejection, layer};

/// An endpoint with its breaker.
struct Endpoint {
    breaker: CircuitBreaker,
    dependency: Dependency,
}

/// The default.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

type Protected = CircuitBreakerService<Dependency>;

impl Endpoint {
    fn new(health: Health) -> Self {
        Self { breaker: breaker(), dependency: Dependency::new(health) }
    }

    fn behind(&self, layer: impl Fn(&CircuitBreaker) -> CircuitBreakerLayer) -> Protected {
        layer(&self.breaker).layer(self.dependency.clone())
    }

    fn calls(&self) -> usize {
        self.dependency.calls()
    }
}

fn backpressure(breaker: &CircuitBreaker) -> CircuitBreakerLayer {
    layer(breaker).backpressure()
}

type Preferring = Balance<ServiceList<[Constant<Protected, u8>; 2]>, u32>;

/// Builds a balancer that chooses the first endpoint whenever it is ready, because its load is lower.
fn preferring([first, second]: [Protected; 2]) -> Preferring {
    Balance::new(ServiceList::new([Constant::new(first, 0), Constant::new(second, 1)]))
}

#[tokio::test(start_paused = true)]
async fn traffic_goes_to_the_healthy_endpoint_while_the_other_is_open_and_comes_back() {
    let (ailing, healthy) = (Endpoint::new(Health::Failing), Endpoint::new(Health::Well));
    let mut balance = preferring([&ailing, &healthy].map(|it| it.behind(backpressure)));

    for _ in 0..2 {
        assert!(call(&mut balance).await.unwrap_err().is::<Down>());
    }
    assert_eq!(ailing.breaker.state(), State::Open);

    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(call(&mut balance).await.unwrap(), 7);
    }
    assert!(asked.elapsed().is_zero());
    assert_eq!((ailing.calls(), healthy.calls()), (2, 20));

    // The first probe fails, which costs one call. The second one succeeds.
    advance(WAIT).await;
    assert!(call(&mut balance).await.unwrap_err().is::<Down>());
    for _ in 0..20 {
        assert_eq!(call(&mut balance).await.unwrap(), 7);
    }
    ailing.dependency.becomes(Health::Well);
    advance(WAIT).await;
    for _ in 0..20 {
        assert_eq!(call(&mut balance).await.unwrap(), 7);
    }
    assert_eq!((ailing.calls(), healthy.calls()), (23, 40));
    assert_eq!(ailing.breaker.state(), State::Closed);
    assert_eq!(balance.len(), 2, "the balancer keeps both endpoints");
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_costs_only_the_calls_that_trip_it_among_three_picked_at_random() {
    let endpoints = [Health::Failing, Health::Well, Health::Well].map(Endpoint::new);
    let services = endpoints.each_ref().map(|endpoint| {
        PendingRequests::new(endpoint.behind(backpressure), CompleteOnResponse::default())
    });
    let rng = HasherRng::with_hasher(BuildHasherDefault::<DefaultHasher>::default()); // not random
    let mut balance = Balance::from_rng(ServiceList::new::<u32>(services), rng);

    let mut failed = 0;
    for _ in 0..200 {
        failed += usize::from(call(&mut balance).await.is_err());
    }

    assert_eq!(failed, 2);
    assert_eq!(endpoints[0].calls(), 2);
    assert!(endpoints[1].calls() > 50 && endpoints[2].calls() > 50);
}

#[tokio::test(start_paused = true)]
async fn with_all_circuits_open_a_balancer_waits_for_the_first_that_admits_a_probe() {
    let (sooner, later) = (Endpoint::new(Health::Well), Endpoint::new(Health::Well));
    let mut balance = preferring([&later, &sooner].map(|it| it.behind(backpressure)));
    sooner.breaker.trip();
    advance(WAIT / 2).await;
    later.breaker.trip();

    let asked = Instant::now();
    assert_eq!(call(&mut balance).await.unwrap(), 7);
    assert_eq!(asked.elapsed(), WAIT / 2);
    assert_eq!((sooner.calls(), later.calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_trip_after_the_balancer_has_chosen_costs_no_call() {
    let (chosen, other) = (Endpoint::new(Health::Well), Endpoint::new(Health::Well));
    let mut balance = preferring([&chosen, &other].map(|it| it.behind(backpressure)));
    balance.ready().await.unwrap();

    chosen.breaker.trip();

    for _ in 0..10 {
        assert_eq!(call(&mut balance).await.unwrap(), 7);
    }
    assert_eq!((chosen.calls(), other.calls()), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_was_ready_for_a_probe_but_not_chosen_in_time_can_still_be_probed() {
    let (chosen, spare) = (Endpoint::new(Health::Well), Endpoint::new(Health::Well));
    let mut balance = preferring([&chosen, &spare].map(|it| it.behind(backpressure)));
    spare.breaker.trip();
    advance(WAIT).await;
    assert_eq!(call(&mut balance).await.unwrap(), 7);
    assert_eq!(spare.breaker.state(), State::HalfOpen, "it waits in the ready cache");

    advance(PROBE_TIMEOUT).await;
    assert_eq!(spare.breaker.state(), State::HalfOpen, "the endpoint has shown nothing");
    chosen.breaker.force_open();
    assert_eq!(call(&mut balance).await.unwrap(), 7);
    assert_eq!((chosen.calls(), spare.calls()), (1, 1));
    assert_eq!(spare.breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn without_backpressure_an_endpoint_with_an_open_circuit_attracts_the_traffic() {
    // Do not do this. Rejections are fast, so this endpoint looks like the best one.
    let (ailing, healthy) = (Endpoint::new(Health::Failing), Endpoint::new(Health::Well));
    let mut balance = preferring([&ailing, &healthy].map(|it| it.behind(layer)));

    for _ in 0..20 {
        assert!(call(&mut balance).await.is_err());
    }
    assert_eq!((ailing.calls(), healthy.calls()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_an_open_circuit_is_pending_in_a_ready_cache_until_it_admits_a_probe() {
    let endpoint = Endpoint::new(Health::Failing);
    let mut cache = ReadyCache::<&str, Protected, u32>::default();
    cache.push("a", endpoint.behind(backpressure));
    endpoint.breaker.trip();

    let mut cache = task::spawn(cache);
    assert_pending!(cache.enter(|cx, mut cache| cache.poll_pending(cx)));
    assert_eq!((cache.ready_len(), cache.pending_len()), (0, 1));

    advance(WAIT).await;
    assert!(cache.is_woken());
    assert_ready_ok!(cache.enter(|cx, mut cache| cache.poll_pending(cx)));
    assert!(cache.enter(|cx, mut cache| cache.check_ready(cx, &"a")).unwrap());

    // A probe that fails makes the endpoint pending again.
    assert!(cache.call_ready(&"a", 7).await.is_err());
    assert_pending!(cache.enter(|cx, mut cache| cache.poll_pending(cx)));
    assert_eq!(endpoint.breaker.state(), State::Open);

    endpoint.breaker.reset();
    assert!(cache.is_woken());
    assert_ready_ok!(cache.enter(|cx, mut cache| cache.poll_pending(cx)));
}

#[tokio::test(start_paused = true)]
async fn evicting_a_ready_endpoint_gives_its_probe_slot_back() {
    let endpoint = Endpoint::new(Health::Well);
    let mut cache = ReadyCache::<&str, Protected, u32>::default();
    cache.push("a", endpoint.behind(backpressure));
    endpoint.breaker.trip();
    advance(WAIT).await;
    let mut cache = task::spawn(cache);
    assert_ready_ok!(cache.enter(|cx, mut cache| cache.poll_pending(cx)));
    assert_eq!(endpoint.breaker.snapshot().probes_in_flight(), 1, "the cache holds the slot");

    assert!(cache.evict(&"a"));
    assert_eq!(endpoint.breaker.snapshot().probes_in_flight(), 0);

    endpoint.breaker.try_acquire().unwrap().success();
    assert_eq!(endpoint.breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_of_a_steer_does_not_block_the_other_route() {
    let (even, odd) = (Endpoint::new(Health::Well), Endpoint::new(Health::Well));
    let by_parity = |request: &u32, _: &[Protected]| (request % 2) as usize;
    let mut steer = Steer::new([&even, &odd].map(|it| it.behind(layer)), by_parity);
    odd.breaker.trip();

    for request in 0..10 {
        let result = steer.ready().await.unwrap().call(request).await;
        assert_eq!(is_rejection(&result), request % 2 == 1);
    }
    assert_eq!((even.calls(), odd.calls()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn with_backpressure_an_open_circuit_of_a_steer_blocks_all_routes() {
    // Do not do this. A steer waits until all its services are ready.
    let (even, odd) = (Endpoint::new(Health::Well), Endpoint::new(Health::Well));
    let by_parity = |request: &u32, _: &[Protected]| (request % 2) as usize;
    let mut steer = Steer::new([&even, &odd].map(|it| it.behind(backpressure)), by_parity);
    odd.breaker.trip();

    let asked = Instant::now();
    assert_eq!(end_of(steer.ready()).await.unwrap().call(0).await, Ok(0));
    assert_eq!(asked.elapsed(), WAIT);
}
