//! A client behind a forwarding proxy, which answers for backends that are down or silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest::Proxy;
use tokio::time::timeout;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
use tower_reqwest::HttpClientService;

use crate::backend::{Backend, DeadPort, serve};
use crate::{HOUR, SOON, breaker, builder, is_rejected, let_a_probe_through, survives_an_outage};

#[derive(Clone)]
struct Forwarder {
    client: Client<HttpConnector, Body>,
    patience: Duration,
    hits: Arc<AtomicUsize>,
}

impl Forwarder {
    fn new(patience: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, patience, hits: Arc::default() }
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }

    /// Starts the proxy and returns a client that uses it.
    async fn client(&self) -> HttpClientService<reqwest::Client> {
        let router = Router::new().fallback(Self::forward).with_state(self.clone());
        client_of(&format!("http://{}/", serve(router).await))
    }

    async fn forward(State(proxy): State<Self>, request: Request<Body>) -> Response {
        proxy.hits.fetch_add(1, Ordering::Relaxed);
        match timeout(proxy.patience, proxy.client.request(request)).await {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(_)) => StatusCode::BAD_GATEWAY.into_response(),
            Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        }
    }
}

fn client_of(proxy: &str) -> HttpClientService<reqwest::Client> {
    let proxy = Proxy::http(proxy).unwrap();
    HttpClientService::new(reqwest::Client::builder().proxy(proxy).build().unwrap())
}

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer<HttpClassifier> {
    CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new())
}

async fn send<S>(service: &mut S, url: &str) -> Result<StatusCode, BoxError>
where
    S: Service<
            Request<reqwest::Body>,
            Response = http::Response<reqwest::Body>,
            Error: Into<BoxError>,
        >,
{
    let request = Request::get(url).body(reqwest::Body::default())?;
    let response = service.ready().await.map_err(Into::into)?.call(request);
    Ok(response.await.map_err(Into::into)?.status())
}

#[tokio::test]
async fn an_outage_of_the_backend() {
    let (breaker, backend, proxy) = (breaker(), Backend::start().await, Forwarder::new(HOUR));
    let mut client = ServiceBuilder::new().layer(layer(&breaker)).service(proxy.client().await);
    survives_an_outage(&breaker, &backend, async || send(&mut client, &backend.url()).await).await;
    assert_eq!(proxy.hits(), backend.hits());
}

#[tokio::test]
async fn the_bad_gateways_of_a_dead_backend_trip() {
    let (breaker, port, proxy) = (breaker(), DeadPort::new(), Forwarder::new(HOUR));
    let mut client = ServiceBuilder::new().layer(layer(&breaker)).service(proxy.client().await);
    let url = port.url();
    for _ in 0..2 {
        assert_eq!(send(&mut client, &url).await.unwrap(), StatusCode::BAD_GATEWAY);
    }
    for _ in 0..5 {
        assert!(is_rejected(&send(&mut client, &url).await));
    }
    assert_eq!(proxy.hits(), 2);

    let listener = port.come_to_life();
    let router = Router::new().fallback(|| async { "hello" });
    tokio::spawn(async { axum::serve(listener, router).await });
    let_a_probe_through(&breaker);
    for _ in 0..2 {
        assert_eq!(send(&mut client, &url).await.unwrap(), StatusCode::OK);
    }
}

#[tokio::test]
async fn the_gateway_timeouts_of_a_silent_backend_trip() {
    let (breaker, backend, proxy) = (breaker(), Backend::start().await, Forwarder::new(SOON));
    backend.falls_silent();
    let mut client = ServiceBuilder::new().layer(layer(&breaker)).service(proxy.client().await);
    for _ in 0..2 {
        let status = send(&mut client, &backend.url()).await.unwrap();
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    }
    assert!(is_rejected(&send(&mut client, &backend.url()).await));
    assert_eq!(proxy.hits(), 2);
}

#[tokio::test]
async fn a_dead_proxy_trips() {
    let (breaker, backend, proxy) = (breaker(), Backend::start().await, DeadPort::new());
    let mut client = ServiceBuilder::new().layer(layer(&breaker)).service(client_of(&proxy.url()));
    for _ in 0..2 {
        let error = send(&mut client, &backend.url()).await.unwrap_err();
        assert!(error.downcast::<reqwest::Error>().unwrap().is_connect());
    }
    assert!(is_rejected(&send(&mut client, &backend.url()).await));
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn circuits_by_host_are_those_of_the_hosts_behind_the_proxy() {
    let circuits = CircuitBreakerRegistry::builder(builder()).build().unwrap();
    let layer = KeyedLayer::by_host(circuits.clone()).classifier(HttpClassifier::new());
    let (dead, backend, proxy) = (DeadPort::new(), Backend::start().await, Forwarder::new(HOUR));
    let mut client = ServiceBuilder::new().layer(layer).service(proxy.client().await);
    for _ in 0..2 {
        assert_eq!(send(&mut client, &dead.url()).await.unwrap(), StatusCode::BAD_GATEWAY);
    }
    assert!(is_rejected(&send(&mut client, &dead.url()).await));
    assert_eq!(send(&mut client, &backend.url()).await.unwrap(), StatusCode::OK);
    assert_eq!(circuits.len(), 2);
}
