//! [`PickCircuit`]: which circuit a request belongs to.

use std::fmt::Display;
use std::hash::Hash;

use crate::circuit::Permit;
use crate::circuit::Rejected;
use crate::keyed::CircuitBreakerRegistry;

/// Picks the circuit of a request, and asks it for admission.
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
/// use tower_breaker::keyed::{CircuitBreakerRegistry, PickCircuit};
/// use tower_breaker::{Permit, Rejected};
///
/// struct Query { tenant: String }
///
/// struct ByTenant;
///
/// impl PickCircuit<Query> for ByTenant {
///     type Key = String;
///
///     fn try_acquire(
///         &self,
///         query: &Query,
///         circuits: &CircuitBreakerRegistry<String>,
///     ) -> Result<Permit, Rejected> {
///         circuits.try_acquire(query.tenant.as_str())
///     }
/// }
/// ```
pub trait PickCircuit<Request> {
    /// The key of the registry.
    type Key;

    /// Asks the circuit of this request; mostly
    /// [`try_acquire`](CircuitBreakerRegistry::try_acquire) with a key that is in it.
    ///
    /// # Errors
    /// A [`Rejected`] if the call is not admitted.
    fn try_acquire(
        &self,
        request: &Request,
        circuits: &CircuitBreakerRegistry<Self::Key>,
    ) -> Result<Permit, Rejected>;
}

impl<F, Request, K> PickCircuit<Request> for F
where
    F: Fn(&Request) -> K,
    K: Clone + Display + Eq + Hash,
{
    type Key = K;

    #[inline]
    fn try_acquire(
        &self,
        request: &Request,
        circuits: &CircuitBreakerRegistry<K>,
    ) -> Result<Permit, Rejected> {
        circuits.try_acquire(&self(request))
    }
}
