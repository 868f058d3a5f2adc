//! How the responses and errors of common layers are classified, both of layers inside the breaker and of
//! those of a server. Each test uses the real layer.

use std::time::Duration;

use http::{Response, StatusCode};
use tonic::body::Body;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tower::{Layer, Service, ServiceBuilder};
use tower_breaker::CircuitBreakerLayer;
use tower_breaker::grpc::GrpcClassifier;
use tower_http::timeout::TimeoutLayer;

use crate::servers::{Endless, serve_health, serve_router};
use crate::{breaker, channel, check, client, recorded};

/// For timeouts that are meant to expire.
const SOON: Duration = Duration::from_millis(20);

const FAILURE: (u64, u64) = (1, 1);
const SUCCESS: (u64, u64) = (1, 0);

/// Makes one call through a breaker. Returns its code, and how many calls and failures were recorded.
async fn call<S, B>(inner: S) -> (Code, (u64, u64))
where
    S: Service<http::Request<Body>, Response = Response<B>>,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = hyper::body::Bytes, Error: Into<tower::BoxError> + Send>
        + Send
        + 'static,
{
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(GrpcClassifier::new());
    let mut client = HealthClient::new(layer.layer(inner));
    let code = match client.check(HealthCheckRequest::default()).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    };
    (code, recorded(&breaker))
}

// ---- servers ----------------------------------------------------------------------------------

#[tokio::test]
async fn the_cancelled_of_a_server_that_is_too_slow_is_a_failure() {
    let server = Server::builder().timeout(SOON).add_service(HealthServer::new(Endless));
    let channel = channel(serve_router(server).await);
    assert_eq!(call(channel).await, (Code::Cancelled, FAILURE));
}

#[tokio::test]
async fn a_missed_deadline_is_a_failure_whether_the_client_or_the_server_notices_it_first() {
    let server = Server::builder().add_service(HealthServer::new(Endless));
    let channel = channel(serve_router(server).await);
    let with_deadline = ServiceBuilder::new()
        .map_request(|mut request: http::Request<Body>| {
            request.headers_mut().insert("grpc-timeout", "20m".parse().unwrap());
            request
        })
        .service(channel);
    let (code, recorded) = call(with_deadline).await;
    assert_eq!((code, recorded), (Code::Cancelled, FAILURE));
}

#[tokio::test]
async fn the_resource_exhausted_of_a_server_that_sheds_load_is_a_soft_failure() {
    let mut server = Server::builder().load_shed(true).concurrency_limit_per_connection(0);
    let server = server.add_service(HealthServer::new(Endless));
    let breaker = breaker();
    let mut client = client(&breaker, serve_router(server).await);
    for failures in 1..=5 {
        assert_eq!(check(&mut client).await.unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(recorded(&breaker), (failures, failures));
        assert_eq!(breaker.snapshot().consecutive_failures(), 0);
    }
}

#[tokio::test]
async fn a_call_that_its_caller_cancels_is_abandoned() {
    let server = Server::builder().add_service(HealthServer::new(Endless));
    let breaker = breaker();
    let mut client = client(&breaker, serve_router(server).await);
    tokio::time::timeout(SOON, check(&mut client)).await.unwrap_err();
    assert_eq!(recorded(&breaker), (0, 0));
}

// ---- layers inside ----------------------------------------------------------------------------

#[tokio::test]
async fn the_error_of_the_timeout_of_an_endpoint_is_a_failure() {
    let server = Server::builder().add_service(HealthServer::new(Endless));
    let address = serve_router(server).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.timeout(SOON).connect_lazy();
    assert_eq!(call(channel).await, (Code::Cancelled, FAILURE));
}

#[tokio::test]
async fn the_408_of_the_timeout_layer_of_tower_http_is_a_failure() {
    let server = Server::builder().add_service(HealthServer::new(Endless));
    let channel = channel(serve_router(server).await);
    let layer = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SOON);
    assert_eq!(call(layer.layer(channel)).await, (Code::Unknown, FAILURE));
}

#[tokio::test]
async fn a_client_interceptor_that_refuses_is_classified_by_its_code() {
    for (code, expected) in [(Code::Unauthenticated, SUCCESS), (Code::Unavailable, FAILURE)] {
        let refuse = move |_: Request<()>| Err(Status::new(code, "refused"));
        let layer = InterceptorLayer::new(refuse);
        let channel = channel(serve_health().await);
        assert_eq!(call(layer.layer(channel)).await, (code, expected));
    }
}
