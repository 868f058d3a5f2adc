//! One circuit for each key, such as a host. Features `keyed` and, for hosts, `http`.
//!
//! A client that talks to many hosts needs one circuit for each: with a single circuit, the failures of
//! one host would cut off all others. Often the hosts are not known in advance, so circuits have to be
//! created on demand and dropped again. A [`CircuitBreakerRegistry`] does that. A [`KeyedLayer`] picks
//! the circuit of each request, by host and port or by any other key.
//!
//! # Example
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use http::Request;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::CircuitBreaker;
//! use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let template = CircuitBreaker::builder("http").consecutive_failures(1);
//! let circuits = CircuitBreakerRegistry::builder(template).build()?;
//!
//! let client = ServiceBuilder::new()
//!     .layer(KeyedLayer::by_host(circuits.clone()))
//!     .service(service_fn(|request: Request<()>| async move {
//!         match request.uri().host() {
//!             Some("up.example.com") => Ok("hello"),
//!             _ => Err(std::io::Error::other("refused")),
//!         }
//!     }));
//!
//! let get = |uri| client.clone().oneshot(Request::get(uri).body(()).unwrap());
//! get("http://down.example.com/").await.unwrap_err();
//! let error = get("http://down.example.com/").await.unwrap_err();
//! assert_eq!(error.rejected().unwrap().breaker(), "http/down.example.com:80");
//! assert_eq!(get("http://up.example.com/").await?, "hello");
//! # Ok::<(), tower::BoxError>(())
//! # }).unwrap();
//! ```
//!
//! The same with another key, other settings, a classifier and a fallback:
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
//! use tower_breaker::{CircuitBreaker, Outcome, Rejected};
//!
//! struct Query { shard: u32 }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let template = CircuitBreaker::builder("shards").failure_rate_threshold(0.3);
//! let shards = CircuitBreakerRegistry::builder(template)
//!     .capacity(64)
//!     .idle_timeout(Duration::from_secs(3600))
//!     .build()?;
//!
//! let layer = KeyedLayer::new(shards.clone(), |query: &Query| query.shard)
//!     .classifier(|result: Result<&u32, &std::io::Error>| match result {
//!         Ok(_) => Outcome::Success,
//!         Err(error) if error.kind() == std::io::ErrorKind::NotFound => Outcome::Ignored,
//!         Err(_) => Outcome::Failure,
//!     })
//!     .fallback(|_: Query, _: Rejected| async { Ok(0) });
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(|query: Query| async move { Ok(query.shard * 10) }));
//!
//! assert_eq!(service.clone().oneshot(Query { shard: 7 }).await.unwrap(), 70);
//! shards.get(&7).expect("it was used just now").force_open(); // an operator's switch
//! assert_eq!(service.oneshot(Query { shard: 7 }).await.unwrap(), 0);
//! # Ok::<(), tower_breaker::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! # Which circuits are kept
//!
//! A registry keeps up to [`capacity`](CircuitBreakerRegistryBuilder::capacity) circuits. When it is
//! full, a new circuit replaces another one. Only a circuit *at rest* can be replaced: it is closed, no
//! operator holds it, it has no calls in flight (a response body that has yet to settle its call counts,
//! too), and there are no handles to it outside of the registry. Circuits that are used again and again
//! stay longer than those that are used once. A replaced circuit loses its counts, so a host that fails
//! less often than it is replaced never trips.
//!
//! To find a circuit at rest, a new one looks at up to 64 others. If all of these are busy, the new circuit
//! is not kept: its call is made, and its result has no effect. The next new circuit looks at the next 64.
//! So a flood of keys, such as names that an attacker chooses, neither takes more memory nor drops open
//! circuits nor makes other calls wait. It can still replace circuits at rest. An attacker who can name
//! enough hosts that fail can fill the registry with open circuits, and then hosts that are not in it are
//! not protected. Choose a capacity larger than the number of keys that you need protected.
//!
//! A registry that could not keep a circuit reports [`RegistryFull`](crate::EventKind::RegistryFull) to the
//! listeners of its template, once a minute at most. With the feature `tracing` this is a warning in the log.
//! With the feature `metrics`, there are also the number of its circuits, its capacity, and a counter of the
//! calls that were not protected.
//!
//! The registry also drops circuits that have not been used for the
//! [`idle_timeout`](CircuitBreakerRegistryBuilder::idle_timeout), unless their open wait has not elapsed,
//! an operator holds them, they have calls in flight, or there are handles to them. An open or half-open
//! circuit that has not been used since its wait elapsed is dropped, and its backoff is forgotten.
//!
//! [`probe_with`](CircuitBreakerRegistry::probe_with) lets circuits recover although nobody calls. Its checks are no
//! use of a circuit, so a host that is never called again is dropped all the same.
//!
//! # Cost
//!
//! A call whose circuit is kept pays for one lookup, and for counting itself in and out of flight. It takes no lock, and
//! writes to no memory that other threads use, so two threads make about twice the calls of one. It allocates nothing
//! and does not read the clock. A closure creates the key for each call, so prefer keys that are cheap to create. By
//! host, the host and the port are read from where they are in the request, and nothing is copied.
//!
//! A new circuit takes a lock, while it looks at up to 64 circuits to find one that it can replace, and at up to 64 to
//! drop those that are not used any more. No call does more than that, however many circuits there are, and calls of
//! circuits that are kept do not wait for it. A registry of more than a million circuits looks at more than one for each
//! lookup.
//!
//! On two cores, a circuit that has seen nothing but successes takes about 600 bytes, its key and its name included, if
//! its settings are the defaults (`tests/keyed_memory.rs` counts them). Each further core, up to 16, adds 64 bytes, and
//! the feature `metrics` adds 350. A circuit takes more once it has seen a failure, and again once it has opened. A circuit
//! that no breaker uses any more is kept for the next one, without its name, its window and its listeners.
//!
//! [`reconfigure`](CircuitBreakerRegistry::reconfigure) changes the settings of all circuits while calls go on.
//!
//! Events and transitions carry the name of the circuit, `template/key`. All circuits share the listeners
//! of the template.

mod builder;
#[cfg(feature = "http")]
mod by_host;
mod entry;
#[cfg(feature = "http")]
mod host;
mod kept;
mod layer;
mod link;
mod pick;
mod registry;
mod service;
mod table;

pub use self::builder::CircuitBreakerRegistryBuilder;
#[cfg(feature = "http")]
pub use self::by_host::ByHost;
#[cfg(feature = "http")]
pub use self::host::{HostPort, InvalidHost};
pub use self::layer::KeyedLayer;
pub use self::pick::PickCircuit;
pub use self::registry::CircuitBreakerRegistry;
pub use self::service::KeyedService;

#[cfg(test)]
mod reuse;
