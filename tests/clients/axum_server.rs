//! axum's handlers, which call others through a breaker.

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

/// What a handler has in its state: the service, and where to find it.
type Outbound = (
    BoxCloneSyncService<Request<reqwest::Body>, Response, CircuitBreakerError<reqwest::Error>>,
    Arc<str>,
);

/// Judged at the end of the stream; bodies become those of axum, so that they may be passed on.
fn outbound(breaker: &CircuitBreaker, url: String) -> Outbound {
    let classifier = HttpClassifier::new().at_end_of_stream();
    let service = ServiceBuilder::new()
        .map_response(|response: http::Response<_>| response.map(Body::new))
        .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(classifier))
        .service(HttpClientService::new(client()));
    (BoxCloneSyncService::new(service), url.into())
}

/// Passes the answer on as it comes.
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
async fn a_dependency_that_breaks_off_while_it_is_relayed_trips() {
    let breaker = breaker();
    let dependency = HalfBody::start(CHUNKED, End::Closed).await;
    let url = serve_relay(&breaker, dependency.url()).await;
    for _ in 0..2 {
        let mut response = client().get(&url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.chunk().await.unwrap().unwrap(), HALF);
        dependency.break_off();
        response.chunk().await.expect_err("it is broken for us, too");
    }
    assert_eq!(breaker.state(), State::Open);
    let response = client().get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_user_who_goes_away_in_mid_body_is_no_failure_of_the_dependency() {
    let breaker = breaker();
    breaker.force_open();
    breaker.resume(); // so that the end of the call can be waited for: it closes the circuit
    let mut transitions = breaker.subscribe();
    let dependency = HalfBody::start(CHUNKED, End::Closed).await;
    let url = serve_relay(&breaker, dependency.url()).await;
    let mut response = client().get(&url).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), HALF);
    assert_eq!(breaker.state(), State::HalfOpen);
    drop(response);
    timeout(HOUR, transitions.next()).await.expect("the relay notices");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_fallback_keeps_a_handler_from_seeing_rejections() {
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
async fn one_dependency_that_is_down_takes_nothing_from_the_other() -> Result<(), BoxError> {
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
async fn requests_that_were_in_flight_at_the_trip_are_answered_and_decide_nothing() {
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
    assert_eq!(breaker.state(), State::HalfOpen, "it was no probe");

    go.notify_one();
    assert_eq!(client().get(&url).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(breaker.state(), State::Closed);
}
