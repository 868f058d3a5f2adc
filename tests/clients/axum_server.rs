//! Handlers of axum that call other services through a breaker.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use reqwest::Client;
use tokio::sync::Notify;
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_breaker::http::{HttpClassifier, Unavailable};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Rejected, State};
use tower_reqwest::HttpClientService;

use crate::backend::{Backend, CHUNKED, End, HALF, HalfBody, serve};
use crate::{HOUR, breaker, let_a_probe_through, recorded};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// The state of a handler: the protected service and the URL of the dependency.
type Outbound = (
    BoxCloneSyncService<Request<reqwest::Body>, Response, CircuitBreakerError<reqwest::Error>>,
    Arc<str>,
);

/// The service settles calls at the end of the stream. Its bodies become those of axum, so that a handler
/// can pass them on.
fn outbound(breaker: &CircuitBreaker, url: String) -> Outbound {
    let classifier = HttpClassifier::new().at_end_of_stream();
    let service = ServiceBuilder::new()
        .map_response(|response: http::Response<_>| response.map(Body::new))
        .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(classifier))
        .service(HttpClientService::new(client()));
    (BoxCloneSyncService::new(service), url.into())
}

/// Passes the response on.
async fn relay(Shared((service, url)): Shared<Outbound>) -> Response {
    let request = Request::get(&*url).body(reqwest::Body::default()).unwrap();
    match service.oneshot(request).await {
        Ok(response) => response,
        Err(CircuitBreakerError::Inner(_)) => StatusCode::BAD_GATEWAY.into_response(),
        Err(CircuitBreakerError::Rejected(rejected)) => Unavailable::response(rejected),
    }
}

async fn serve_relay(breaker: &CircuitBreaker, dependency: String) -> String {
    let router = Router::new().route("/", get(relay)).with_state(outbound(breaker, dependency));
    format!("http://{}/", serve(router).await)
}

#[tokio::test]
async fn a_relay_answers_for_its_dependency_while_that_is_down() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let url = serve_relay(&breaker, backend.url()).await;
    let ask = async || {
        let response = client().get(&url).send().await.unwrap();
        let asks_to_wait = response.headers().contains_key(RETRY_AFTER);
        (response.status().as_u16(), asks_to_wait, response.text().await.unwrap())
    };
    let of_its_own = (503, true, String::new());

    assert_eq!(ask().await, (200, false, "body".to_owned()));
    backend.answers(StatusCode::INTERNAL_SERVER_ERROR);
    for _ in 0..2 {
        assert_eq!(ask().await, (500, false, "body".to_owned()));
    }
    for _ in 0..5 {
        assert_eq!(ask().await, of_its_own);
    }
    assert_eq!(backend.hits(), 3);

    backend.answers(StatusCode::OK);
    let_a_probe_through(&breaker);
    assert_eq!(ask().await, (200, false, "body".to_owned()));
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_dependency_whose_body_fails_while_it_is_relayed_trips() {
    let breaker = breaker();
    let dependency = HalfBody::start(CHUNKED, End::Closed).await;
    let url = serve_relay(&breaker, dependency.url()).await;
    for _ in 0..2 {
        let mut response = client().get(&url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.chunk().await.unwrap().unwrap(), HALF);
        dependency.close();
        response.chunk().await.expect_err("the relayed body fails as well");
    }
    assert_eq!(breaker.state(), State::Open);
    let response = client().get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_user_who_disconnects_in_the_middle_of_a_body_is_not_a_failure_of_the_dependency() {
    let breaker = breaker();
    breaker.force_open();
    breaker.resume(); // the call is a probe, so the test can wait for its end: it closes the circuit
    let mut transitions = breaker.subscribe();
    let dependency = HalfBody::start(CHUNKED, End::Closed).await;
    let url = serve_relay(&breaker, dependency.url()).await;
    let mut response = client().get(&url).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), HALF);
    assert_eq!(breaker.state(), State::HalfOpen);
    drop(response);
    timeout(HOUR, transitions.next()).await.expect("the relay drops the body");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn with_a_fallback_a_handler_sees_no_rejections() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new())
        .fallback(|_: Request<reqwest::Body>, _: Rejected| async {
            Ok(http::Response::new(reqwest::Body::from("cached")))
        });
    let service = ServiceBuilder::new().layer(layer).service(HttpClientService::new(client()));
    let url = backend.url();
    let handler = async move || {
        let request = Request::get(&url).body(reqwest::Body::default()).unwrap();
        let answer = service.clone().oneshot(request).await;
        answer.map(|response| response.map(Body::new)).map_err(|_| StatusCode::BAD_GATEWAY)
    };
    let url = format!("http://{}/", serve(Router::new().route("/", get(handler))).await);
    let ask = async || {
        let response = client().get(&url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };

    backend.answers(StatusCode::INTERNAL_SERVER_ERROR);
    for _ in 0..2 {
        assert_eq!(ask().await, (500, "body".to_owned()));
    }
    for _ in 0..5 {
        assert_eq!(ask().await, (200, "cached".to_owned()));
    }
    assert_eq!(backend.hits(), 2);
    assert_eq!(recorded(&breaker), (2, 2), "what tripped it");
}

#[tokio::test]
async fn a_dependency_that_is_down_does_not_affect_another_one() -> Result<(), BoxError> {
    let (first, second) = (Backend::start().await, Backend::start().await);
    let router = Router::new()
        .route("/first", get(relay).with_state(outbound(&breaker(), first.url())))
        .route("/second", get(relay).with_state(outbound(&breaker(), second.url())));
    let address = serve(router).await;
    let ask = async |path| {
        let response = client().get(format!("http://{address}/{path}")).send().await?;
        Ok::<_, reqwest::Error>(response.status().as_u16())
    };

    first.answers(StatusCode::INTERNAL_SERVER_ERROR);
    for expected in [500, 500, 503, 503] {
        assert_eq!(ask("first").await?, expected);
        assert_eq!(ask("second").await?, 200);
    }
    assert_eq!((first.hits(), second.hits()), (2, 4));
    Ok(())
}

#[tokio::test]
async fn requests_in_flight_at_a_trip_are_answered_and_have_no_effect() {
    let (breaker, go) = (breaker(), Arc::new(Notify::new()));
    let entered = Arc::new(Notify::new());
    let (gate, door) = (go.clone(), entered.clone());
    let slow = Router::new().fallback(async move || {
        door.notify_one();
        gate.notified().await;
        StatusCode::OK
    });
    let dependency = format!("http://{}/", serve(slow).await);
    let url = serve_relay(&breaker, dependency).await;
    let in_flight = tokio::spawn(client().get(&url).send());
    entered.notified().await;

    breaker.trip();
    let_a_probe_through(&breaker);
    go.notify_one();
    assert_eq!(in_flight.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(breaker.state(), State::HalfOpen, "the call was not a probe");

    go.notify_one();
    assert_eq!(client().get(&url).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(breaker.state(), State::Closed);
}
