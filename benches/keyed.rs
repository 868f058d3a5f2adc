//! What it costs to pick a circuit by its key, beside a lookup in the same cache and a call through
//! one circuit without a key.
//!
//! ```sh
//! cd benches && cargo bench --bench keyed
//! ```

use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::Request;
use quick_cache::sync::{Cache, EntryAction};
use tower::{Layer, Service};
use tower_breaker::keyed::{ByHost, CircuitBreakerRegistry, HostPort, KeyedLayer, PickCircuit};
use tower_breaker::{CircuitBreakerLayer, Permit, Rejected};
use tower_breaker_benches::{Column, Group, Shape, consecutive, criterion, template};

const LOOP: &str = "nothing but going round the keys";
const PLAIN: &str = "one circuit for all numbers";
const PLAIN_HOSTS: &str = "one circuit for all hosts";
const LOOKUP: &str = "lookup of a number";
const LOOKUP_HOST: &str = "lookup of a host";
const READ_HOST: &str = "reading host, port and scheme by the `http` crate";
const ENTRY: &str = "entry of a number, with the write lock";
const KEYED: &str = "circuit by number";
const KEYED_HOSTS: &str = "circuit by host";

/// How many keys are in use.
const KEYS: u64 = 64;

fn main() {
    let numbers: Vec<u64> = (0..KEYS).collect();
    let requests: Vec<Request<()>> = numbers.iter().map(request).collect();
    let names: Vec<String> = numbers.iter().map(|n| format!("host-{n}.example.com:443")).collect();

    let mut criterion = criterion();
    let mut group = Group::new(&mut criterion, "one call with a key", Shape::ByHand);
    let plain = || CircuitBreakerLayer::new(consecutive());
    calls(&mut group, PLAIN, plain().layer(Inner), &numbers);
    calls(&mut group, PLAIN_HOSTS, plain().layer(Inner), &requests);

    each(&mut group, LOOP, &numbers, |n| {
        black_box(n);
    });
    let cache = cache(&numbers);
    each(&mut group, LOOKUP, &numbers, |n| {
        black_box(cache.get(n));
    });
    each(&mut group, ENTRY, &numbers, |n| {
        black_box(cache.entry(n, None, |_, value| EntryAction::Retain(**value)));
    });
    let cache = self::cache(&names);
    each(&mut group, LOOKUP_HOST, &names, |name| {
        black_box(cache.get(name.as_str()));
    });

    each(&mut group, READ_HOST, &requests, |request| {
        let uri = request.uri();
        black_box((uri.host(), uri.port_u16(), uri.scheme_str()));
    });

    calls(&mut group, KEYED, keyed(|n: &&u64| **n).layer(Inner), &numbers);
    calls(&mut group, KEYED_HOSTS, keyed(ByHostOfReference).layer(Inner), &requests);
    let column = group.finish();
    criterion.final_summary();

    println!("\none call with a key: medians\n");
    [LOOP, ENTRY].into_iter().for_each(|row| print(&column, row));
    println!();
    compare(&column, &[LOOKUP, PLAIN], KEYED);
    compare(&column, &[LOOKUP_HOST, READ_HOST, PLAIN_HOSTS], KEYED_HOSTS);
}

/// A service for any request, which is always ready and answers immediately.
#[derive(Clone, Copy)]
struct Inner;

impl<Request> Service<Request> for Inner {
    type Response = Request;
    type Error = ();
    type Future = Ready<Result<Request, ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        ready(Ok(request))
    }
}

/// Picks the circuit by the host of a borrowed request, so that no request has to be built for a call.
#[derive(Clone, Copy)]
struct ByHostOfReference;

impl PickCircuit<&Request<()>> for ByHostOfReference {
    type Key = HostPort;

    fn try_acquire(
        &self,
        request: &&Request<()>,
        circuits: &CircuitBreakerRegistry<HostPort>,
    ) -> Result<Permit, Rejected> {
        ByHost.try_acquire(*request, circuits)
    }
}

fn request(n: &u64) -> Request<()> {
    let uri = format!("https://host-{n}.example.com/");
    Request::get(uri).body(()).expect("the URI is valid")
}

fn keyed<K: Eq + std::hash::Hash, P>(picker: P) -> KeyedLayer<K, P> {
    let registry = CircuitBreakerRegistry::builder(template()).build();
    KeyedLayer::new(registry.expect("the settings are valid"), picker)
}

fn cache<K: Clone + Eq + std::hash::Hash>(keys: &[K]) -> Cache<K, Arc<u64>> {
    let cache = Cache::new(2 * keys.len());
    keys.iter().for_each(|key| cache.insert(key.clone(), Arc::new(0)));
    cache
}

/// Measures one call, of another key each time.
fn calls<'a, T, S: Service<&'a T>>(
    group: &mut Group<'_>,
    name: &'static str,
    mut service: S,
    requests: &'a [T],
) {
    each(group, name, requests, |request| {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = service.poll_ready(&mut cx).is_ready();
        let done = pin!(service.call(request)).poll(&mut cx).is_ready();
        black_box((ready, done));
    });
}

fn each<'a, T>(
    group: &mut Group<'_>,
    name: &'static str,
    items: &'a [T],
    mut action: impl FnMut(&'a T),
) {
    items.iter().for_each(&mut action); // sets up what is set up once
    let mut items = items.iter().cycle();
    group.action(name, || action(black_box(items.next().expect("the cycle has no end"))));
}

fn print(column: &Column, row: &str) {
    if let Some(time) = column.median(row) {
        println!("{row:<50} {time:>8.1} ns");
    }
}

/// Compares the whole with the sum of its parts. Each of them goes round the keys, so the time that
/// this takes is subtracted everywhere.
fn compare(column: &Column, parts: &[&str], whole: &str) {
    parts.iter().chain([&whole]).for_each(|row| print(column, row));
    let time = |row: &str| Some(column.median(row)? - column.median(LOOP)?);
    let sum: Option<f64> = parts.iter().map(|row| time(row)).sum();
    if let (Some(sum), Some(whole)) = (sum, time(whole)) {
        println!("ratio to the sum, without going round: {:.2}\n", whole / sum);
    }
}
