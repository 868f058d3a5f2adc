//! The small things that users see: names, texts of a log, `Debug`, and the parts that a service returns.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    Cause, CircuitBreaker, CircuitBreakerLayer, Ending, Fallback, NoFallback, OperatorAction,
    RejectReason,
};

#[derive(Debug, Clone, PartialEq)]
struct Inner(u32);

impl Service<()> for Inner {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0))
    }
}

#[tokio::test]
async fn a_service_returns_its_parts() {
    let breaker = CircuitBreaker::new("parts");
    let mut service = CircuitBreakerLayer::new(breaker).layer(Inner(1));
    assert_eq!(service.breaker().name(), "parts");
    assert_eq!(service.get_ref(), &Inner(1));
    service.get_mut().0 = 2;
    assert_eq!(service.clone().oneshot(()).await.unwrap(), 2);
    assert_eq!(service.into_inner(), Inner(2));
}

#[cfg(feature = "keyed")]
#[tokio::test]
async fn a_keyed_service_returns_its_parts() {
    use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};

    let circuits = CircuitBreakerRegistry::builder(CircuitBreaker::builder("parts")).build();
    let mut service = KeyedLayer::new(circuits.unwrap(), |(): &()| 7).layer(Inner(1));
    assert_eq!(service.get_ref(), &Inner(1));
    service.get_mut().0 = 2;
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), 2);
    assert_eq!(service.registry().len(), 1);
    assert_eq!(service.into_inner(), Inner(2));
}

#[test]
fn names_are_as_documented() {
    let reasons = [RejectReason::Open, RejectReason::HalfOpen, RejectReason::ForcedOpen];
    assert_eq!(reasons.map(|reason| reason.name()), ["open", "half_open", "forced_open"]);

    let endings =
        [Ending::Success, Ending::Failure, Ending::SoftFailure, Ending::Ignored, Ending::Abandoned];
    let names = ["success", "failure", "soft_failure", "ignored", "abandoned"];
    assert_eq!(endings.map(Ending::name), names);
    let printed = endings.map(|ending| ending.to_string());
    assert_eq!(printed, names.map(|name| name.replace('_', " ")));

    let actions = [
        OperatorAction::Trip,
        OperatorAction::Reset,
        OperatorAction::ForceOpen,
        OperatorAction::ForceClosed,
        OperatorAction::Resume,
        OperatorAction::ForceOpenFor { duration: Duration::from_secs(600) },
        OperatorAction::ForceClosedFor { duration: Duration::from_millis(1500) },
        OperatorAction::Suspect { duration: Duration::from_secs(30) },
    ];
    let names = actions.map(|action| action.to_string());
    assert_eq!(
        names,
        [
            "trip",
            "reset",
            "force_open",
            "force_closed",
            "resume",
            "force_open_for(600s)",
            "force_closed_for(1.5s)",
            "suspect(30s)",
        ]
    );
}

#[test]
fn causes_are_printed_in_plain_words() {
    let texts = [
        (Cause::ConsecutiveFailures { failures: 1 }, "1 failure in a row"),
        (Cause::ConsecutiveFailures { failures: 3 }, "3 failures in a row"),
        (Cause::FailureRate { failures: 2, calls: 4 }, "2 of 4 calls failed"),
        (Cause::SlowCallRate { slow_calls: 2, calls: 4 }, "2 of 4 calls were slow"),
        (Cause::RetryAfter, "the server asked to be left alone"),
        (Cause::ProbeFailed, "a probe failed"),
        (Cause::ProbeSlow, "a probe was slow"),
        (Cause::ProbeTimedOut, "a probe timed out"),
        (Cause::WaitOver, "the wait is over"),
        (Cause::ProbesSucceeded, "the probes succeeded"),
        (Cause::Primed, "primed with a saved state"),
        (Cause::Trip, "tripped by hand"),
        (Cause::Reset, "reset"),
        (Cause::ForceOpen, "forced open"),
        (Cause::ForceClosed, "forced closed"),
        (Cause::Resume, "resumed"),
    ];
    for (cause, words) in texts {
        assert_eq!(cause.to_string(), words);
    }
}

/// Requests, responses and errors do not have to implement `Debug`.
struct Secret;

#[track_caller]
fn printed(it: &impl std::fmt::Debug, beginning: &str) {
    let text = format!("{it:?}");
    assert!(text.starts_with(beginning), "{text}");
}

#[tokio::test]
async fn every_type_implements_debug_and_prints_its_name() {
    let breaker = CircuitBreaker::new("printed");
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let mut service = layer.layer(service_fn(|_: Secret| ready(Err::<Secret, _>(Secret))));
    let admitted = service.ready().await.ok().unwrap().call(Secret);
    printed(&layer, "CircuitBreakerLayer { breaker: CircuitBreaker");
    printed(&layer.layer(Inner(1)), "CircuitBreakerService { inner: Inner(1)");
    printed(&breaker.try_acquire().unwrap(), "Permit { ticket: ");
    printed(&breaker.subscribe(), "Transitions");
    printed(&admitted, "ResponseFuture");

    breaker.force_open();
    let rejected = breaker.try_acquire().unwrap_err();
    let answer = Fallback::<Secret, Secret, Secret>::answer(&NoFallback, Secret, rejected);
    printed(&answer, "RejectedFuture");
}

#[tokio::test(start_paused = true)]
async fn a_service_prints_that_it_waits_or_has_a_probe_slot() {
    let wait = Duration::from_secs(1);
    let breaker = CircuitBreaker::builder("waiting").open_duration(wait).build().unwrap();
    breaker.trip();
    let mut service = CircuitBreakerLayer::new(breaker).backpressure().layer(Inner(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending());
    assert!(format!("{service:?}").contains("Waiter { number: "));

    tokio::time::advance(wait).await;
    assert!(service.poll_ready(&mut cx).is_ready());
    assert!(format!("{service:?}").contains("Reserved(Reservation { ticket: "));
}

#[cfg(feature = "keyed")]
#[test]
fn the_types_of_keyed_implement_debug() {
    use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};

    let builder = CircuitBreakerRegistry::<u32>::builder(CircuitBreaker::builder("printed"));
    printed(&builder.clone(), "CircuitBreakerRegistryBuilder { template: ");
    let circuits = builder.build().unwrap();
    printed(&circuits, "CircuitBreakerRegistry { template: ");
    let layer = KeyedLayer::new(circuits, |(): &()| 7);
    printed(&layer, "KeyedLayer { registry: ");
    printed(&layer.layer(Inner(1)), "KeyedService { inner: Inner(1)");
}

#[cfg(feature = "http")]
#[test]
fn a_body_and_a_classifier_implement_debug() {
    use tower_breaker::Classifier;
    use tower_breaker::http::HttpClassifier;

    let breaker = CircuitBreaker::new("printed");
    printed(
        &HttpClassifier::default(),
        "HttpClassifier { by_status: ByStatus { failures: {408, 500, ",
    );
    let at_end = HttpClassifier::default().at_end_of_stream();
    let permit = breaker.try_acquire().unwrap();
    let response = http::Response::new(String::from("body"));
    let response = Classifier::<_, Infallible>::response(&at_end, response, permit);
    printed(response.body(), "ResponseBody { body: \"body\"");
}
