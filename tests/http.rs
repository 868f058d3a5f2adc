//! A breaker on real sockets, with hyper-util's client, axum's router, and hyper's server.
//!
//! These tests run on the real clock, so they do not depend on it. An open circuit stays open, and a test
//! makes the next call a probe by hand.

#![cfg(feature = "http")]

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::State as Shared;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::http::Unavailable;
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, HalfOpen, Outcome, RejectReason,
    Rejected, State,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A circuit that trips at the second consecutive failure, and closes after one probe.
fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("backend")
        .consecutive_failures(2)
        .open_duration(HOUR)
        .half_open(HalfOpen::consecutive_successes(1))
        .probe_timeout(HOUR)
        .build()
        .unwrap()
}

/// Ends the wait of an open circuit, so that the next call is a probe.
fn let_a_probe_through(breaker: &CircuitBreaker) {
    assert_eq!(breaker.state(), State::Open);
    breaker.force_open();
    breaker.resume();
}

/// A classifier that counts errors and 5xx as failures.
fn server_errors<B, E>(result: Result<&Response<B>, &E>) -> Outcome {
    match result {
        Ok(response) if !response.status().is_server_error() => Outcome::Success,
        Ok(_) | Err(_) => Outcome::Failure,
    }
}

/// A handler that answers with the status that the test sets, and counts the requests.
#[derive(Clone, Default)]
struct Backend {
    status: Arc<AtomicU16>,
    hits: Arc<AtomicUsize>,
}

impl Backend {
    fn new(status: StatusCode) -> Self {
        let backend = Self::default();
        backend.answers(status);
        backend
    }

    fn answers(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }

    fn router(&self) -> Router {
        Router::new().route("/", get(Self::answer)).with_state(self.clone())
    }

    async fn answer(Shared(backend): Shared<Self>) -> StatusCode {
        backend.hits.fetch_add(1, Ordering::Relaxed);
        StatusCode::from_u16(backend.status.load(Ordering::Relaxed)).unwrap()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve(router: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

fn request(address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{address}{path}")).body(Empty::new()).unwrap()
}

/// Sends a request and returns the status.
async fn send<S, B>(service: &mut S, address: SocketAddr) -> Result<StatusCode, S::Error>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>>,
{
    Ok(service.ready().await?.call(request(address, "/")).await?.status())
}

// ---- hyper-util's client ------------------------------------------------------------------------

#[tokio::test]
async fn a_client_trips_on_server_errors_and_recovers_with_a_probe() {
    let (breaker, backend) = (breaker(), Backend::new(StatusCode::BAD_GATEWAY));
    let address = serve(backend.router()).await;
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(server_errors::<Incoming, _>))
        .service(client());

    for _ in 0..2 {
        assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::BAD_GATEWAY);
    }
    for _ in 0..5 {
        let error = send(&mut client, address).await.unwrap_err();
        assert_eq!(error.rejected().unwrap().reason(), RejectReason::Open);
    }
    assert_eq!(backend.hits(), 2);

    let_a_probe_through(&breaker);
    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::BAD_GATEWAY);
    let_a_probe_through(&breaker);
    backend.answers(StatusCode::NOT_FOUND); // the fault of the client
    for _ in 0..5 {
        assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::NOT_FOUND);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(backend.hits(), 8);
}

#[tokio::test]
async fn refused_connections_trip() {
    // The port is bound, so no other process gets it, but nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let breaker = breaker();
    let mut client =
        ServiceBuilder::new().layer(CircuitBreakerLayer::new(breaker.clone())).service(client());

    for _ in 0..2 {
        let error = send(&mut client, address).await.unwrap_err();
        assert!(matches!(&error, CircuitBreakerError::Inner(error) if error.is_connect()));
        let error = BoxError::from(error);
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        assert_eq!(
            causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).last().unwrap().kind(),
            io::ErrorKind::ConnectionRefused,
            "the chain of causes is complete",
        );
    }
    assert_eq!(breaker.state(), State::Open);

    let listener = socket.listen(8).unwrap();
    tokio::spawn(async { axum::serve(listener, Backend::new(StatusCode::OK).router()).await });
    let rejected = send(&mut client, address).await.unwrap_err();
    assert!(rejected.rejected().is_some());
    let_a_probe_through(&breaker);
    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::OK);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_trips_with_a_timeout_inside() {
    let (_listener, address) = listen().await; // only the kernel accepts connections
    let breaker = breaker();
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .timeout(Duration::from_millis(20))
        .service(client());

    for _ in 0..2 {
        let error = send(&mut client, address).await.unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(error) if error.is::<Elapsed>()));
    }
    assert!(send(&mut client, address).await.unwrap_err().rejected().is_some());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_server_that_never_answers_trips_with_a_timeout_outside_and_abandoned_after() {
    let (_listener, address) = listen().await;
    let breaker = CircuitBreaker::builder("black hole")
        .consecutive_failures(2)
        .open_duration(HOUR)
        .abandoned_after(Duration::from_millis(10))
        .build()
        .unwrap();
    let mut client = ServiceBuilder::new()
        .timeout(Duration::from_millis(20))
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .service(client());

    for _ in 0..2 {
        assert!(send(&mut client, address).await.unwrap_err().is::<Elapsed>());
    }
    assert!(send(&mut client, address).await.unwrap_err().is::<Rejected>());
}

#[tokio::test]
async fn a_connection_that_closes_is_a_failure() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let breaker = breaker();
    let mut client =
        ServiceBuilder::new().layer(CircuitBreakerLayer::new(breaker.clone())).service(client());

    for _ in 0..2 {
        let error = send(&mut client, address).await.unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(_)));
    }
    assert_eq!(breaker.state(), State::Open);
}

// ---- axum ---------------------------------------------------------------------------------------

/// Answers in place of the error of a breaker around a router. The only error is a rejection.
async fn handle(
    CircuitBreakerError::Rejected(rejected): CircuitBreakerError<Infallible>,
) -> Response<Body> {
    Unavailable::response(rejected)
}

fn behind_breaker(router: Router, breaker: &CircuitBreaker) -> Router {
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(server_errors::<Body, _>);
    router.layer(ServiceBuilder::new().layer(HandleErrorLayer::new(handle)).layer(layer))
}

#[tokio::test]
async fn a_router_that_is_called_directly_applies_the_layer_for_each_request_to_one_circuit() {
    let (breaker, backend) = (breaker(), Backend::new(StatusCode::INTERNAL_SERVER_ERROR));
    let router = behind_breaker(backend.router(), &breaker);
    let ask = || async {
        let request = Request::get("/").body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    };

    for expected in [500, 500, 503, 503] {
        assert_eq!(ask().await, expected);
    }
    assert_eq!(backend.hits(), 2);

    backend.answers(StatusCode::OK);
    let_a_probe_through(&breaker);
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_served_router_answers_503_with_retry_after_while_open() {
    let (breaker, backend) = (breaker(), Backend::new(StatusCode::INTERNAL_SERVER_ERROR));
    let router = behind_breaker(backend.router(), &breaker);
    let address = serve(router).await;
    let client = client();

    for expected in [500, 500, 503, 503] {
        let response = client.request(request(address, "/")).await.unwrap();
        assert_eq!(response.status(), expected);
        let retry_after = response.headers().get(RETRY_AFTER);
        let seconds = retry_after.map(|it| it.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(seconds.is_some_and(|it| (1..=3600).contains(&it)), expected == 503);
    }
    assert_eq!(backend.hits(), 2);
    let unknown = client.request(request(address, "/unknown")).await.unwrap();
    assert_eq!(unknown.status(), StatusCode::SERVICE_UNAVAILABLE, "the layer covers the fallback");

    backend.answers(StatusCode::OK);
    let_a_probe_through(&breaker);
    assert_eq!(client.request(request(address, "/")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_route_layer_does_not_affect_unknown_routes() {
    let (breaker, backend) = (breaker(), Backend::new(StatusCode::INTERNAL_SERVER_ERROR));
    let layer = CircuitBreakerLayer::new(breaker).classifier(server_errors::<Body, _>);
    let router = backend
        .router()
        .route("/again", get(Backend::answer).with_state(backend.clone()))
        .route_layer(ServiceBuilder::new().layer(HandleErrorLayer::new(handle)).layer(layer))
        .route("/unprotected", get(|| async { StatusCode::OK }));
    let address = serve(router).await;
    let client = client();

    let steps = [("/", 500), ("/again", 500), ("/", 503), ("/again", 503)]; // one circuit for both
    for (path, expected) in steps.into_iter().chain([("/unknown", 404), ("/unprotected", 200)]) {
        let response = client.request(request(address, path)).await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
    assert_eq!(backend.hits(), 2);
}

/// The outbound service in the state of a handler.
type Outbound =
    BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, CircuitBreakerError<BoxError>>;

#[tokio::test]
async fn a_handler_calls_its_dependency_through_a_breaker_in_its_state() {
    async fn handler(
        Shared((outbound, address)): Shared<(Outbound, SocketAddr)>,
    ) -> Result<Bytes, Response<Body>> {
        let answer = outbound.oneshot(request(address, "/")).await;
        let answer = answer.map_err(|error| match error {
            CircuitBreakerError::Rejected(rejected) => Unavailable::response(rejected),
            CircuitBreakerError::Inner(_) => StatusCode::BAD_GATEWAY.into_response(),
        })?;
        let status = answer.status().to_string();
        answer.into_body().collect().await.map_err(|_| StatusCode::BAD_GATEWAY.into_response())?;
        Ok(status.into())
    }

    let (breaker, backend) = (breaker(), Backend::new(StatusCode::INTERNAL_SERVER_ERROR));
    let dependency = serve(backend.router()).await;
    let outbound = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(server_errors::<Incoming, _>))
        .timeout(HOUR)
        .service(client());
    let state = (Outbound::new(outbound), dependency);
    let router = Router::new().route("/", get(handler)).with_state(state);
    let address = serve(router).await;
    let ask = async || {
        let response = client().request(request(address, "/")).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    };

    for _ in 0..2 {
        assert_eq!(ask().await, (200, "500 Internal Server Error".to_owned()));
    }
    for _ in 0..5 {
        assert_eq!(ask().await, (503, String::new()));
    }
    assert_eq!(backend.hits(), 2);

    backend.answers(StatusCode::OK);
    let_a_probe_through(&breaker);
    assert_eq!(ask().await, (200, "200 OK".to_owned()));
    assert_eq!(breaker.state(), State::Closed);
}

// ---- hyper's server -----------------------------------------------------------------------------

/// Serves with hyper only.
async fn serve_with_hyper<S>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

#[tokio::test]
async fn a_rejection_of_a_breaker_that_is_the_service_of_hyper_closes_the_connection() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let address =
        serve_with_hyper(ServiceBuilder::new().layer(layer).service(service_fn(hello))).await;
    let mut client = client();

    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::OK);
    breaker.trip();
    assert!(send(&mut client, address).await.is_err(), "hyper does not answer for an error");
    let_a_probe_through(&breaker);
    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::OK);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_breaker_that_is_the_service_of_hyper_answers_if_rejections_become_responses() {
    let breaker = breaker();
    let service = ServiceBuilder::new()
        .map_result(|result: Result<_, CircuitBreakerError<Infallible>>| {
            Ok::<_, CircuitBreakerError<Infallible>>(result.unwrap_or_else(|_| {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }))
        })
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .service(service_fn(hello));
    let address = serve_with_hyper(service).await;
    let mut client = client();

    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::OK);
    breaker.trip();
    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    breaker.reset();
    assert_eq!(send(&mut client, address).await.unwrap(), StatusCode::OK);
}
