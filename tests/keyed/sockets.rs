//! Circuits by host on real sockets, with the client of hyper-util and servers of axum.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_breaker::keyed::KeyedLayer;
use tower_breaker::{Outcome, RejectReason, State};

use crate::builder;

async fn serve(status: StatusCode) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(move || async move { status }));
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

fn server_errors<B, E>(result: Result<&Response<B>, &E>) -> Outcome {
    match result {
        Ok(response) if !response.status().is_server_error() => Outcome::Success,
        Ok(_) | Err(_) => Outcome::Failure,
    }
}

#[tokio::test]
async fn only_the_circuits_of_failing_servers_open() {
    let healthy = serve(StatusCode::OK).await;
    let failing = serve(StatusCode::INTERNAL_SERVER_ERROR).await;
    let refusing = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap() // it is closed again
    };
    let circuits = builder().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(KeyedLayer::by_host(circuits.clone()).classifier(server_errors))
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    let send = |to: SocketAddr| {
        let request = Request::get(format!("http://{to}/")).body(Empty::new()).unwrap();
        client.clone().oneshot(request)
    };

    assert_eq!(send(healthy).await.unwrap().status(), StatusCode::OK);
    assert_eq!(send(failing).await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(send(refusing).await.unwrap_err().rejected().is_none());

    for broken in [failing, refusing] {
        let error = send(broken).await.unwrap_err();
        let rejected = error.rejected().expect("its circuit is open");
        assert_eq!(rejected.breaker(), format!("api/{broken}"));
        assert_eq!(rejected.reason(), RejectReason::Open);
    }
    assert_eq!(send(healthy).await.unwrap().status(), StatusCode::OK);
    let state = |of: SocketAddr| circuits.get(&of.to_string().as_str().into()).unwrap().state();
    assert_eq!([healthy, failing, refusing].map(state), [State::Closed, State::Open, State::Open]);
}
