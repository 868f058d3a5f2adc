//! Classifying a response and wrapping its body allocates nothing.

use std::io::Error;

use http::{Response, StatusCode};
use http_body::Body;
use hyper::body::Bytes;
use tower_breaker::Classifier;
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::http::{First, HttpClassifier};
use tower_breaker::tower_http::TowerHttpClassifier;
use tower_http::classify::{GrpcErrorsAsFailures, ServerErrorsAsFailures};

use crate::breaker;
use crate::scripted::{BodyFailed, Scripted, Step, poll};

/// Checks that classifying responses and reading their bodies allocates nothing.
fn allocates_nothing<C, B>(classifier: &C)
where
    C: Classifier<Response<Scripted>, Error, Response = Response<B>> + Clone,
    B: Body<Data = Bytes, Error = BodyFailed> + Unpin,
{
    let breaker = breaker();
    breaker.force_closed();
    breaker.try_acquire().unwrap().success(); // sets up the stripe of the thread, once
    let bodies = [
        vec![],
        vec![Step::Pending, Step::data("body")],
        vec![Step::data("body"), Step::trailers("grpc-status", "0")],
        vec![Step::data("body"), Step::trailers("grpc-status", "14")],
        vec![Step::data("half"), Step::Error],
    ];
    for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE] {
        for body in &bodies {
            for polls in 0..5 {
                let mut response = Response::new(Scripted::new(body.clone()));
                *response.status_mut() = status;
                response.headers_mut().insert("retry-after", "120".parse().unwrap());
                let mut response = Some(response);
                let classify = || {
                    let permit = breaker.try_acquire().unwrap();
                    let response = classifier.clone().response(response.take().unwrap(), permit);
                    let mut body = response.into_body();
                    for _ in 0..polls {
                        let _ = poll(&mut body);
                    }
                };
                let made = allocation_counter::measure(classify);
                assert_eq!(made.count_total, 0, "{status}, {body:?}, {polls} polls");
            }
        }
    }
}

#[test]
fn settling_at_the_head_allocates_nothing() {
    allocates_nothing(&HttpClassifier::new());
}

#[test]
fn settling_at_the_end_of_the_stream_allocates_nothing() {
    allocates_nothing(&HttpClassifier::new().at_end_of_stream());
    allocates_nothing(&HttpClassifier::new().head(|_, _| None).at_end_of_stream());
    let first = First::FrameThat(|data| data == b"body");
    allocates_nothing(&HttpClassifier::new().at_end_of_stream().slow_until(first));
}

#[test]
fn classifying_grpc_allocates_nothing() {
    allocates_nothing(&GrpcClassifier::new());
}

#[test]
fn classifying_with_tower_http_allocates_nothing() {
    allocates_nothing(&TowerHttpClassifier::new(ServerErrorsAsFailures::new()));
    allocates_nothing(&TowerHttpClassifier::new(GrpcErrorsAsFailures::new()));
}
