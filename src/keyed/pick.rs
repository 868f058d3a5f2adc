//! [`PickCircuit`]: how a request finds its circuit.

use std::fmt::Display;
use std::hash::Hash;

use crate::circuit::Permit;
use crate::circuit::Rejected;
use crate::keyed::CircuitBreakerRegistry;

/// Picks the circuit of a request and asks it for admission.
///
/// Every closure `|request: &Request| -> Key` implements this trait. Write out the type of its argument,
/// or the compiler does not see that the closure accepts references of any lifetime.
///
/// Implement the trait yourself to avoid allocating a key for each request: the registry can be asked
/// with the [borrowed](std::borrow::Borrow) form of its keys.
///
/// A picker runs without any lock held. If it panics, no circuit is affected.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot pick a circuit for requests `{Request}`",
    label = "the picker does not fit the requests",
    note = "a closure that fits is `|request: &{Request}| -> Key`, with its type written out"
)]
pub trait PickCircuit<Request> {
    /// The type of the registry's keys.
    type Key;

    /// Asks the circuit of this request for admission, usually by calling
    /// [`CircuitBreakerRegistry::try_acquire`] with a key that the request contains.
    ///
    /// # Errors
    /// Returns [`Rejected`] if the call is not admitted.
    fn try_acquire(
        &self,
        request: &Request,
        circuits: &CircuitBreakerRegistry<Self::Key>,
    ) -> Result<Permit, Rejected>;
}

// Without this attribute, the compiler says of a picker for other requests that it is no closure.
#[diagnostic::do_not_recommend]
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
