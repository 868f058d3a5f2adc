//! A server that answers 200 and then fails in the middle of the body. One circuit settles its calls at
//! the head, another one at the end of the body.
//!
//! ```sh
//! cargo run --example streaming --features http
//! ```
//!
//! The example downloads the same file from the same server through both circuits. The first one counts
//! the 200 as a success and stays closed. The second one opens.

use axum::Router;
use axum::body::Body;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{Client, Error, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, Classifier};

type HttpClient = Client<HttpConnector, Body>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = start_server().await?;
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();

    println!("settled at the head");
    download_four_times(&url, &client, HttpClassifier::new()).await?;

    println!("settled at the end of the stream");
    download_four_times(&url, &client, HttpClassifier::new().at_end_of_stream()).await?;
    Ok(())
}

async fn download_four_times<C, B>(
    url: &str,
    client: &HttpClient,
    classifier: C,
) -> Result<(), BoxError>
where
    C: Classifier<Response<Incoming>, Error, Response = Response<B>> + Clone,
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let breaker = CircuitBreaker::builder("files").consecutive_failures(2).build()?;
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut client = layer.layer(client.clone());
    for _ in 0..4 {
        let request = Request::get(url).body(Body::empty())?;
        match client.ready().await?.call(request).await {
            Ok(response) => {
                print!("   {}", response.status());
                download(response.into_body()).await;
            }
            Err(CircuitBreakerError::Rejected(rejected)) => println!("   {rejected}"),
            Err(CircuitBreakerError::Inner(error)) => println!("   failed: {error}"),
        }
        println!("   -> {}", breaker.state());
    }
    Ok(())
}

/// Reads a body frame by frame, as a program would that writes it to a file.
async fn download(mut body: impl http_body::Body<Data = Bytes, Error = hyper::Error> + Unpin) {
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => print!(", {} bytes", frame.data_ref().map_or(0, Bytes::len)),
            Err(error) => return println!(", failed: {error}"),
        }
    }
    println!(", complete");
}

/// Starts a server that sends two chunks and then fails.
async fn start_server() -> Result<String, BoxError> {
    let half = || async {
        let disk_error = std::io::Error::other("the disk is broken");
        let chunks = stream::iter([Ok("first chunk"), Ok("second"), Err(disk_error)]);
        // The pause lets hyper send the chunks that it has.
        Body::from_stream(chunks.then(async |chunk| {
            tokio::task::yield_now().await;
            chunk
        }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback(half);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
