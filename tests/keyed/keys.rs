//! Keys are user code: any of their methods may panic, and their names come from strangers.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::time::advance;
use tower_breaker::State;
use tower_breaker::keyed::{CircuitBreakerRegistry, HostPort};

use crate::{HOUR, builder};

thread_local! {
    /// The method that panics when it is next called.
    static PANICS: Cell<Option<Method>> = const { Cell::new(None) };
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Hash,
    Eq,
    Clone,
    Display,
    Drop,
}

const METHODS: [Method; 5] =
    [Method::Hash, Method::Eq, Method::Clone, Method::Display, Method::Drop];

fn called(method: Method) {
    if PANICS.get() == Some(method) {
        PANICS.set(None);
        panic!("{method:?}");
    }
}

#[derive(Debug, Eq)]
struct Fragile(u32);

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        called(Method::Hash);
        self.0.hash(state);
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        called(Method::Eq);
        self.0 == other.0
    }
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        called(Method::Clone);
        Self(self.0)
    }
}

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        called(Method::Display);
        self.0.fmt(f)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        called(Method::Drop);
    }
}

const CAPACITY: u32 = 3;

/// Returns a full registry, in which the circuit of 0 is open.
fn full() -> CircuitBreakerRegistry<Fragile> {
    let circuits = builder().capacity(CAPACITY).idle_timeout(HOUR).build().unwrap();
    for key in 0..CAPACITY {
        circuits.try_acquire(&Fragile(key)).unwrap().success();
    }
    circuits.get(&Fragile(0)).unwrap().trip();
    circuits
}

fn check(circuits: &CircuitBreakerRegistry<Fragile>, what: &str) {
    for key in 100..100 + 10 * CAPACITY {
        circuits.try_acquire(&Fragile(key)).unwrap().success();
        assert!(circuits.get(&Fragile(key)).is_some(), "{what}");
        assert!(circuits.len() <= CAPACITY as usize, "{what}");
        assert_eq!(circuits.list().len(), circuits.len(), "{what}");
    }
    let open = circuits.get(&Fragile(0)).map(|breaker| breaker.state());
    assert_eq!(open, Some(State::Open), "{what}");
    assert_eq!(circuits.len(), CAPACITY as usize, "{what}");
    for (key, breaker) in circuits.list() {
        assert_eq!(breaker.name(), format!("api/{key}"), "{what}");
        assert!(circuits.remove(&key).is_some(), "{what}");
    }
    assert!(circuits.is_empty(), "{what}");
}

#[test]
fn a_registry_stays_usable_whatever_panics_in_a_key() {
    type Operation = (&'static str, fn(&CircuitBreakerRegistry<Fragile>, &Fragile));
    let operations: [Operation; 6] = [
        ("try_acquire", |circuits, key| drop(circuits.try_acquire(key))),
        ("get_or_create", |circuits, key| drop(circuits.get_or_create(key))),
        ("get", |circuits, key| drop(circuits.get(key))),
        ("remove", |circuits, key| {
            circuits.remove(key);
            // The open circuit is checked afterwards.
            circuits.get_or_create(&Fragile(0)).trip();
        }),
        ("list", |circuits, _| drop(circuits.list())),
        ("drop of a registry", |_, _| drop(full())),
    ];
    let mut panicked = 0;
    for method in METHODS {
        for (name, operation) in operations {
            for key in [0, 1, 7].map(Fragile) {
                let circuits = full();
                PANICS.set(Some(method));
                let result = catch_unwind(AssertUnwindSafe(|| operation(&circuits, &key)));
                PANICS.set(None);
                panicked += u32::from(result.is_err());
                circuits.get_or_create(&Fragile(0)).trip();
                check(&circuits, &format!("{method:?} panics in {name} of {}", key.0));
            }
        }
    }
    assert!(panicked > 20, "only {panicked} panics came through");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_key_is_dropped_does_not_fail_the_call_of_another_key() {
    let circuits = full();
    PANICS.set(Some(Method::Drop));
    circuits.try_acquire(&Fragile(7)).unwrap().success();
    assert_eq!(PANICS.take(), None, "a key was evicted");
    check(&circuits, "a key panics while it is evicted");

    let circuits = full();
    circuits.get(&Fragile(0)).unwrap().reset();
    advance(HOUR).await;
    circuits.sweep();
    advance(HOUR).await;
    PANICS.set(Some(Method::Drop));
    circuits.sweep();
    assert_eq!(PANICS.take(), None, "a key was swept");
    assert!(circuits.is_empty());
}

/// A key whose methods use the registry that it is in.
#[derive(Debug, PartialEq, Eq)]
struct Curious(u32);

thread_local! {
    static CIRCUITS: RefCell<Option<CircuitBreakerRegistry<Curious>>> = const { RefCell::new(None) };
    static LOOKED: Cell<u32> = const { Cell::new(0) };
}

/// Waits for ever if the registry is locked for writing.
fn look() {
    CIRCUITS.with_borrow(|circuits| {
        if let Some(circuits) = circuits {
            assert!(circuits.len() <= CAPACITY as usize);
            LOOKED.set(LOOKED.get() + 1);
        }
    });
}

impl Hash for Curious {
    fn hash<H: Hasher>(&self, state: &mut H) {
        look();
        self.0.hash(state);
    }
}

impl Clone for Curious {
    fn clone(&self) -> Self {
        look();
        Self(self.0)
    }
}

impl fmt::Display for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        look();
        self.0.fmt(f)
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        look();
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_may_use_the_registry_while_it_is_created_and_dropped() {
    let circuits = builder().capacity(CAPACITY).idle_timeout(HOUR).build().unwrap();
    CIRCUITS.set(Some(circuits.clone()));
    for key in 0..10 * CAPACITY {
        circuits.try_acquire(&Curious(key)).unwrap().success();
    }
    let last = Curious(10 * CAPACITY - 1);
    assert!(circuits.remove(&last).is_some());
    for _ in 0..2 {
        advance(HOUR).await;
        circuits.sweep();
    }
    assert!(circuits.is_empty());
    assert!(LOOKED.get() > 100);
    CIRCUITS.set(None);
}

#[test]
fn hostile_keys_are_shown_on_one_line() {
    let circuits: CircuitBreakerRegistry<String> = builder().build().unwrap();
    let long = "\n\u{1b}[2J".repeat(1024);
    for key in ["\n", "\r\n", "\u{1b}[2J", "\u{2028}", "\u{202e}cod.exe", "\u{2066}", "\\n", &long]
    {
        circuits.try_acquire(key).unwrap().failure();
        let breaker = circuits.get(key).unwrap();
        assert_eq!(breaker.name(), format!("api/{key}"));
        let rejected = breaker.try_acquire().unwrap_err();
        assert_eq!(rejected.breaker(), format!("api/{key}"));
        let transition = breaker.history().remove(0);
        for shown in [rejected.to_string(), transition.to_string(), format!("{breaker:?}")] {
            let is_harmless = |c: char| !c.is_control() && !"\u{2028}\u{202e}\u{2066}".contains(c);
            assert!(shown.chars().all(is_harmless), "{shown:?}");
        }
        // No request has such a host.
        assert_eq!(HostPort::from(key), HostPort::no_host());
    }
    assert_eq!(circuits.len(), 8, "different keys have different circuits");
}
