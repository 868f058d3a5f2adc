//! Bodies that stall until their caller drops them.

use std::io::Error;
use std::time::Duration;

use http::{HeaderMap, Response};
use http_body::Body;
use hyper::body::Bytes;
use tokio::time::advance;
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::http::{AtEndOfStream, EndOfStream, HttpClassifier, ResponseBody};
use tower_breaker::tower_http::TowerHttpClassifier;
use tower_breaker::{CircuitBreaker, Classifier, Ending, EventKind, Permit, State};
use tower_http::classify::GrpcErrorsAsFailures;

use crate::scripted::{BodyFailed, Scripted, Step, poll};
use crate::{HOUR, builder, recorded};

const SECOND: Duration = Duration::from_secs(1);
const NS: Duration = Duration::from_nanos(1);

/// A breaker that counts a dropped call as a failure after a second without a sign of life.
fn impatient() -> CircuitBreaker {
    builder().abandoned_after(SECOND).build().unwrap()
}

/// Returns the response body of a call whose head has just arrived.
fn begin<C, B>(classifier: &C, breaker: &CircuitBreaker, steps: impl IntoIterator<Item = Step>) -> B
where
    C: Classifier<Response<Scripted>, Error, Response = Response<B>>,
{
    let permit = breaker.try_acquire().unwrap();
    classifier.response(Response::new(Scripted::new(steps)), permit).into_body()
}

/// What a call was recorded as.
#[derive(Debug, PartialEq)]
enum Recorded {
    Success,
    Failure,
    Nothing,
}

fn outcome(breaker: &CircuitBreaker) -> Recorded {
    match recorded(breaker) {
        (1, 0) => Recorded::Success,
        (1, 1) => Recorded::Failure,
        _ => Recorded::Nothing,
    }
}

/// Checks that a classifier counts streams that stall as failures, and no others. `in_time` is what a drop
/// is recorded as that comes early enough.
async fn fails_streams_that_stall<C, B>(classifier: C, in_time: Recorded)
where
    C: Classifier<Response<Scripted>, Error, Response = Response<B>>,
    B: Body<Data = Bytes, Error = BodyFailed> + Unpin,
{
    // After the head.
    for (silence, expected) in [(SECOND, &Recorded::Failure), (SECOND - NS, &in_time)] {
        let breaker = impatient();
        let mut body = begin(&classifier, &breaker, [Step::Pending]);
        assert!(poll(&mut body).is_pending());
        advance(silence).await;
        drop(body);
        assert_eq!(outcome(&breaker), *expected, "{silence:?} after the head");
    }

    // After a frame, however many have come before.
    for (silence, expected) in [(SECOND, &Recorded::Failure), (SECOND - NS, &in_time)] {
        let breaker = impatient();
        let frames = std::iter::repeat_n(Step::data("frame"), 5);
        let mut body = begin(&classifier, &breaker, frames.chain([Step::Pending]));
        for _ in 0..5 {
            advance(SECOND - NS).await;
            assert!(poll(&mut body).is_ready());
        }
        assert!(poll(&mut body).is_pending());
        advance(silence).await;
        drop(body);
        assert_eq!(outcome(&breaker), *expected, "{silence:?} after a frame");
    }

    // A poll that returns `Pending` is not a sign of life.
    let breaker = impatient();
    let mut body = begin(&classifier, &breaker, [Step::Pending, Step::Pending, Step::Pending]);
    for _ in 0..3 {
        assert!(poll(&mut body).is_pending());
        advance(SECOND / 2).await;
    }
    drop(body);
    assert_eq!(outcome(&breaker), Recorded::Failure, "after polls without a frame");

    // Without the setting, no drop is too late.
    let breaker = crate::breaker();
    let body = begin(&classifier, &breaker, [Step::Pending]);
    advance(HOUR).await;
    drop(body);
    assert_eq!(outcome(&breaker), in_time, "without `abandoned_after`");
}

#[tokio::test(start_paused = true)]
async fn an_http_body_that_stalls_is_a_failure_and_one_that_is_alive_is_a_success() {
    fails_streams_that_stall(HttpClassifier::new().at_end_of_stream(), Recorded::Success).await;
}

#[tokio::test(start_paused = true)]
async fn a_grpc_stream_that_stalls_is_a_failure_and_one_that_is_alive_is_abandoned() {
    fails_streams_that_stall(GrpcClassifier::new(), Recorded::Nothing).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_is_a_failure_with_the_classifiers_of_tower_http_too() {
    let classifier = TowerHttpClassifier::new(GrpcErrorsAsFailures::new());
    fails_streams_that_stall(classifier, Recorded::Nothing).await;
}

/// An end of stream of a user that drops the permit.
struct Abandon;

impl EndOfStream for Abandon {
    fn end(self, _: Option<&HeaderMap>, permit: Permit) {
        drop(permit);
    }

    fn dropped(self, permit: Permit) {
        drop(permit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_an_end_of_stream_of_a_user_drops_is_neutral_while_the_stream_is_alive() {
    let breaker = impatient();
    let scripted = Scripted::new([Step::data("frame"), Step::Pending]);
    let mut body = ResponseBody::new(scripted, breaker.try_acquire().unwrap(), Abandon);
    advance(SECOND - NS).await;
    assert!(poll(&mut body).is_ready());
    advance(SECOND - NS).await;
    drop(body);
    assert_eq!(outcome(&breaker), Recorded::Nothing);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_late_is_a_sign_of_life() {
    let breaker = impatient();
    let permit = breaker.try_acquire().unwrap();
    advance(HOUR).await;
    let body = ResponseBody::new(Scripted::new([Step::Pending]), permit, AtEndOfStream);
    drop(body);
    assert_eq!(outcome(&breaker), Recorded::Success);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_body_stalls_opens_the_circuit_instead_of_closing_it() {
    for (silence, expected) in [(SECOND, State::Open), (SECOND - NS, State::Closed)] {
        let breaker = impatient();
        breaker.force_open();
        breaker.resume();
        let classifier = HttpClassifier::new().at_end_of_stream();
        let mut body = begin(&classifier, &breaker, [Step::data("half"), Step::Pending]);
        assert!(poll(&mut body).is_ready());
        assert!(poll(&mut body).is_pending());
        advance(silence).await;
        drop(body);
        assert_eq!(breaker.state(), expected, "{silence:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_duration_of_a_call_is_still_counted_from_its_admission() {
    let breaker = builder()
        .abandoned_after(SECOND)
        .slow_call_duration_threshold(2 * SECOND)
        .slow_call_rate_threshold(1.0)
        .build()
        .unwrap();
    let classifier = HttpClassifier::new().at_end_of_stream();
    let mut body = begin(&classifier, &breaker, [Step::data("a"), Step::data("b"), Step::Pending]);
    for _ in 0..2 {
        advance(SECOND).await;
        assert!(poll(&mut body).is_ready());
    }
    drop(body);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls(), snapshot.failures(), snapshot.slow_calls()), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_in_time_is_reported_as_abandoned() {
    let (endings, seen) = std::sync::mpsc::channel();
    let breaker = builder()
        .abandoned_after(SECOND)
        .on_event(move |event| {
            if let EventKind::Settled(call) = event.kind() {
                endings.send((call.ending(), call.duration().unwrap())).unwrap();
            }
        })
        .build()
        .unwrap();
    let mut body = begin(&GrpcClassifier::new(), &breaker, [Step::data("frame"), Step::Pending]);
    advance(HOUR).await;
    assert!(poll(&mut body).is_ready());
    drop(body);
    assert_eq!(seen.try_recv().unwrap(), (Ending::Abandoned, HOUR));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_body_after_its_end_does_not_settle_the_call_again() {
    let breaker = impatient();
    let mut body = begin(&HttpClassifier::new().at_end_of_stream(), &breaker, []);
    assert!(poll(&mut body).is_ready());
    advance(2 * SECOND).await;
    drop(body);
    assert_eq!(outcome(&breaker), Recorded::Success);
}
