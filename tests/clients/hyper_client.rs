//! hyper-util's client, over HTTP/1 and HTTP/2.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use http::{Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{Cause, CircuitBreaker, CircuitBreakerLayer, State};

use crate::backend::{Backend, DeadPort, listen};
use crate::{
    SOON, breaker, breaker_that_counts_abandoned_calls, causes, is_rejected, let_a_probe_through,
    recorded, survives_an_outage,
};

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

fn client(version: Version) -> HttpClient {
    let is_http2 = version == Version::HTTP_2;
    Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http()
}

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer<HttpClassifier> {
    CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new())
}

async fn send<S, B>(
    service: &mut S,
    address: SocketAddr,
    version: Version,
) -> Result<StatusCode, BoxError>
where
    S: Service<Request<Empty<Bytes>>, Response = http::Response<B>, Error: Into<BoxError>>,
{
    let request = Request::get(format!("http://{address}/")).body(Empty::new())?;
    let response = service.ready().await.map_err(Into::into)?.call(request);
    let response = response.await.map_err(Into::into)?;
    assert_eq!(response.version(), version);
    Ok(response.status())
}

#[tokio::test]
async fn an_outage_over_both_versions_of_http() {
    for version in VERSIONS {
        let (breaker, backend) = (breaker(), Backend::start().await);
        let mut client = ServiceBuilder::new().layer(layer(&breaker)).service(client(version));
        survives_an_outage(&breaker, &backend, async || {
            send(&mut client, backend.address, version).await
        })
        .await;
    }
}

#[tokio::test]
async fn refused_connections_over_both_versions_of_http() {
    for version in VERSIONS {
        let (breaker, port) = (breaker(), DeadPort::new());
        let address = port.address;
        let mut client = ServiceBuilder::new().layer(layer(&breaker)).service(client(version));

        for _ in 0..2 {
            let error = send(&mut client, address, version).await.unwrap_err();
            let error = error.downcast::<hyper_util::client::legacy::Error>().unwrap();
            assert!(error.is_connect());
        }
        assert!(is_rejected(&send(&mut client, address, version).await));

        let listener = port.come_to_life();
        let router = Router::new().fallback(|| async { "hello" });
        tokio::spawn(async { axum::serve(listener, router).await });
        assert!(
            is_rejected(&send(&mut client, address, version).await),
            "an open circuit does not probe by itself"
        );
        let_a_probe_through(&breaker);
        assert_eq!(send(&mut client, address, version).await.unwrap(), StatusCode::OK);
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_over_http2_with_a_timeout_inside() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let version = Version::HTTP_2;
    let mut client =
        ServiceBuilder::new().layer(layer(&breaker)).timeout(SOON).service(client(version));
    backend.falls_silent();

    for _ in 0..2 {
        let error = send(&mut client, backend.address, version).await.unwrap_err();
        assert!(error.is::<Elapsed>());
    }
    for _ in 0..5 {
        assert!(is_rejected(&send(&mut client, backend.address, version).await));
    }
    assert!(backend.hits() <= 2);
}

#[tokio::test]
async fn a_server_that_does_not_answer_over_http2_with_a_timeout_outside() {
    let (breaker, backend) = (breaker_that_counts_abandoned_calls(), Backend::start().await);
    let version = Version::HTTP_2;
    let mut client =
        ServiceBuilder::new().timeout(SOON).layer(layer(&breaker)).service(client(version));
    backend.falls_silent();

    for _ in 0..2 {
        let error = send(&mut client, backend.address, version).await.unwrap_err();
        assert!(causes(&*error).any(|cause| cause.is::<Elapsed>()));
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(is_rejected(&send(&mut client, backend.address, version).await));
}

/// Makes five calls over one HTTP/2 connection, which is closed before they are answered.
async fn five_calls_on_a_connection_that_closes(breaker: &CircuitBreaker) {
    let (listener, address) = listen().await;
    let arrived = Arc::new(Semaphore::new(0));
    let arrivals = arrived.clone();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let hang = service_fn(move |_: Request<Incoming>| {
            arrivals.add_permits(1);
            pending::<Result<Response<Empty<Bytes>>, Infallible>>()
        });
        let connection = http2::Builder::new(TokioExecutor::new());
        connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(hang)).await
    });
    let service = ServiceBuilder::new().layer(layer(breaker)).service(client(Version::HTTP_2));
    let calls = (0..5).map(|_| {
        let mut service = service.clone();
        tokio::spawn(async move { send(&mut service, address, Version::HTTP_2).await.unwrap_err() })
    });
    let calls: Vec<_> = calls.collect();
    arrived.acquire_many(5).await.unwrap().forget();
    server.abort(); // closes the connection
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn one_http2_connection_that_closes_is_one_failure_for_each_of_its_calls() {
    let by_default = CircuitBreaker::new("backend");
    five_calls_on_a_connection_that_closes(&by_default).await;
    assert_eq!(by_default.state(), State::Open);
    let cause = by_default.history().last().unwrap().cause();
    assert_eq!(cause, Cause::ConsecutiveFailures { failures: 5 });

    let by_rate = CircuitBreaker::builder("backend").failure_rate_threshold(0.5).minimum_calls(20);
    let by_rate = by_rate.build().unwrap();
    five_calls_on_a_connection_that_closes(&by_rate).await;
    assert_eq!(by_rate.state(), State::Closed);
    assert_eq!(recorded(&by_rate), (5, 5));
}
