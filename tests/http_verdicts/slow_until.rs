//! How long a call takes that is settled at the end of its body, if `slow_until` fixes the duration earlier.

use std::io::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::time::advance;
use tower_breaker::http::{AtEndOfStream, First, HttpClassifier, NoPredicate, ResponseBody};
use tower_breaker::{
    Cause, CircuitBreaker, CircuitBreakerBuilder, Classifier, Ending, EventKind, HalfOpen, Settled,
    State,
};

use crate::scripted::{Scripted, Step, poll};
use crate::{HOUR, builder, recorded};

const SECOND: Duration = Duration::from_secs(1);
const NS: Duration = Duration::from_nanos(1);

const TOKEN: First = First::FrameThat(|data| data.starts_with(b"data:"));
const PING: &str = ": ping\n\n";
const HELLO: &str = "data: Hello\n\n";

type AtEnd = HttpClassifier<NoPredicate, AtEndOfStream>;

fn until(first: First) -> AtEnd {
    HttpClassifier::new().at_end_of_stream().slow_until(first)
}

/// A breaker for which a call is slow that takes two seconds, and how its calls ended.
fn observed(builder: CircuitBreakerBuilder) -> (CircuitBreaker, Receiver<Settled>) {
    let (settled, seen) = channel();
    let breaker = builder
        .slow_call_duration_threshold(2 * SECOND)
        .slow_call_rate_threshold(1.0)
        .on_event(move |event| {
            if let EventKind::Settled(call) = event.kind() {
                settled.send(call).unwrap();
            }
        })
        .build()
        .unwrap();
    (breaker, seen)
}

/// Returns the response body of a call whose head has just arrived, after a second.
async fn begin(first: First, breaker: &CircuitBreaker, body: Scripted) -> ResponseBody<Scripted> {
    let permit = breaker.try_acquire().unwrap();
    advance(SECOND).await;
    let response = Response::new(body);
    Classifier::<_, Error>::response(&until(first), response, permit).into_body()
}

/// Reads a body to its end, with a second before each poll.
async fn read(body: &mut ResponseBody<Scripted>) {
    loop {
        advance(SECOND).await;
        if matches!(poll(body), std::task::Poll::Ready(None | Some(Err(_)))) {
            return;
        }
    }
}

/// Returns how long a call took, in seconds, that was read to the end of its body. Its head comes after a second, and
/// the result of each poll a second later.
async fn seconds(first: First, steps: impl IntoIterator<Item = Step>) -> u64 {
    let (breaker, seen) = observed(builder());
    read(&mut begin(first, &breaker, Scripted::new(steps)).await).await;
    let call = seen.try_recv().unwrap();
    let took = call.duration().unwrap();
    assert_eq!(call.is_slow(), took >= 2 * SECOND);
    assert_eq!(breaker.snapshot().slow_calls(), u64::from(call.is_slow()));
    assert_eq!(took.subsec_nanos(), 0);
    took.as_secs()
}

fn stream() -> [Step; 5] {
    [Step::data(""), Step::data(PING), Step::Pending, Step::data(HELLO), Step::data(HELLO)]
}

#[tokio::test(start_paused = true)]
async fn a_call_lasts_until_the_chosen_moment() {
    assert_eq!(seconds(First::Head, stream()).await, 1);
    assert_eq!(seconds(First::Frame, stream()).await, 3, "a frame without data is not the first");
    assert_eq!(seconds(TOKEN, stream()).await, 5);
    assert_eq!(seconds(First::End, stream()).await, 7);
    assert_eq!(seconds(First::default(), stream()).await, 7);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_accepted_frame_fixes_the_duration() {
    let tokens = std::iter::repeat_n(Step::data(HELLO), 10);
    assert_eq!(seconds(TOKEN, tokens).await, 2);
}

#[tokio::test(start_paused = true)]
async fn if_the_moment_never_comes_the_call_lasts_until_its_end() {
    let comments = || [Step::data(PING), Step::data(PING)];
    assert_eq!(seconds(TOKEN, comments()).await, 4);
    assert_eq!(seconds(First::Frame, []).await, 2);
    assert_eq!(seconds(TOKEN, comments().into_iter().chain([Step::Error])).await, 4);
}

#[tokio::test(start_paused = true)]
async fn trailers_are_no_frame_that_says_something() {
    let trailers = || [Step::Pending, Step::trailers("data", "data:")];
    assert_eq!(seconds_of_trailers(First::Frame, trailers()).await, 3);
    assert_eq!(seconds_of_trailers(First::FrameThat(|_| true), trailers()).await, 3);
}

/// The call is settled when the trailers come, before the body is polled again.
async fn seconds_of_trailers(first: First, steps: [Step; 2]) -> u64 {
    let (breaker, seen) = observed(builder());
    let mut body = begin(first, &breaker, Scripted::new(steps)).await;
    for _ in 0..2 {
        advance(SECOND).await;
        let _ = poll(&mut body);
    }
    seen.try_recv().unwrap().duration().unwrap().as_secs()
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_that_of_the_end() {
    let (breaker, seen) = observed(builder());
    let steps = [Step::data(HELLO), Step::Error];
    let mut body = begin(TOKEN, &breaker, Scripted::new(steps)).await;
    assert!(poll(&mut body).is_ready());
    assert_eq!(recorded(&breaker), (0, 0), "nothing is recorded when the first token comes");
    advance(HOUR).await;
    assert!(poll(&mut body).is_ready());
    assert_eq!(recorded(&breaker), (1, 1));
    let call = seen.try_recv().unwrap();
    assert_eq!((call.ending(), call.duration()), (Ending::Failure, Some(SECOND)));
    assert!(!call.is_slow());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_slow_from_the_very_nanosecond() {
    for (first_token, slow) in [(SECOND, 1), (SECOND - NS, 0)] {
        let (breaker, _seen) = observed(builder());
        let mut body = begin(TOKEN, &breaker, Scripted::new([Step::data(HELLO)])).await;
        advance(first_token).await;
        assert!(poll(&mut body).is_ready());
        advance(HOUR).await;
        assert!(poll(&mut body).is_ready());
        assert_eq!(breaker.snapshot().slow_calls(), slow);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_after_the_first_token_has_the_duration_of_the_first_token() {
    for (steps, expected) in [(HELLO, SECOND), (PING, SECOND + HOUR)] {
        let (breaker, seen) = observed(builder());
        let mut body = begin(TOKEN, &breaker, Scripted::new([Step::data(steps)])).await;
        assert!(poll(&mut body).is_ready());
        advance(HOUR).await;
        drop(body);
        let call = seen.try_recv().unwrap();
        assert_eq!((call.ending(), call.duration()), (Ending::Success, Some(expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_after_the_first_token_has_failed_but_is_not_slow() {
    let (breaker, seen) = observed(builder().abandoned_after(10 * SECOND));
    let mut body = begin(TOKEN, &breaker, Scripted::new([Step::data(HELLO), Step::Pending])).await;
    assert!(poll(&mut body).is_ready());
    advance(10 * SECOND).await;
    drop(body);
    let call = seen.try_recv().unwrap();
    assert_eq!((call.ending(), call.duration()), (Ending::Failure, Some(SECOND)));
    assert_eq!(recorded(&breaker), (1, 1));
    assert_eq!(breaker.snapshot().slow_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_frame_with_data_is_shown_until_one_is_accepted_even_the_last() {
    use std::sync::Mutex;
    static SHOWN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let first = First::FrameThat(|data| {
        SHOWN.lock().unwrap().push(data.to_vec());
        data == b"yes"
    });
    let shown = || std::mem::take(&mut *SHOWN.lock().unwrap());

    seconds(first, ["", "no", "yes", "yes", "no"].map(Step::data)).await;
    assert_eq!(shown(), [&b"no"[..], b"yes"]);

    let (breaker, _seen) = observed(builder());
    let last = Scripted::new([Step::data("no")]).that_knows_its_end();
    assert!(poll(&mut begin(first, &breaker, last).await).is_ready());
    assert_eq!(shown(), [b"no"]);
}

#[tokio::test(start_paused = true)]
async fn frames_are_shown_even_if_nothing_depends_on_the_duration() {
    let breaker = crate::breaker();
    let mut body =
        begin(First::FrameThat(|_| panic!("asked")), &breaker, Scripted::new([Step::data("x")]))
            .await;
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut body))).is_err());
    assert_eq!(recorded(&breaker), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_has_failed_the_call_and_continues_to_unwind() {
    let (breaker, seen) = observed(builder());
    let steps = [Step::data(PING), Step::data(HELLO)];
    let first = First::FrameThat(|data| if data == PING.as_bytes() { false } else { panic!("it") });
    let mut body = begin(first, &breaker, Scripted::new(steps)).await;
    assert!(poll(&mut body).is_ready());
    let panic = catch_unwind(AssertUnwindSafe(|| poll(&mut body))).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "it");
    assert_eq!(seen.try_recv().unwrap().ending(), Ending::Failure);
    drop(body);
    assert_eq!(recorded(&breaker), (1, 1), "it is settled once");
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_is_settled_at_its_head() {
    let (breaker, seen) = observed(builder());
    let permit = breaker.try_acquire().unwrap();
    advance(SECOND).await;
    let response = Response::new(Full::new(Bytes::new()));
    let _body = Classifier::<_, Error>::response(&until(TOKEN), response, permit);
    assert_eq!(seen.try_recv().unwrap().duration(), Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_moment_is_kept_whatever_else_is_set_afterwards() {
    let (breaker, seen) = observed(builder());
    let classifier = until(First::Head).head(|_, _| None).failure(http::StatusCode::NOT_FOUND);
    let permit = breaker.try_acquire().unwrap();
    let body = Scripted::new([Step::data(HELLO)]);
    let response = Classifier::<_, Error>::response(&classifier, Response::new(body), permit);
    read(&mut response.into_body()).await;
    assert_eq!(seen.try_recv().unwrap().duration(), Some(Duration::ZERO));
    assert!(format!("{classifier:?}").contains("slow_until: Head"));
}

// ---- probes -------------------------------------------------------------------------------------

/// A breaker whose next call is a probe that has ten seconds.
fn half_open() -> CircuitBreaker {
    let probing = builder().open_duration(SECOND).probe_timeout(10 * SECOND);
    let (breaker, _) = observed(probing.half_open(HalfOpen::consecutive_successes(1)));
    breaker.force_open();
    breaker.resume();
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_probe_with_an_early_token_closes_the_circuit_when_its_long_stream_ends() {
    for (first, expected) in [(TOKEN, State::Closed), (First::End, State::Open)] {
        let breaker = half_open();
        let mut body = begin(first, &breaker, Scripted::new([Step::data(HELLO)])).await;
        assert!(poll(&mut body).is_ready());
        assert_eq!(breaker.state(), State::HalfOpen, "the outcome is that of the end");
        advance(8 * SECOND).await;
        assert!(poll(&mut body).is_ready());
        assert_eq!(breaker.state(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_with_a_late_token_opens_the_circuit() {
    let breaker = half_open();
    let mut body = begin(TOKEN, &breaker, Scripted::new([Step::data(HELLO)])).await;
    advance(SECOND).await;
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_ready());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.history().last().unwrap().cause(), Cause::ProbeSlow);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_whose_healthy_streams_outlast_the_probe_timeout_recovers() {
    let breaker = half_open();
    for _ in 0..2 {
        let mut body = begin(TOKEN, &breaker, Scripted::new([Step::data(HELLO)])).await;
        assert!(poll(&mut body).is_ready());
        advance(14 * SECOND).await; // later probes have twice the time that this one took
        assert!(poll(&mut body).is_ready());
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_hang_once_the_head_of_its_response_has_come() {
    let breaker = builder().consecutive_failures(1).hung_after(2 * SECOND).build().unwrap();
    let mut stream = begin(First::End, &breaker, Scripted::new([])).await;
    let waiting = breaker.try_acquire().unwrap();
    advance(HOUR).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls_in_flight(), snapshot.hung_calls()), (Some(1), Some(1)));
    waiting.ignore();
    read(&mut stream).await;
    assert_eq!(breaker.state(), State::Closed);
}
