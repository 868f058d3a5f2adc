//! Errors flatten: the outermost layer sees the error that the innermost one returned, whatever is between them.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Ready, pending, ready};
use std::io;
use std::time::Duration;

use tokio::time::advance;
use tower::timeout::error::Elapsed;
use tower::util::ServiceFn;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, ConfigError, HalfOpen, Outcome,
    RejectReason, Rejected, State,
};

const SECOND: Duration = Duration::from_secs(1);

/// Creates a breaker that trips on the second consecutive failure.
fn breaker(name: &str) -> CircuitBreaker {
    let builder = CircuitBreaker::builder(name).consecutive_failures(2).open_duration(10 * SECOND);
    builder.half_open(HalfOpen::consecutive_successes(1)).build().unwrap()
}

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(breaker.clone())
}

fn rejected(breaker: &CircuitBreaker) -> Rejected {
    breaker.try_acquire().unwrap_err()
}

/// An error with a source.
#[derive(Debug)]
struct Unreachable(io::Error);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the dependency cannot be reached")
    }
}

impl Error for Unreachable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn unreachable() -> Unreachable {
    Unreachable(io::Error::new(io::ErrorKind::NetworkUnreachable, "no route"))
}

type Failing<E> = ServiceFn<fn(()) -> Ready<Result<(), E>>>;

fn failing() -> Failing<Unreachable> {
    service_fn(|()| ready(Err(unreachable())))
}

// ---- conversion ---------------------------------------------------------------------------------

/// Converts the rejection of a call with this error type.
fn boxed_rejection<E: Into<BoxError>>() -> BoxError {
    let breaker = breaker("payments");
    breaker.force_open();
    CircuitBreakerError::<E>::Rejected(rejected(&breaker)).into()
}

#[test]
fn a_boxed_rejection_is_a_rejected_whatever_the_inner_error_type() {
    let boxed = [
        boxed_rejection::<BoxError>(),
        boxed_rejection::<io::Error>(),
        boxed_rejection::<Infallible>(),
        boxed_rejection::<String>(),
        boxed_rejection::<&str>(),
        boxed_rejection::<CircuitBreakerError<BoxError>>(),
        boxed_rejection::<CircuitBreakerError<CircuitBreakerError<io::Error>>>(),
    ];
    for error in boxed {
        assert_eq!(error.downcast_ref::<Rejected>().unwrap().breaker(), "payments");
    }
}

#[test]
fn a_boxed_inner_error_is_the_inner_error_itself() {
    let io: BoxError = CircuitBreakerError::Inner(io::Error::from_raw_os_error(2)).into();
    assert_eq!(io.downcast_ref::<io::Error>().unwrap().raw_os_error(), Some(2));

    let already: BoxError = unreachable().into();
    let address = std::ptr::from_ref(already.downcast_ref::<Unreachable>().unwrap());
    let boxed: BoxError = CircuitBreakerError::Inner(already).into();
    assert!(std::ptr::eq(address, boxed.downcast_ref().unwrap()), "the error is not boxed again");

    let string: BoxError = CircuitBreakerError::Inner("refused".to_owned()).into();
    let str: BoxError = CircuitBreakerError::Inner("refused").into();
    assert_eq!((string.to_string(), str.to_string()), ("refused".into(), "refused".into()));

    let twice: BoxError =
        CircuitBreakerError::Inner(CircuitBreakerError::Inner(unreachable())).into();
    assert!(twice.is::<Unreachable>());
}

#[test]
fn the_question_mark_operator_converts_the_error() {
    fn pay() -> Result<(), BoxError> {
        Err(CircuitBreakerError::Inner(unreachable()))?
    }
    fn ask(breaker: &CircuitBreaker) -> Result<(), CircuitBreakerError<io::Error>> {
        breaker.try_acquire()?.success();
        Ok(())
    }
    assert!(pay().unwrap_err().is::<Unreachable>());
    let breaker = breaker("payments");
    assert!(ask(&breaker).is_ok());
    breaker.trip();
    assert!(ask(&breaker).unwrap_err().rejected().is_some());
}

#[test]
fn rejected_is_an_error_that_is_clone_send_and_sync() {
    fn is_error<T: Error + Clone + Send + Sync + 'static>() {}
    is_error::<Rejected>();
    is_error::<ConfigError>();
}

// ---- through layers -----------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_timeout_is_recognised_through_two_breakers() {
    let (outer, inner) = (breaker("outer"), breaker("inner"));
    let mut service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .layer(layer(&outer))
        .timeout(10 * SECOND)
        .layer(layer(&inner))
        .timeout(SECOND)
        .service(service_fn(|()| pending::<Result<(), Infallible>>()));

    for failures in 1..=2 {
        let error: BoxError = service.ready().await.unwrap().call(()).await.unwrap_err();
        assert!(error.downcast_ref::<Elapsed>().is_some(), "{error:?}");
        assert_eq!(outer.snapshot().consecutive_failures(), failures);
        assert_eq!(inner.snapshot().consecutive_failures(), failures);
    }
    assert_eq!((outer.state(), inner.state()), (State::Open, State::Open));
}

#[tokio::test(start_paused = true)]
async fn the_chain_of_sources_is_complete_through_two_breakers_and_a_timeout() {
    let service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .layer(layer(&breaker("outer")))
        .timeout(SECOND)
        .layer(layer(&breaker("inner")))
        .service(failing());

    let error: BoxError = service.oneshot(()).await.unwrap_err();
    assert!(error.is::<Unreachable>(), "{error:?}");
    let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::NetworkUnreachable);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_the_inner_breaker_keeps_its_name_and_is_a_failure_of_the_outer_one() {
    let (outer, inner) = (breaker("outer"), breaker("inner"));
    let mut service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .layer(layer(&outer))
        .timeout(SECOND)
        .layer(layer(&inner))
        .service(failing());
    inner.trip();

    for by in ["inner", "inner", "outer", "outer"] {
        let error: BoxError = service.ready().await.unwrap().call(()).await.unwrap_err();
        let rejected = error.downcast_ref::<Rejected>().unwrap();
        assert_eq!((rejected.breaker(), rejected.reason()), (by, RejectReason::Open));
    }
    assert_eq!(
        outer.snapshot().consecutive_failures(),
        2,
        "the rejections of the outer breaker do not count"
    );
}

#[tokio::test(start_paused = true)]
async fn the_outer_breaker_can_ignore_rejections_by_the_inner_one() {
    type Error = CircuitBreakerError<Unreachable>;
    let (outer, inner) = (breaker("outer"), breaker("inner"));
    let classified = layer(&outer).classifier(|result: Result<&(), &Error>| match result {
        Ok(()) => Outcome::Success,
        Err(error) if error.rejected().is_some() => Outcome::Ignored,
        Err(_) => Outcome::Failure,
    });
    let mut service = classified.layer(layer(&inner).layer(failing()));

    for n in 0..10 {
        let error = service.ready().await.unwrap().call(()).await.unwrap_err();
        // The type shows that a rejection by the inner breaker is an inner error.
        assert!(error.rejected().is_none());
        let CircuitBreakerError::Inner(error) = error else { panic!("{error:?}") };
        assert_eq!(error.rejected().is_some(), n >= 1);
        if n == 0 {
            inner.trip();
        }
    }
    assert_eq!((outer.state(), outer.snapshot().consecutive_failures()), (State::Closed, 1));
}

// ---- texts --------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_rejection_says_which_breaker_rejected_the_call_why_and_for_how_long() {
    let breaker = breaker("payments");

    breaker.trip();
    advance(SECOND / 2).await;
    let open = rejected(&breaker);
    assert_eq!(
        open.to_string(),
        "circuit breaker `payments` rejected the call: the circuit is open, next probe in 9.5s"
    );
    assert_eq!((open.reason(), open.retry_after()), (RejectReason::Open, Some(SECOND * 19 / 2)));

    advance(10 * SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    let half_open = rejected(&breaker);
    assert_eq!(
        half_open.to_string(),
        "circuit breaker `payments` rejected the call: the circuit is half-open and has no free probe slot"
    );
    assert_eq!(half_open.reason(), RejectReason::HalfOpen);
    assert_eq!(half_open.retry_after(), Some(10 * SECOND), "the wait if the probe failed now");
    drop(probe);

    breaker.force_open();
    let forced = rejected(&breaker);
    assert_eq!(
        forced.to_string(),
        "circuit breaker `payments` rejected the call: the circuit is forced open"
    );
    assert_eq!((forced.reason(), forced.retry_after()), (RejectReason::ForcedOpen, None));
    assert!(forced.source().is_none());
}

#[test]
fn the_typed_error_prints_what_it_contains() {
    let breaker = breaker("payments");
    breaker.force_open();
    let not_admitted = CircuitBreakerError::<Unreachable>::Rejected(rejected(&breaker));
    let failed = CircuitBreakerError::Inner(unreachable());

    assert_eq!(not_admitted.to_string(), rejected(&breaker).to_string());
    assert_eq!(failed.to_string(), "the dependency cannot be reached");
    assert_eq!(not_admitted.rejected(), Some(&rejected(&breaker)));
    assert!(failed.rejected().is_none());
    assert!(format!("{not_admitted:?}").contains("payments"));
    assert!(format!("{failed:?}").contains("no route"));
}
