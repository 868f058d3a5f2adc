//! Bodies that are read to their end, that are empty, or that are dropped early.

use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service};
use tower_breaker::http::{AtEndOfStream, HttpClassifier, ResponseBody};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, CircuitBreakerService, State};

use crate::scripted::{Gate, Scripted, Step, poll};
use crate::servers::{HttpClient, get, http1_client, http2_client, request, serve, serve_bytes};
use crate::{HOUR, RequestBody, breaker, builder, fetch, half_open, recorded, send};

type Protected = CircuitBreakerService<
    HttpClient,
    HttpClassifier<tower_breaker::http::NoPredicate, AtEndOfStream>,
>;

fn protect(breaker: &CircuitBreaker, client: HttpClient) -> Protected {
    let classifier = HttpClassifier::new().at_end_of_stream();
    CircuitBreakerLayer::new(breaker.clone()).classifier(classifier).layer(client)
}

#[tokio::test]
async fn a_body_read_to_its_end_is_a_success_for_every_kind_of_framing() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n";
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody".to_owned(),
        format!("{chunked}\r\n"),
        format!("{chunked}x-checksum: 1\r\n\r\n"),
        "HTTP/1.0 200 OK\r\n\r\nbody".to_owned(), // ends with the connection
    ];
    for answer in answers {
        let breaker = breaker();
        let address = serve_bytes(answer.clone()).await;
        let (status, body) =
            fetch(&mut protect(&breaker, http1_client()), get(address)).await.unwrap();
        assert_eq!((status, &*body), (StatusCode::OK, &b"body"[..]), "{answer}");
        assert_eq!(recorded(&breaker), (1, 0), "{answer}");
    }
}

#[tokio::test]
async fn an_http2_stream_read_to_its_end_is_a_success() {
    for trailers in [None, Some(Step::trailers("x-checksum", "1"))] {
        let breaker = breaker();
        let steps = [Step::data("bo"), Step::data("dy")].into_iter().chain(trailers);
        let body = Scripted::new(steps);
        let address = serve(move || Response::new(body.clone())).await;
        let (status, body) =
            fetch(&mut protect(&breaker, http2_client()), get(address)).await.unwrap();
        assert_eq!((status, &*body), (StatusCode::OK, &b"body"[..]));
        assert_eq!(recorded(&breaker), (1, 0));
    }
}

#[tokio::test]
async fn a_response_without_a_body_is_settled_at_its_head() {
    let empty = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    for (method, answer) in [(Method::GET, empty), (Method::GET, no_content), (Method::HEAD, head)]
    {
        let breaker = breaker();
        let address = serve_bytes(answer).await;
        let response =
            send(&mut protect(&breaker, http1_client()), request(method, address)).await.unwrap();
        assert_eq!(recorded(&breaker), (1, 0), "{answer}");
        drop(response);
        assert_eq!(recorded(&breaker), (1, 0), "{answer}");
    }
}

#[tokio::test]
async fn the_response_to_a_head_request_over_http2_is_settled_at_its_head() {
    let breaker = breaker();
    let head = || Response::builder().header("content-length", 1000).body(RequestBody::new());
    let address = serve(move || head().unwrap()).await;
    let request = request(Method::HEAD, address);
    let _response = send(&mut protect(&breaker, http2_client()), request).await.unwrap();
    assert_eq!(recorded(&breaker), (1, 0));
}

#[tokio::test]
async fn a_body_dropped_early_is_a_success() {
    let body = Scripted::new([Step::data("half"), Step::Wait(Gate::default())]);
    let address = serve(move || Response::new(body.clone())).await;
    for client in [http1_client(), http2_client()] {
        let breaker = breaker();
        let mut client = protect(&breaker, client);
        for calls in 1..=5 {
            drop(send(&mut client, get(address)).await.unwrap());
            assert_eq!(recorded(&breaker), (calls, 0));
        }
        let mut response = send(&mut client, get(address)).await.unwrap();
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "half");
        drop(response);
        assert_eq!(recorded(&breaker), (6, 0));
    }
}

#[tokio::test]
async fn a_probe_whose_body_is_dropped_early_closes_the_circuit() {
    let breaker = half_open();
    let address = serve_bytes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").await;
    let response = send(&mut protect(&breaker, http1_client()), get(address)).await.unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    drop(response);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_failure_is_settled_at_the_head_even_if_its_body_is_read_to_its_end() {
    let breaker = breaker();
    let server = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nbody";
    let address = serve_bytes(server).await;
    let mut client = protect(&breaker, http1_client());
    let response = send(&mut client, get(address)).await.unwrap();
    assert_eq!(recorded(&breaker), (1, 1));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    assert_eq!(recorded(&breaker), (1, 1));
}

// ---- by hand ------------------------------------------------------------------------------------

fn body(breaker: &CircuitBreaker, body: Scripted) -> ResponseBody<Scripted> {
    ResponseBody::new(body, breaker.try_acquire().unwrap(), AtEndOfStream)
}

#[tokio::test(start_paused = true)]
async fn the_last_frame_settles_the_call_if_the_body_knows_its_end() {
    let breaker = breaker();
    let steps = [Step::data("all"), Step::data("of it")];
    let mut body = body(&breaker, Scripted::new(steps).that_knows_its_end());
    assert!(poll(&mut body).is_ready());
    assert_eq!(recorded(&breaker), (0, 0));
    assert!(poll(&mut body).is_ready()); // hyper stops polling here
    assert_eq!(recorded(&breaker), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn trailers_settle_the_call() {
    let breaker = breaker();
    let mut body = body(&breaker, Scripted::new([Step::trailers("x-checksum", "1")]));
    assert!(poll(&mut body).is_ready());
    assert_eq!(recorded(&breaker), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_lasts_until_the_end_of_its_body() {
    let breaker =
        builder().slow_call_duration_threshold(HOUR).slow_call_rate_threshold(1.0).build().unwrap();
    let mut body = body(&breaker, Scripted::new([]));
    tokio::time::advance(HOUR).await;
    assert!(poll(&mut body).is_ready());
    assert_eq!(breaker.snapshot().slow_calls(), 1);
}

#[tokio::test]
async fn a_fallback_answers_with_a_body_that_settles_nothing() {
    let breaker = breaker();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new().at_end_of_stream())
        .fallback(|_, _| async { Ok(Response::new(Scripted::new([Step::data("stale")]).into())) })
        .layer(tower::service_fn(|()| async {
            Ok::<_, std::io::Error>(Response::new(Scripted::new([])))
        }));
    breaker.trip();
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let response = service.call(()).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "stale");
    assert_eq!(breaker.state(), State::Open);
}
