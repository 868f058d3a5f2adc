//! A circuit breaker for Tower services.

mod backoff;
mod breaker;
mod circuit;
mod classify;
mod clock;
mod config;
mod error;
mod future;
mod gate;
mod layer;
mod listeners;
mod permit;
mod pool;
mod service;
mod snapshot;
mod state;
mod stripes;
mod sync;
mod transition;
mod waiters;
mod window;

pub use crate::backoff::Backoff;
pub use crate::breaker::CircuitBreaker;
pub use crate::classify::{Classifier, ErrorsAsFailures, Outcome};
pub use crate::config::{CircuitBreakerBuilder, HalfOpen};
pub use crate::error::{CircuitBreakerError, ConfigError, RejectReason, Rejected};
pub use crate::future::ResponseFuture;
pub use crate::layer::CircuitBreakerLayer;
pub use crate::permit::Permit;
pub use crate::service::CircuitBreakerService;
pub use crate::snapshot::{Snapshot, State};
pub use crate::transition::{Cause, Transition};
pub use crate::window::SlidingWindow;
