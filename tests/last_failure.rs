//! The text of the last failure, for operators.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerLayer, Classifier, Describing, ErrorsAsFailures, HalfOpen,
    Outcome, Permit, State, Transition,
};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("payments")
        .consecutive_failures(2)
        .open_duration(SECOND * 10)
        .half_open(HalfOpen::consecutive_successes(1))
        .build()
        .unwrap()
}

fn fail(breaker: &CircuitBreaker, what: impl fmt::Display) {
    let permit = breaker.try_acquire().unwrap();
    permit.describe_failure(what);
    permit.failure();
}

fn text(breaker: &CircuitBreaker) -> Option<String> {
    breaker.last_failure().map(|last| last.text().to_owned())
}

/// Counts how often it is printed.
#[derive(Clone, Default)]
struct Printed(Rc<Cell<u32>>);

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.set(self.0.get() + 1);
        write!(f, "printed {} times", self.0.get())
    }
}

#[test]
fn nothing_is_kept_of_failures_that_nobody_describes() {
    let breaker = breaker();
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.last_failure(), None);
    let history = breaker.history();
    assert_eq!((history.len(), history[0].last_failure()), (1, None));
    assert!(!history[0].to_string().contains("last failure"));
}

#[test]
fn at_most_200_bytes_are_kept_and_no_character_is_cut_in_two() {
    for (given, kept) in [
        ("x".repeat(200), "x".repeat(200)),
        ("x".repeat(201), "x".repeat(200)),
        ("é".repeat(300), "é".repeat(100)),
        (format!("x{}", "é".repeat(300)), format!("x{}", "é".repeat(99))),
        ("👩".repeat(50), "👩".repeat(50)),
        ("👩".repeat(51), "👩".repeat(50)),
        (format!("xyz{}", "👩".repeat(50)), format!("xyz{}", "👩".repeat(49))),
        (String::new(), String::new()),
    ] {
        let breaker = breaker();
        fail(&breaker, &given);
        assert_eq!(text(&breaker).unwrap(), kept);
    }
    // Also if it is printed in parts, and what follows would fit.
    let breaker = breaker();
    fail(&breaker, format_args!("{}{}{}", "x".repeat(199), "é", "y"));
    assert_eq!(text(&breaker).unwrap(), "x".repeat(199));
}

#[tokio::test(start_paused = true)]
async fn one_text_a_second_is_kept_and_the_others_are_not_even_formatted() {
    let breaker = CircuitBreaker::builder("payments").no_trip_rules().build().unwrap();
    let printed = Printed::default();
    for expected in 1..5 {
        for _ in 0..10 {
            fail(&breaker, &printed);
            assert_eq!(text(&breaker).unwrap(), format!("printed {expected} times"));
            advance(SECOND / 10).await;
        }
    }
    let age = Instant::now() - breaker.last_failure().unwrap().at();
    assert_eq!(age, SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_transition_has_the_text_of_the_failure_that_opened_the_circuit() {
    let breaker = breaker();
    let mut seen: Vec<Transition> = Vec::new();
    let mut transitions = breaker.subscribe();
    fail(&breaker, "timed out");
    advance(SECOND).await;
    fail(&breaker, "connection refused");
    advance(SECOND * 10).await;
    fail(&breaker, "still refused"); // a probe
    advance(SECOND * 10).await;
    breaker.try_acquire().unwrap().success();
    fail(&breaker, "refused again");
    breaker.trip();
    for _ in 0..6 {
        seen.push(transitions.next().await.unwrap().unwrap());
    }
    assert_eq!(seen, breaker.history(), "the history has them, too");
    let texts: Vec<_> =
        seen.iter().map(|seen| (seen.to(), seen.last_failure().map(|last| last.text()))).collect();
    assert_eq!(
        texts,
        [
            (State::Open, Some("connection refused")),
            (State::HalfOpen, None),
            (State::Open, Some("still refused")),
            (State::HalfOpen, None),
            (State::Closed, None),
            (State::Open, None), // by an operator
        ]
    );
    assert_eq!(text(&breaker).unwrap(), "refused again", "it stays");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_was_not_described_does_not_get_the_text_of_an_older_one() {
    let breaker = breaker();
    fail(&breaker, "timed out");
    advance(SECOND).await;
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.history()[0].last_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_too_soon_after_another_one_is_represented_by_that_one() {
    let breaker = breaker();
    fail(&breaker, "timed out");
    advance(SECOND - Duration::from_millis(1)).await;
    fail(&breaker, "connection refused");
    assert_eq!(breaker.history()[0].last_failure().unwrap().text(), "timed out");
}

#[test]
fn a_hostile_text_is_printed_on_one_line() {
    let breaker = CircuitBreaker::builder("payments").consecutive_failures(1).build().unwrap();
    fail(&breaker, "a\nFAKE\u{1b}[2J\u{202e}");
    let transition = breaker.history()[0].to_string();
    assert!(transition.ends_with(", last failure: a\\nFAKE\\u{1b}[2J\\u{202e}"), "{transition}");
    assert_eq!(breaker.last_failure().unwrap().to_string(), "a\\nFAKE\\u{1b}[2J\\u{202e}");
    assert_eq!(text(&breaker).unwrap(), "a\nFAKE\u{1b}[2J\u{202e}");
}

#[test]
fn the_handle_describes_failures_where_there_is_no_permit() {
    let breaker = breaker();
    breaker.describe_failure("out of memory");
    assert_eq!(text(&breaker).unwrap(), "out of memory");
    assert_eq!(breaker.snapshot().consecutive_failures(), 0, "nothing is counted");
}

#[test]
fn a_permit_of_a_breaker_that_is_gone_describes_nothing() {
    let former = breaker();
    let permit = former.try_acquire().unwrap();
    drop(former);
    // One of them has the circuit of the former one.
    let breakers: Vec<_> = (0..200).map(|_| breaker()).collect();
    permit.describe_failure("too late");
    assert!(breakers.iter().all(|breaker| breaker.last_failure().is_none()));
    permit.failure();
}

/// Uses the breaker while it is printed, and then panics if it is told to.
struct Reentrant<'a>(&'a CircuitBreaker, bool);

impl fmt::Display for Reentrant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe_failure("from inside");
        fail(self.0, "another one");
        write!(f, "{}", self.0.snapshot().state())?;
        assert!(!self.1, "while it is printed");
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_lock_is_held_while_a_text_is_formatted() {
    for panics in [false, true] {
        let breaker = breaker();
        let result = catch_unwind(AssertUnwindSafe(|| fail(&breaker, Reentrant(&breaker, panics))));
        assert_eq!(result.is_err(), panics);
        advance(SECOND).await;
        breaker.describe_failure("it goes on");
        assert_eq!(text(&breaker).unwrap(), "it goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_describing_classifier_judges_as_the_one_in_it_and_needs_no_bound_on_the_error() {
    /// An error that can be neither printed nor compared.
    struct Opaque(u32);

    let breaker = breaker();
    let describe = |result: Result<&u32, &Opaque>, permit: &Permit| match result {
        Ok(answer) if *answer >= 500 => permit.describe_failure(format_args!("status {answer}")),
        Ok(_) => {}
        Err(Opaque(code)) => permit.describe_failure(format_args!("code {code}")),
    };
    let judge = |result: Result<&u32, &Opaque>| match result {
        Ok(answer) if *answer < 500 => Outcome::Success,
        _ => Outcome::Failure,
    };
    let service = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::new(breaker.clone()).classifier(Describing::new(judge, describe)),
        )
        .service(service_fn(|n: u32| async move { if n < 9 { Err(Opaque(n)) } else { Ok(n) } }));
    assert!(service.clone().oneshot(200).await.is_ok());
    assert_eq!(text(&breaker), None);
    assert!(service.clone().oneshot(503).await.is_ok());
    assert_eq!(text(&breaker).unwrap(), "status 503");
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
    advance(SECOND).await;
    assert!(service.clone().oneshot(7).await.is_err());
    assert_eq!(text(&breaker).unwrap(), "code 7");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_classifier_that_is_chosen_at_run_time_can_describe() {
    let errors = |result: Result<&(), &BoxError>, permit: &Permit| {
        if let Err(error) = result {
            permit.describe_failure(error);
        }
    };
    let classifier: Arc<dyn Classifier<(), BoxError, Response = ()>> =
        Arc::new(Describing::new(ErrorsAsFailures, errors));
    let breaker = breaker();
    classifier.error(&"no route".into(), breaker.try_acquire().unwrap());
    assert_eq!(text(&breaker).unwrap(), "no route");
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
}
