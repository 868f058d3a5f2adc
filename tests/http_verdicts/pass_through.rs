//! A `ResponseBody` passes everything of the inner body through.

use std::task::Poll;

use http::{HeaderMap, Response};
use http_body::{Body, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use proptest::prelude::*;
use tower::{Layer, Service};
use tower_breaker::CircuitBreakerLayer;
use tower_breaker::http::{AtEndOfStream, HttpClassifier, ResponseBody};

use crate::scripted::{Scripted, Step, poll};
use crate::servers::{get, http1_client, http2_client, serve, serve_bytes};
use crate::{RequestBody, breaker, recorded, send};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Pending),
        4 => any::<Vec<u8>>().prop_map(|data| Step::Data(data.into())),
        1 => Just(Step::trailers("x-checksum", "1")),
        1 => Just(Step::Error),
    ];
    prop::collection::vec(step, 0..8)
}

fn hint() -> impl Strategy<Value = SizeHint> {
    (any::<u32>(), prop::option::of(any::<u32>())).prop_map(|(lower, more)| {
        let mut hint = SizeHint::new();
        hint.set_lower(lower.into());
        if let Some(more) = more {
            hint.set_upper(u64::from(lower) + u64::from(more));
        }
        hint
    })
}

fn hints(body: &impl Body) -> (u64, Option<u64>, bool) {
    (body.size_hint().lower(), body.size_hint().upper(), body.is_end_stream())
}

proptest! {
    #[test]
    fn a_wrapped_body_behaves_like_the_inner_body(
        steps in steps(), hint in hint(), knows_its_end: bool, polls in 0..10usize,
    ) {
        let mut plain = Scripted { steps: steps.into(), knows_its_end, hint };
        let breaker = breaker();
        let permit = breaker.try_acquire().unwrap();
        let mut wrapped = ResponseBody::new(plain.clone(), permit, AtEndOfStream);

        let mut settled = plain.is_end_stream().then_some((1, 0));
        for _ in 0..polls {
            prop_assert_eq!(hints(&wrapped), hints(&plain));
            prop_assert_eq!(recorded(&breaker), settled.unwrap_or((0, 0)));
            let seen = poll(&mut plain);
            prop_assert_eq!(&poll(&mut wrapped), &seen);
            settled = settled.or(match seen {
                Poll::Pending => None,
                Poll::Ready(Some(Ok(Ok(_)))) => plain.is_end_stream().then_some((1, 0)),
                Poll::Ready(Some(Ok(Err(_))) | None) => Some((1, 0)),
                Poll::Ready(Some(Err(_))) => Some((1, 1)),
            });
        }
        prop_assert_eq!(hints(&wrapped), hints(&plain));
        prop_assert_eq!(recorded(&breaker), settled.unwrap_or((0, 0)));
        drop(wrapped);
        prop_assert_eq!(recorded(&breaker), settled.unwrap_or((1, 0)));
    }
}

type Received = ((u64, Option<u64>, bool), Bytes, Option<HeaderMap>);

/// Returns the hints, the data and the trailers of a response.
async fn receive<S, B>(mut service: S, request: http::Request<RequestBody>) -> Received
where
    S: Service<http::Request<RequestBody>, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Error: std::fmt::Debug>,
{
    let body = send(&mut service, request).await.unwrap().into_body();
    let hints = hints(&body);
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    (hints, collected.to_bytes(), trailers)
}

#[tokio::test]
async fn every_kind_of_response_arrives_unchanged() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new().at_end_of_stream());
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n";
    let answers = [
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), "", Some(0), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody".to_owned(), "body", Some(4), false),
        (format!("{chunked}\r\n"), "body", None, false),
        (format!("{chunked}x-checksum: 1\r\n\r\n"), "body", None, true),
    ];
    for (answer, data, upper, has_trailers) in answers {
        let address = serve_bytes(answer).await;
        let plain = receive(http1_client(), get(address)).await;
        assert_eq!((&*plain.1, plain.0.1), (data.as_bytes(), upper));
        assert_eq!(plain.2.is_some(), has_trailers);
        assert_eq!(receive(layer.layer(http1_client()), get(address)).await, plain);
    }

    let body = Scripted::new([Step::data("body"), Step::trailers("x-checksum", "1")]);
    let address = serve(move || Response::new(body.clone())).await;
    let plain = receive(http2_client(), get(address)).await;
    assert!(plain.2.is_some());
    assert_eq!(receive(layer.layer(http2_client()), get(address)).await, plain);
    assert_eq!(recorded(&breaker), (5, 0));
}
