//! Servers on loopback sockets.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::stream::{Stream, StreamExt, iter, pending};
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::{BoxError, Layer, Service, service_fn};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve<H: Health>(service: HealthServer<H>) -> SocketAddr {
    serve_router(Server::builder().add_service(service)).await
}

/// Serves with a server that a test has configured.
pub(crate) async fn serve_router<L, B>(router: Router<L>) -> SocketAddr
where
    L: Layer<Routes> + Clone + Send + 'static,
    L::Service:
        Service<http::Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + 'static,
    <L::Service as Service<http::Request<tonic::body::Body>>>::Future: Send,
    <L::Service as Service<http::Request<tonic::body::Body>>>::Error: Into<BoxError> + Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// Starts the health service of tonic-health. It knows one service, which is healthy.
pub(crate) async fn serve_health() -> SocketAddr {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("known", ServingStatus::Serving).await;
    serve(service).await
}

/// A health service whose calls all end with this status.
pub(crate) struct Ending(pub(crate) Status);

impl Ending {
    pub(crate) async fn serve(status: Status) -> SocketAddr {
        serve(HealthServer::new(Self(status))).await
    }

    fn end<T>(&self, answer: T) -> Result<T, Status> {
        match self.0.code() {
            tonic::Code::Ok => Ok(answer),
            _ => Err(self.0.clone()),
        }
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Ending {
    /// Ends at once. If the status is not `Ok`, it is in the head.
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        self.end(tonic::Response::new(HealthCheckResponse::default()))
    }

    type WatchStream = Messages;

    /// Ends after a message. The status is in the trailers.
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Messages>, Status> {
        let message = HealthCheckResponse::default();
        let end = self.end(()).err().map(Err);
        Ok(tonic::Response::new(Box::pin(iter([Ok(message)].into_iter().chain(end)))))
    }
}

/// A health service that sends one message and then nothing more.
pub(crate) struct Endless;

impl Endless {
    pub(crate) async fn serve() -> SocketAddr {
        serve(HealthServer::new(Self)).await
    }
}

#[tonic::async_trait]
impl Health for Endless {
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        std::future::pending().await
    }

    type WatchStream = Messages;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Messages>, Status> {
        let message = iter([Ok(HealthCheckResponse::default())]);
        Ok(tonic::Response::new(Box::pin(message.chain(pending()))))
    }
}

/// Serves HTTP/2 with hyper only.
pub(crate) async fn serve_raw<F, B>(answer: F) -> SocketAddr
where
    F: Fn() -> Response<B> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service =
                service_fn(move |_: http::Request<Incoming>| ready(Ok::<_, Infallible>(answer())));
            let connection = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            tokio::spawn(connection);
        }
    });
    address
}

/// A complete message: not compressed, two bytes, "serving".
pub(crate) const MESSAGE: Bytes = Bytes::from_static(&[0, 0, 0, 0, 2, 0x08, 0x01]);

/// Returns a response with one message and these trailers.
pub(crate) fn raw(
    trailers: Option<HeaderMap>,
) -> Response<impl Body<Data = Bytes, Error = Infallible> + Send + 'static> {
    let frames = [Frame::data(MESSAGE)].into_iter().chain(trailers.map(Frame::trailers));
    let body = StreamBody::new(iter(frames.map(Ok)));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

pub(crate) fn trailers(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
}
