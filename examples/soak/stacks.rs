//! The stacks of layers. Each has one circuit.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use tower::retry::Policy;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder};
use tower_breaker::http::HttpClassifier;
use tower_breaker::replay::Recorder;
use tower_breaker::{CircuitBreakerLayer, Event, Outcome, Rejected};

use crate::ledger::Ledger;
use crate::protected::{Panics, Protected};
use crate::settings::{self, ABANDONED_AFTER, TIMEOUT};
use crate::watch::{Answer, Req, Watch};

pub(crate) type Stack = BoxCloneService<Req, Answer, BoxError>;

/// How a client makes a call.
#[derive(Clone)]
pub(crate) enum Caller {
    Service(Stack),
    /// With `CircuitBreaker::call`.
    Call(Protected),
    /// With a permit, to which the client reports the result.
    Permit(Protected),
}

pub(crate) const NAMES: [&str; 9] = [
    "judged at the head",
    "judged at the end of the body",
    "a closure that panics judges",
    "timeout outside",
    "backpressure",
    "retry outside",
    "behind a buffer",
    "CircuitBreaker::call",
    "permits",
];

/// Whether the stack is a service.
pub(crate) fn is_service(name: &str) -> bool {
    !matches!(name, "CircuitBreaker::call" | "permits")
}

/// Builds the circuit of a ledger and the stack around it. `panics` causes panics in user code: inner services,
/// classifiers and listeners. `recorder` records the calls.
pub(crate) fn build(ledger: &Arc<Ledger>, panics: &Panics, recorder: Option<&Recorder>) -> Caller {
    let name = ledger.name;
    let listener = {
        let panics = panics.clone();
        move |_: &Event<'_>| panics.maybe()
    };
    let follow = {
        let ledger = ledger.clone();
        move |event: &Event<'_>| ledger.on_event(event)
    };
    let mut builder = settings::builder(name, ledger.circuit).on_event(listener).on_event(follow);
    if let Some(recorder) = recorder {
        builder = builder.listener(recorder.clone());
    }
    if name == "timeout outside" {
        builder = builder.abandoned_after(ABANDONED_AFTER);
    }
    let breaker = builder.build().expect("the settings are valid");
    ledger.breaker.set(breaker.clone()).expect("each circuit is built once");

    let protected = Protected::new(panics.clone(), name != "behind a buffer");
    let watch = Watch(ledger.clone());
    let layer = CircuitBreakerLayer::new(breaker);
    let at_head = layer.clone().classifier(HttpClassifier::new());
    let stack = ServiceBuilder::new();
    Caller::Service(match name {
        "judged at the head" => BoxCloneService::new(
            stack.layer(watch).layer(at_head).timeout(TIMEOUT).service(protected),
        ),
        "judged at the end of the body" => {
            let layer = layer.classifier(HttpClassifier::new().at_end_of_stream());
            BoxCloneService::new(
                stack.layer(watch).layer(layer).timeout(TIMEOUT).service(protected),
            )
        }
        "a closure that panics judges" => {
            let panics = panics.clone();
            let layer = layer.classifier(move |result: Result<&Response<Incoming>, &BoxError>| {
                panics.maybe();
                match result {
                    Ok(response) if response.status() == 500 => Outcome::Failure,
                    Ok(response) if response.status() == 503 => Outcome::Ignored,
                    Ok(_) => Outcome::Success,
                    Err(_) => Outcome::Failure,
                }
            });
            BoxCloneService::new(
                stack.layer(watch).layer(layer).timeout(TIMEOUT).service(protected),
            )
        }
        "timeout outside" => BoxCloneService::new(
            stack.timeout(TIMEOUT).layer(watch).layer(at_head).service(protected),
        ),
        "backpressure" => BoxCloneService::new(
            stack.layer(watch).layer(at_head.backpressure()).timeout(TIMEOUT).service(protected),
        ),
        "retry outside" => BoxCloneService::new(
            stack.retry(Once(true)).layer(watch).layer(at_head).timeout(TIMEOUT).service(protected),
        ),
        "behind a buffer" => BoxCloneService::new(
            stack.buffer(64).layer(watch).layer(at_head).timeout(TIMEOUT).service(protected),
        ),
        "CircuitBreaker::call" => return Caller::Call(protected),
        "permits" => return Caller::Permit(protected),
        name => unreachable!("no stack is called {name}"),
    })
}

/// Retries a failed call once, but does not retry rejections.
#[derive(Clone)]
struct Once(bool);

impl Policy<Req, Answer, BoxError> for Once {
    type Future = tokio::time::Sleep;

    fn retry(
        &mut self,
        _: &mut Req,
        result: &mut Result<Answer, BoxError>,
    ) -> Option<Self::Future> {
        let failed = match result {
            Ok(response) => response.status().is_server_error(),
            Err(error) => !error.is::<Rejected>(),
        };
        (failed && std::mem::take(&mut self.0))
            .then(|| tokio::time::sleep(Duration::from_millis(5)))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}
