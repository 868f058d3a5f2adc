//! A probe that is settled at the end of its body lasts as long as the body, but no longer than the probe
//! timeout.

use std::time::Duration;

use http::Response;
use tokio::time::{advance, timeout};
use tower::Layer;
use tower_breaker::http::{AtEndOfStream, HttpClassifier, ResponseBody};
use tower_breaker::{Cause, CircuitBreaker, CircuitBreakerLayer, HalfOpen, State, Transition};

use crate::scripted::{Gate, Scripted, Step, poll};
use crate::servers::{get, http1_client, http2_client, serve};
use crate::{HOUR, builder, send};

const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
const OPEN: Duration = Duration::from_secs(5);

/// A breaker whose next call is a probe, and the only one.
fn half_open(probe_timeout: Duration, open: Duration) -> CircuitBreaker {
    let breaker = builder()
        .open_duration(open)
        .half_open(HalfOpen::consecutive_successes(1))
        .probe_timeout(probe_timeout)
        .build()
        .unwrap();
    breaker.force_open();
    breaker.resume();
    breaker
}

fn probe(
    breaker: &CircuitBreaker,
    steps: impl IntoIterator<Item = Step>,
) -> ResponseBody<Scripted> {
    ResponseBody::new(Scripted::new(steps), breaker.try_acquire().unwrap(), AtEndOfStream)
}

#[tokio::test(start_paused = true)]
async fn a_probe_closes_the_circuit_at_the_end_of_its_body_and_not_earlier() {
    let breaker = half_open(PROBE_TIMEOUT, OPEN);
    let mut body = probe(&breaker, [Step::Pending, Step::data("body")]);
    for _ in 0..2 {
        let _ = poll(&mut body);
        assert!(breaker.try_acquire().is_err(), "the probe keeps its slot");
    }
    assert!(poll(&mut body).is_ready());
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_body_fails_opens_the_circuit() {
    let breaker = half_open(PROBE_TIMEOUT, OPEN);
    let mut body = probe(&breaker, [Step::Error]);
    assert!(poll(&mut body).is_ready());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_body_is_never_read_to_its_end_does_not_wedge_the_circuit() {
    for polls in [0, 1, 10] {
        let breaker = half_open(PROBE_TIMEOUT, OPEN);
        let mut body = probe(&breaker, std::iter::repeat_n(Step::Pending, 20));
        for _ in 0..polls {
            assert!(poll(&mut body).is_pending());
        }
        advance(PROBE_TIMEOUT + OPEN - Duration::from_nanos(1)).await;
        assert!(breaker.try_acquire().is_err());
        advance(Duration::from_nanos(1)).await;
        let next = breaker.try_acquire().unwrap();

        drop(body); // a success, but too late to count
        assert_eq!(breaker.state(), State::HalfOpen);
        next.success();
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test]
async fn a_probe_whose_body_is_held_on_a_socket_does_not_wedge_the_circuit() {
    let body = Scripted::new([Step::data("half"), Step::Wait(Gate::default())]);
    let address = serve(move || Response::new(body.clone())).await;
    for client in [http1_client(), http2_client()] {
        let breaker = half_open(Duration::from_millis(20), Duration::from_nanos(1));
        let classifier = HttpClassifier::new().at_end_of_stream();
        let mut client =
            CircuitBreakerLayer::new(breaker.clone()).classifier(classifier).layer(client);
        let held = send(&mut client, get(address)).await.unwrap();
        let _next = timeout(HOUR, breaker.acquire()).await.expect("another probe");
        drop(held);
        let causes: Vec<_> = breaker.history().iter().map(Transition::cause).collect();
        let expected = [Cause::ForceOpen, Cause::Resume, Cause::ProbeTimedOut, Cause::WaitOver];
        assert_eq!(causes, expected);
    }
}
