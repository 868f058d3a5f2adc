//! Which circuit a request belongs to.

use std::fmt::Display;
use std::hash::Hash;

use crate::breaker::CircuitBreaker;
use crate::keyed::CircuitBreakerRegistry;

/// Picks the circuit of a request.
///
/// A closure `|request: &Request| -> Key` is one; write the type of its argument out, so that Rust
/// sees that it works for references of any lifetime.
///
/// Implement the trait where a key would have to be allocated only to be looked up: the registry can
/// be asked with the [borrowed](std::borrow::Borrow) form of the key.
///
/// It is called without any lock held. If it panics, no circuit is concerned.
///
/// # Example
/// ```
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::keyed::{CircuitBreakerRegistry, PickCircuit};
///
/// struct Query { tenant: String }
///
/// struct ByTenant;
///
/// impl PickCircuit<Query> for ByTenant {
///     type Key = String;
///
///     fn pick(&self, query: &Query, circuits: &CircuitBreakerRegistry<String>) -> CircuitBreaker {
///         circuits.get_or_create(query.tenant.as_str())
///     }
/// }
/// ```
pub trait PickCircuit<Request> {
    /// The key of the registry.
    type Key;

    /// The circuit of this request; mostly
    /// [`get_or_create`](CircuitBreakerRegistry::get_or_create) with a key that is in it.
    fn pick(
        &self,
        request: &Request,
        circuits: &CircuitBreakerRegistry<Self::Key>,
    ) -> CircuitBreaker;
}

impl<F, Request, K> PickCircuit<Request> for F
where
    F: Fn(&Request) -> K,
    K: Clone + Display + Eq + Hash,
{
    type Key = K;

    #[inline]
    fn pick(&self, request: &Request, circuits: &CircuitBreakerRegistry<K>) -> CircuitBreaker {
        circuits.get_or_create(&self(request))
    }
}
