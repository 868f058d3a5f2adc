//! [`CircuitBreakerError`].

use std::error::Error;
use std::fmt;

use crate::circuit::Rejected;

/// The boxed error of Tower's middleware.
type BoxError = Box<dyn Error + Send + Sync>;

/// The error of a call through a breaker: either the breaker rejected the call, or the inner service failed.
///
/// `E` has no bounds, so a breaker fits around any service. Match on the error if you handle it where the
/// call is made.
///
/// The error also converts into Tower's `BoxError` without adding a wrapper. [`Inner`](Self::Inner) becomes
/// the error that the inner service returned, so `downcast_ref::<tower::timeout::error::Elapsed>()` works
/// through any number of breakers.
///
/// This type does not implement [`std::error::Error`], because Rust does not allow that together with this
/// conversion. Use [`Rejected`], which implements it, or the boxed error.
///
/// # Example
/// ```
/// use tower_breaker::{CircuitBreaker, CircuitBreakerError};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let breaker = CircuitBreaker::new("payments");
/// match breaker.call(async { Err::<(), _>("refused") }).await {
///     Ok(()) => println!("paid"),
///     Err(CircuitBreakerError::Rejected(rejected)) => println!("not now: {rejected}"),
///     Err(CircuitBreakerError::Inner(error)) => println!("failed: {error}"),
/// }
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CircuitBreakerError<E> {
    /// The breaker rejected the call. The inner service was not called.
    Rejected(Rejected),
    /// The inner service returned this error.
    Inner(E),
}

impl<E> CircuitBreakerError<E> {
    /// Returns the rejection, if the breaker rejected the call.
    ///
    /// A retry policy can decide by this. A rejected call is safe to retry, because nothing was sent, but a
    /// retry before [`Rejected::retry_after`] is likely to be rejected as well.
    #[must_use]
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Inner(_) => None,
        }
    }
}

impl<E> CircuitBreakerError<E> {
    /// Returns the error of the inner service, if the breaker did not reject the call.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// Converts the error of the inner service with `f`. A rejection stays as it is.
    pub fn map_inner<F>(self, f: impl FnOnce(E) -> F) -> CircuitBreakerError<F> {
        match self {
            Self::Rejected(rejected) => CircuitBreakerError::Rejected(rejected),
            Self::Inner(error) => CircuitBreakerError::Inner(f(error)),
        }
    }
}

impl CircuitBreakerError<BoxError> {
    /// Converts into the boxed error of Tower's middleware, as the [`From`] implementation does.
    ///
    /// Use it in `map_err` on a `ServiceBuilder` whose client is used in a spawned task:
    /// `.map_err(CircuitBreakerError::into_boxed)`. With `.map_err(BoxError::from)` the compiler reports
    /// that an implementation is "not general enough" there, which is a limitation of rustc
    /// ([rust#102211](https://github.com/rust-lang/rust/issues/102211)).
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let client = ServiceBuilder::new()
    ///     .map_err(CircuitBreakerError::<BoxError>::into_boxed)
    ///     .layer(CircuitBreakerLayer::new(CircuitBreaker::new("payments")))
    ///     .timeout(Duration::from_secs(1))
    ///     .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
    ///
    /// let answer = tokio::spawn(client.oneshot(42)).await.unwrap();
    /// assert_eq!(answer.unwrap(), 42);
    /// # });
    /// ```
    #[must_use]
    pub fn into_boxed(self) -> BoxError {
        self.into()
    }
}

impl<E: fmt::Display> fmt::Display for CircuitBreakerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E> From<Rejected> for CircuitBreakerError<E> {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl<E: Into<BoxError>> From<CircuitBreakerError<E>> for BoxError {
    fn from(error: CircuitBreakerError<E>) -> Self {
        match error {
            CircuitBreakerError::Rejected(rejected) => rejected.into(),
            CircuitBreakerError::Inner(error) => error.into(),
        }
    }
}

impl<E: Into<BoxError>> From<CircuitBreakerError<E>> for Box<dyn Error> {
    fn from(error: CircuitBreakerError<E>) -> Self {
        BoxError::from(error)
    }
}
