//! Lets the processes of a fleet tell each other which circuits of [`tower_breaker`] have opened.
//!
//! Each process learns of an outage by its own failures. A process that makes twenty calls a second knows within a
//! second, and one that makes a call now and then takes minutes and fails all of them. With this crate, processes vote on
//! a server that many already run, Redis or Valkey: *my circuit for `payments` is open*. When enough of them say so, the
//! circuits of the others are [suspected](tower_breaker::CircuitBreaker::suspect), so that they open after half as many failures of their
//! own.
//!
//! # You may not need it
//!
//! * **A process that restarts in the middle of an outage** needs only
//!   [`save`](tower_breaker::CircuitBreaker::save) and [`primed`](tower_breaker::CircuitBreakerBuilder::primed), and no server.
//! * **Processes that all make many calls** see an outage at about the same time. There is nothing to tell.
//! * **To open all circuits when one has opened** is not what this does. One process with a broken network would stop all
//!   the others. If you know that the dependency is down, from its status page or a health check, call
//!   [`trip`](tower_breaker::CircuitBreaker::trip) in each process.
//! * **To send fewer probes** is not what this does either: each circuit recovers by itself. The jitter of
//!   [`Backoff`](tower_breaker::Backoff) spreads their probes, and
//!   [`probe_with`](tower_breaker::CircuitBreaker::probe_with) makes them cheaper.
//!
//! # Example
//!
//! One [`Fleet`] for each process, and every circuit added to it:
//!
//! ```no_run
//! # #[cfg(feature = "redis")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_breaker::CircuitBreaker;
//! use tower_breaker_fleet::{Fleet, RedisStore};
//!
//! let payments = CircuitBreaker::new("payments");
//!
//! let store = RedisStore::open("redis://votes.example:6379/")?; // connects later
//! let fleet = Fleet::builder("shop", store).spawn()?; // runs until it is dropped
//! fleet.add(&payments)?;
//! # Ok(())
//! # }
//! ```
//!
//! `cargo run -p tower-breaker-fleet --example fleet` shows it with a real server and eight processes.
//!
//! # What it promises
//!
//! The fleet is never on the path of a call, and can make no instance much worse than it would be alone.
//!
//! * **No call waits for it.** A task of its own looks at the circuits every 100 ms and talks to the server. It registers
//!   nothing with a circuit, so a call does what it does without a fleet.
//! * **Hearsay opens no circuit.** All that a fleet does is to suspect a circuit. Then it takes a failure streak of half
//!   the length, or a rate of a quarter of the calls, *of its own* to open it. It waits as long as ever, and recovers by its
//!   own probes.
//! * **Everything ends by itself.** A vote and a suspicion last for the [time to live](FleetBuilder::time_to_live), 10
//!   seconds by default. If the server is gone, slow, or empty, or if the network is cut, each circuit is back to its plain
//!   local behaviour after that time.
//! * **Nothing grows.** At most 10,000 circuits take part, each is in a queue at most once, and hints of others that come
//!   faster than they are taken are dropped and counted. An hour without the server leaves no task and no memory behind.
//!
//! A circuit that opens because it was suspected might not have opened alone. If the dependency works after all, its first
//! probes close it when the wait is over. So with a time to live that is no shorter than the
//! [open duration](tower_breaker::CircuitBreakerBuilder::open_duration) of the first attempt, 5 seconds by default, a
//! wrong suspicion keeps no instance open for longer than one time to live.
//!
//! # Hearsay against evidence
//!
//! A circuit votes while it is open because of what it has seen itself and its wait runs. What does not count:
//!
//! * a circuit that an operator [forces open](tower_breaker::CircuitBreaker::force_open), which is a decision about one process;
//! * one that was [primed](tower_breaker::CircuitBreakerBuilder::primed) after a restart, which is old news;
//! * one whose wait is over and that nobody calls, because nothing new is known.
//!
//! When it closes, the vote is withdrawn, and for one time to live the instance does not listen to votes about this
//! circuit: it has just seen for itself that the dependency works.
//!
//! A quorum is a [share](FleetBuilder::quorum_share) of the instances, a tenth by default, and never fewer than two votes
//! of others. So an instance that lies, or whose own network is broken, changes nothing. A majority that lies makes the
//! others suspect a dependency that works, and they stay closed as long as it does. There is one vote for each name of an
//! instance, but whoever can write to the server can vote under many names, and can be many instances that do not vote.
//! The first leads to the same suspicion, and the second raises the quorum until nobody is suspected, which is how it would
//! be without a fleet. Both use the server's memory. So give the fleet a user of its own on a server that others use.
//!
//! # When the server is gone
//!
//! | what happens | what the instances do |
//! |---|---|
//! | the server is down, paused, or refuses the password | Each circuit goes on by itself. The log says so once, and `circuit_breaker_fleet_connected` is 0. |
//! | it is back | Each instance tries again after a random time that grows to 45 s at most, so they do not come all at once. |
//! | it restarts empty | Its votes and instances are complete again within a time to live, once it is reached. |
//! | it is slower than the [timeout](FleetBuilder::timeout) | The same as if it were down. |
//! | half of the instances cannot reach it | They go on by themselves. The others are a smaller fleet after one time to live. |
//! | a clock is wrong | Nothing. An instance sends durations only, and the server compares times of its own. If its clock is set back, former votes are dropped; if it is set forward, they expire. |
//! | somebody floods the channel or the keys | Hints are taken at most 640 times a second, and only as a reason to look at a circuit that the instance has. An instance that reads more slowly than the flood comes is disconnected by the server, and connects again. |
//!
//! # What leaves the process
//!
//! The name of the fleet, the name of the instance, which is random unless you choose it, and the names of the circuits.
//! Nothing is sent about calls. If the names of circuits are nobody else's business, for example because they contain the
//! names of customers, [`hide_names`](FleetBuilder::hide_names) sends a hash with a secret instead.
//!
//! # What it costs
//!
//! An instance makes an exchange with the server four times in each time to live, and at once when one of its circuits
//! opens or closes. An exchange is one script, which looks at one key for each circuit. The README has a simulation with
//! thousands of instances, and says where a single server ends.
//!
//! If you need more than one server, use one for each part of the fleet: instances of one availability zone see the same
//! network, and their votes mean more to each other. If there is still too much for one, choose it by the name of the
//! circuit, with a [`Fleet`] for each server.
//!
//! # Metrics and log
//!
//! With the feature `metrics`, through the [`metrics`](https://docs.rs/metrics) facade, all with the label `fleet`:
//!
//! | metric | type | meaning |
//! |---|---|---|
//! | `circuit_breaker_fleet_connected` | gauge | whether the last exchange with the server succeeded |
//! | `circuit_breaker_fleet_instances` | gauge | how many instances there are, this one included |
//! | `circuit_breaker_fleet_exchanges_total` | counter | exchanges that succeeded |
//! | `circuit_breaker_fleet_failed_exchanges_total` | counter | exchanges that failed |
//! | `circuit_breaker_fleet_dropped_hints_total` | counter | hints that came too fast, made no sense, or were about circuits that this instance does not have |
//! | `circuit_breaker_fleet_suspicions_total` | counter | how many times a circuit was suspected, or was so for longer |
//!
//! [`Fleet::status`] has the same numbers. With the feature `tracing`, the log has one line at `WARN` when the server is
//! lost and one at `INFO` when it is back, with the target `tower_breaker_fleet`. That a circuit is suspected is an
//! operator's action in the log, the events and the metrics of [`tower_breaker`]: `payments: suspect(10s), by fleet (open
//! in 3 of 7 other instances)`.
//!
//! # Another server
//!
//! [`Store`] is all that a fleet needs to know of one. [`MemoryStore`] is a store for tests.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `redis`, on by default | `RedisStore` |
//! | `metrics` | the metrics above |
//! | `tracing` | the log |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod circuits;
mod fleet;
mod names;
mod observe;
mod settings;
mod store;
mod task;

#[cfg(feature = "redis")]
pub use redis;

pub use self::fleet::Fleet;
pub use self::observe::Status;
pub use self::settings::{FleetBuilder, FleetError};
#[cfg(feature = "redis")]
pub use self::store::RedisStore;
pub use self::store::{Action, Answer, Exchange, Hint, MemoryLink, MemoryStore, Store, StoreError};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
