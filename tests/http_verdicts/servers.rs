//! Servers on loopback sockets, and clients for them.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{BoxError, service_fn};

use crate::RequestBody;

pub(crate) type HttpClient = Client<HttpConnector, RequestBody>;

pub(crate) fn http1_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn http2_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

pub(crate) fn get(address: SocketAddr) -> Request<RequestBody> {
    request(Method::GET, address)
}

pub(crate) fn request(method: Method, address: SocketAddr) -> Request<RequestBody> {
    let request = Request::builder().method(method).uri(format!("http://{address}/"));
    // Without this header, hyper's server sends no trailers over HTTP/1.
    request.header("te", "trailers").body(RequestBody::new()).unwrap()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers each connection with these bytes and closes it.
pub(crate) async fn serve_bytes(answer: impl Into<Bytes>) -> SocketAddr {
    async fn converse(mut stream: TcpStream, answer: Bytes) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }

    let answer = answer.into();
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, answer.clone()));
        }
    });
    address
}

/// Serves HTTP/1 and HTTP/2 with hyper.
pub(crate) async fn serve<F, B>(answer: F) -> SocketAddr
where
    F: Fn() -> Response<B> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |_: Request<Incoming>| {
                let response = answer();
                async { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(async move {
                let service = TowerToHyperService::new(service);
                let builder = auto::Builder::new(TokioExecutor::new());
                // The connection ends with an error if a body fails, as it should.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}
