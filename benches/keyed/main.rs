//! What it costs to pick a circuit by its key, beside a lookup in the same cache and a call through
//! one circuit without a key; how calls by key scale with threads; and how long calls wait while one thread
//! creates circuits without end, or changes the settings of all of them.
//!
//! ```sh
//! cd benches && cargo bench --bench keyed [-- calls | threads | flood | reconfigure]
//! ```

mod flood;
mod reconfigure;
mod threads;
mod times;

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
use tower_breaker_benches::{Shape, Table, consecutive, template};

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
    let parts: [(&str, fn()); 4] = [
        ("calls", compare_calls),
        ("threads", threads::measure),
        ("flood", flood::measure),
        ("reconfigure", reconfigure::measure),
    ];
    let is_part = |arg: &String| parts.iter().any(|(name, _)| name == arg);
    let wanted: Vec<String> = std::env::args().filter(is_part).collect();
    for (name, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            measure();
            println!();
        }
    }
}

fn compare_calls() {
    let numbers: Vec<u64> = (0..KEYS).collect();
    let requests: Vec<Request<()>> = numbers.iter().map(request).collect();
    let names: Vec<String> = numbers.iter().map(|n| format!("host-{n}.example.com:443")).collect();

    let by_number = cache(&numbers);
    let by_name = cache(&names);

    let mut table = Table::new(&[Shape::ByHand]);
    let plain = || CircuitBreakerLayer::new(consecutive());
    calls(&mut table, PLAIN, plain().layer(Inner), &numbers);
    calls(&mut table, PLAIN_HOSTS, plain().layer(Inner), &requests);
    each(&mut table, LOOP, &numbers, |n| n);
    each(&mut table, LOOKUP, &numbers, |n| by_number.get(n));
    each(&mut table, ENTRY, &numbers, |n| {
        by_number.entry(n, None, |_, value| EntryAction::Retain(**value))
    });
    each(&mut table, LOOKUP_HOST, &names, |name| by_name.get(name.as_str()));
    each(&mut table, READ_HOST, &requests, |request| {
        let uri = request.uri();
        (uri.host(), uri.port_u16(), uri.scheme_str())
    });
    calls(&mut table, KEYED, keyed(|n: &&u64| **n).layer(Inner), &numbers);
    calls(&mut table, KEYED_HOSTS, keyed(ByHostOfReference).layer(Inner), &requests);

    table.measure();
    table.print(PLAIN);
    compare(&table, &[LOOKUP, PLAIN], KEYED);
    compare(&table, &[LOOKUP_HOST, READ_HOST, PLAIN_HOSTS], KEYED_HOSTS);
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
fn calls<'a, T, S: Service<&'a T> + 'a>(
    table: &mut Table<'a>,
    name: &'static str,
    mut service: S,
    requests: &'a [T],
) {
    each(table, name, requests, move |request| {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = service.poll_ready(&mut cx).is_ready();
        let done = pin!(service.call(request)).poll(&mut cx).is_ready();
        (ready, done)
    });
}

fn each<'a, T, R>(
    table: &mut Table<'a>,
    name: &'static str,
    items: &'a [T],
    mut action: impl FnMut(&'a T) -> R + 'a,
) {
    let mut items = items.iter().cycle();
    table.action(name, move || action(black_box(items.next().expect("the cycle has no end"))));
}

/// Compares the whole with the sum of its parts. Each of them goes round the keys, so the time that
/// this takes is subtracted everywhere.
fn compare(table: &Table<'_>, parts: &[&str], whole: &str) {
    let time = |row: &str| table.median(row) - table.median(LOOP);
    let sum: f64 = parts.iter().map(|row| time(row)).sum();
    println!("{whole}: {:.2} times the sum of: {}", time(whole) / sum, parts.join(", "));
}
