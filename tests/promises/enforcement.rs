//! Shadow mode, and shares of rejections that are enforced.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tower_breaker::{
    Backoff, CircuitBreaker, CircuitBreakerBuilder, Ending, EventKind, HalfOpen, Outcome, Permit,
    RejectReason, State,
};

use crate::{MS, SECOND, advance, sensitive, until_half_open};

fn shadow() -> CircuitBreakerBuilder {
    sensitive().enforcement(0.0)
}

fn let_through(breaker: &CircuitBreaker) -> Permit {
    let permit = breaker.try_acquire().expect("nothing is rejected");
    assert!(permit.is_shadow());
    permit
}

/// How many of so many calls in a row are rejected.
fn rejected(breaker: &CircuitBreaker, calls: usize) -> usize {
    (0..calls).filter(|_| breaker.try_acquire().is_err()).count()
}

// ---- what the circuit does ------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn in_shadow_mode_no_call_is_rejected_and_the_circuit_opens_and_recovers_as_usual() {
    let breaker = shadow().build().unwrap();
    let permit = breaker.try_acquire().unwrap();
    assert!(!permit.is_shadow());
    permit.failure();
    assert_eq!(breaker.state(), State::Open);
    let_through(&breaker).success();
    let_through(&breaker).failure();
    assert_eq!(breaker.state(), State::Open);
    advance(SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    assert!(!probe.is_shadow(), "a probe is a call that an enforcing circuit makes, too");
    let_through(&breaker).failure();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_shadow_call_never_counts_however_it_ends_and_whenever() {
    type End = fn(Permit);
    let ends: [End; 7] = [
        Permit::success,
        Permit::failure,
        Permit::soft_failure,
        Permit::ignore,
        |permit| permit.failure_retry_after(100 * SECOND),
        |permit| permit.record(Outcome::Failure),
        drop,
    ];
    for end in ends {
        let settings = shadow().abandoned_after(MS).slow_call_duration_threshold(MS);
        let breaker = settings.failure_rate_threshold(0.1).minimum_calls(1).build().unwrap();
        breaker.trip();
        let shadows: Vec<Permit> = (0..5).map(|_| let_through(&breaker)).collect();
        let mut shadows = shadows.into_iter();
        let mut check = |state| {
            let before = breaker.snapshot();
            assert_eq!(before.state(), state);
            end(shadows.next().unwrap());
            assert_eq!(breaker.snapshot(), before);
        };
        check(State::Open);
        advance(SECOND).await;
        check(State::Open);
        let probe = breaker.try_acquire().unwrap();
        check(State::HalfOpen);
        probe.success();
        check(State::Closed);
        breaker.reset();
        check(State::Closed);
    }
}

/// A step of two circuits, of which one is in shadow mode.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A call that ends at once. The second outcome is for a shadow call.
    Call(Outcome, Outcome),
    Advance(u64),
    Trip,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = || {
        prop_oneof![
            Just(Outcome::Success),
            Just(Outcome::Failure),
            Just(Outcome::SoftFailure),
            Just(Outcome::FailureRetryAfter(2 * SECOND)),
        ]
    };
    prop_oneof![
        8 => (outcome(), outcome()).prop_map(|(both, shadow)| Step::Call(both, shadow)),
        4 => (1..900_u64).prop_map(Step::Advance),
        1 => Just(Step::Trip),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #[test]
    fn a_shadowed_circuit_makes_the_same_transitions_at_the_same_times_as_an_enforcing_one(
        steps in prop::collection::vec(step(), 1..120),
        share in 0.0..1.0,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let settings = sensitive().consecutive_failures(2).failure_rate_threshold(0.4);
            let settings = settings.minimum_calls(4).half_open(HalfOpen::sample(2));
            // The jitter of a retry-after differs from circuit to circuit.
            let settings = settings.open_duration(Backoff::constant(SECOND).jitter(0.0));
            let enforcing = settings.clone().build().unwrap();
            let shadowed = settings.enforcement(share).build().unwrap();
            for step in steps {
                match step {
                    Step::Call(both, shadow) => match (enforcing.try_acquire(), shadowed.try_acquire()) {
                        (Ok(permit), Ok(other)) => {
                            prop_assert!(!other.is_shadow());
                            permit.record(both);
                            other.record(both);
                        }
                        (Err(_), Ok(permit)) => {
                            prop_assert!(permit.is_shadow());
                            permit.record(shadow);
                        }
                        (Err(rejected), Err(other)) => {
                            prop_assert_eq!(rejected.reason(), other.reason());
                            prop_assert_eq!(rejected.retry_after(), other.retry_after());
                        }
                        (Ok(_), Err(_)) => prop_assert!(false, "only the shadowed one rejects"),
                    },
                    Step::Advance(millis) => advance(u32::try_from(millis).unwrap() * MS).await,
                    Step::Trip => {
                        enforcing.trip();
                        shadowed.trip();
                    }
                    Step::Reset => {
                        enforcing.reset();
                        shadowed.reset();
                    }
                }
                let of = |breaker: &CircuitBreaker| {
                    let all = breaker.history().into_iter();
                    all.map(|it| (it.from(), it.to(), it.cause(), it.at(), it.open_duration()))
                        .collect::<Vec<_>>()
                };
                prop_assert_eq!(of(&shadowed), of(&enforcing));
            }
            Ok(())
        })?;
    }
}

// ---- shares ---------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_quarter_of_a_thousand_rejections_in_a_row_is_enforced() {
    let breaker = sensitive().enforcement(0.25).build().unwrap();
    breaker.trip();
    assert_eq!(rejected(&breaker, 1000), 250);
    assert_eq!(rejected(&breaker, 3), 0);
    assert_eq!(rejected(&breaker, 1), 1);
}

#[tokio::test(start_paused = true)]
async fn threads_share_the_credit_of_a_circuit() {
    let breaker = sensitive().enforcement(0.25).build().unwrap();
    breaker.trip();
    let all: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| rejected(&breaker, 500))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(all, 1000);
}

#[tokio::test(start_paused = true)]
async fn changing_the_share_is_no_transition_and_clears_nothing() {
    let breaker = sensitive().consecutive_failures(3).failure_rate_threshold(0.5).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    let call = breaker.try_acquire().unwrap();
    breaker.set_enforcement(0.5).unwrap();
    assert_eq!(breaker.snapshot().enforcement(), 0.5);
    assert_eq!(breaker.history(), []);
    call.failure();
    assert_eq!((breaker.snapshot().failures(), breaker.snapshot().consecutive_failures()), (2, 2));
    breaker.trip();
    breaker.set_enforcement(0.0).unwrap();
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(rejected(&breaker, 10), 0);
    breaker.set_enforcement(1.0).unwrap();
    assert_eq!(rejected(&breaker, 10), 10);
}

#[test]
fn a_share_outside_of_zero_to_one_is_an_error_and_changes_nothing() {
    let breaker = sensitive().enforcement(0.5).build().unwrap();
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY, -f64::INFINITY] {
        let error = breaker.set_enforcement(share).unwrap_err();
        assert_eq!(error.setting(), "enforcement");
        assert_eq!(error.allowed(), "a share from 0.0 to 1.0");
        assert_eq!(sensitive().enforcement(share).build().unwrap_err(), error);
        assert_eq!(breaker.snapshot().enforcement(), 0.5);
    }
    for share in [0.0, f64::MIN_POSITIVE, 0.5, 1.0] {
        breaker.set_enforcement(share).unwrap();
        sensitive().enforcement(share).build().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_forced_open_rejects_every_call() {
    let breaker = shadow().build().unwrap();
    breaker.force_open();
    assert_eq!(rejected(&breaker, 10), 10);
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::ForcedOpen);
    breaker.resume();
    assert_eq!(rejected(&breaker, 10), 0);
}

#[tokio::test(start_paused = true)]
async fn acquire_waits_for_no_call_that_is_let_through() {
    let breaker = sensitive().enforcement(0.5).build().unwrap();
    breaker.trip();
    assert!(breaker.acquire().await.is_shadow());
    let before = tokio::time::Instant::now();
    let permit = breaker.acquire().await; // the second rejection is enforced
    assert!(!permit.is_shadow());
    assert!(before.elapsed() >= SECOND);
}

// ---- what is told ---------------------------------------------------------------------------

#[derive(Default, Debug, PartialEq)]
struct Told {
    would_reject: Vec<RejectReason>,
    rejected: usize,
    endings: Vec<(Ending, bool)>,
}

fn told() -> (CircuitBreakerBuilder, Arc<Mutex<Told>>) {
    let told = Arc::<Mutex<Told>>::default();
    let to = told.clone();
    let breaker = shadow().on_event(move |event| {
        let mut told = to.lock().unwrap();
        match event.kind() {
            EventKind::WouldReject(rejected) => told.would_reject.push(rejected.reason()),
            EventKind::Rejected(_) => told.rejected += 1,
            EventKind::Settled(settled) => {
                assert!(!settled.is_stale());
                told.endings.push((settled.ending(), settled.is_shadow()));
            }
            _ => {}
        }
    });
    (breaker, told)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_let_through_is_told_as_a_would_be_rejection_and_at_its_end_with_a_mark() {
    let (breaker, told) = told();
    let breaker = breaker.abandoned_after(SECOND).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    let_through(&breaker).success();
    let_through(&breaker).failure();
    let_through(&breaker).soft_failure();
    let_through(&breaker).ignore();
    drop(let_through(&breaker));
    let late = let_through(&breaker);
    advance(SECOND).await;
    drop(late);
    let probe = breaker.try_acquire().unwrap();
    drop(let_through(&breaker));
    probe.success();
    let shadow = true;
    let expected = Told {
        would_reject: [vec![RejectReason::Open; 6], vec![RejectReason::HalfOpen]].concat(),
        rejected: 0,
        endings: vec![
            (Ending::Failure, false),
            (Ending::Success, shadow),
            (Ending::Failure, shadow),
            (Ending::SoftFailure, shadow),
            (Ending::Ignored, shadow),
            (Ending::Abandoned, shadow),
            (Ending::Failure, shadow),
            (Ending::Abandoned, shadow),
            (Ending::Success, false),
        ],
    };
    assert_eq!(*told.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_a_call_that_is_let_through_say_so() {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let to = lines.clone();
    let breaker = shadow().on_event(move |event| to.lock().unwrap().push(event.to_string()));
    let breaker = breaker.build().unwrap();
    breaker.trip();
    lines.lock().unwrap().clear();
    let_through(&breaker).failure();
    breaker.set_enforcement(0.25).unwrap();
    let lines = lines.lock().unwrap();
    assert_eq!(lines[0], "test: would have rejected a call: the circuit is open");
    assert!(lines[1].starts_with("test: a call ended: failure after 0"), "{lines:?}");
    assert!(lines[1].ends_with(", let through although the circuit turned it away"));
    assert_eq!(lines[2], "test: set_enforcement(0.25)");
}

#[tokio::test(start_paused = true)]
async fn every_call_is_told_once_as_ended_as_rejected_or_as_would_be_rejected() {
    let (breaker, told) = told();
    let breaker = breaker.enforcement(0.3).build().unwrap();
    let mut calls = 0;
    for n in 0..500_u32 {
        calls += 1;
        match breaker.try_acquire() {
            Ok(permit) if n % 7 == 0 => permit.failure(),
            Ok(permit) => permit.success(),
            Err(_) => {}
        }
        advance(150 * MS).await;
    }
    let told = told.lock().unwrap();
    let ended = |shadow| told.endings.iter().filter(|(_, is_shadow)| *is_shadow == shadow).count();
    assert_eq!(ended(true), told.would_reject.len());
    assert_eq!(ended(false) + ended(true) + told.rejected, calls);
    assert!(told.rejected > 0 && ended(true) > told.rejected);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_call_that_outlives_its_breaker_is_told_to_nobody() {
    let (breaker, told) = told();
    let breaker = breaker.build().unwrap();
    breaker.trip();
    let orphan = let_through(&breaker);
    drop(breaker);
    let (next, told_next) = self::told();
    let next = next.build().unwrap();
    next.trip();
    orphan.failure();
    assert!(
        told.lock().unwrap().endings.is_empty() && told_next.lock().unwrap().endings.is_empty()
    );
    let_through(&next).success();
    assert_eq!(told_next.lock().unwrap().endings, [(Ending::Success, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_and_a_transition_say_which_share_is_enforced() {
    let breaker = sensitive().build().unwrap();
    until_half_open(&breaker).await;
    let line = |breaker: &CircuitBreaker| {
        let history = breaker.history();
        (breaker.snapshot().to_string(), history.last().unwrap().to_string())
    };
    let (snapshot, transition) = line(&breaker);
    assert_eq!(snapshot, "open for 1.0s (tripped by hand), attempt 1: the next call is a probe");
    assert_eq!(transition, "test: closed -> open (tripped by hand), next probe in 1.0s");
    for (share, note) in [(0.25, "enforcement 0.25"), (0.0, "in shadow mode")] {
        breaker.set_enforcement(share).unwrap();
        breaker.reset();
        breaker.trip();
        let (snapshot, transition) = line(&breaker);
        assert!(
            snapshot.starts_with(&format!("open for 0s (tripped by hand), {note}, attempt 1: "))
        );
        assert!(transition.ends_with(&format!(", next probe in 1.0s, {note}")));
        assert_eq!(breaker.history().last().unwrap().enforcement(), share);
    }
}
