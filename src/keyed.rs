//! One circuit for each key, such as a host: features `keyed` and, for hosts, `http`.
//!
//! A client that talks to many hosts needs one circuit for each: with a single one, the failures of
//! one host would cut off all others. The hosts are often not known beforehand, so circuits have to
//! be made as they are needed, and dropped again. A [`CircuitBreakerRegistry`] does that, and a
//! [`KeyedLayer`] picks the circuit of each request from it: by host and port, or by any key.
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
//! With other keys, settings, verdicts and answers:
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
//! Up to [`capacity`](CircuitBreakerRegistryBuilder::capacity). When it is reached, a new circuit
//! takes the place of another. A circuit is only dropped if it is *at rest*: closed, not held by an
//! operator, without calls in flight (a body that settles its call counts, too), and without handles
//! outside the registry. Among those, circuits that were used more than once stay longer than those
//! that were not. A dropped circuit is forgotten with its counts: a host that fails seldom enough to
//! be dropped in between is never found out.
//!
//! While all circuits are busy, a newcomer gets one that is not kept: its call is made, its result
//! has no effect. So keys without end, such as names that an attacker chooses, neither take more
//! memory nor make open circuits forget. But they can push out those at rest, and an attacker who
//! can name hosts that fail can fill the registry with open circuits; then hosts that are not in it
//! are not protected. Choose the capacity larger than the number of keys that you need protected.
//!
//! Circuits that nobody has used for the [`idle_timeout`](CircuitBreakerRegistryBuilder::idle_timeout)
//! are dropped, too, unless they are in their open wait, held by an operator, in use or referred to
//! by a handle. A circuit that is open or half-open, and that nobody has asked since its wait was
//! over, goes; its backoff is forgotten.
//!
//! # What it costs
//!
//! A call whose circuit is kept costs one lookup in the cache, with a lock that is shared for reading,
//! and a count of the calls in flight, beside what it costs without keys; nothing is allocated, and the
//! clock is not read for it. With a closure, the key is made for each call, so prefer keys that are
//! cheap to make. By host, host and port are read where they stand in the request, and nothing is
//! copied. The circuits are in one cache without shards, because of several one could be full of open
//! circuits while the others are empty; so many cores meet at its lock.
//!
//! A new circuit takes the lock for writing. In a full registry the cache looks for one that is at
//! rest, which takes the longer the more are busy; while all are, it is tried only now and then.
//!
//! Events and transitions carry the name of the circuit, which holds the key. Listeners are those of
//! the template and are shared by all circuits.

mod builder;
#[cfg(feature = "http")]
mod host;
mod layer;
mod pick;
mod registry;
mod service;

pub use self::builder::CircuitBreakerRegistryBuilder;
#[cfg(feature = "http")]
pub use self::host::{ByHost, HostPort};
pub use self::layer::KeyedLayer;
pub use self::pick::PickCircuit;
pub use self::registry::CircuitBreakerRegistry;
pub use self::service::KeyedService;

#[cfg(test)]
mod reuse;
