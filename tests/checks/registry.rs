//! Checks of all circuits of a registry.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use tokio_test::task;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreakerBuilder, HalfOpen, State};

use crate::{Checks, Outcome, SECOND, YEAR, advance, sensitive};

/// The shortest time between two looks at all circuits.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a circuit stays that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

fn registry(template: CircuitBreakerBuilder) -> CircuitBreakerRegistry<u32> {
    CircuitBreakerRegistry::builder(template).idle_timeout(IDLE).build().unwrap()
}

/// Ignores the key.
fn any<R>(mut check: impl FnMut() -> R) -> impl FnMut(&u32) -> R {
    move |_| check()
}

fn states(circuits: &CircuitBreakerRegistry<u32>, state: State) -> usize {
    circuits.list().iter().filter(|(_, breaker)| breaker.state() == state).count()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_circuits_recover_with_at_most_sixteen_checks_at_a_time() {
    let circuits = registry(sensitive().half_open(HalfOpen::consecutive_successes(2)));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.succeed_after(SECOND))));
    for key in 0..100 {
        circuits.try_acquire(&key).unwrap().failure();
    }
    assert_eq!(states(&circuits, State::Open), 100);
    sleep(30 * SECOND).await;
    assert_eq!(states(&circuits, State::Closed), 100);
    assert_eq!((checks.begun(), checks.most()), (200, 16));
}

#[tokio::test(start_paused = true)]
async fn a_check_receives_the_key_of_its_circuit() {
    let circuits = registry(sensitive());
    let checked = Arc::new(Mutex::new(Vec::new()));
    let keys = checked.clone();
    tokio::spawn(circuits.probe_with(move |key: &u32| {
        keys.lock().unwrap().push(*key);
        async { Ok::<_, ()>(()) }
    }));
    for key in 0..1000 {
        let permit = circuits.try_acquire(&key).unwrap();
        if key % 300 == 7 { permit.failure() } else { permit.success() }
    }
    sleep(2 * SECOND).await;
    let mut checked = checked.lock().unwrap().clone();
    checked.sort_unstable();
    assert_eq!(checked, [7, 307, 607, 907]);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_checked_as_soon_as_its_wait_is_over() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    for outages in 1..4 {
        sleep(SECOND / 3).await;
        circuits.get_or_create(&outages).trip();
        sleep(SECOND * 99 / 100).await;
        assert_eq!(checks.begun() as u32, outages - 1);
        sleep(SECOND / 50).await;
        assert_eq!(checks.begun() as u32, outages);
    }
}

#[tokio::test(start_paused = true)]
async fn while_all_circuits_are_closed_nothing_wakes_it() {
    let circuits = registry(sensitive().consecutive_failures(2));
    let checks = Checks::default();
    let mut future = task::spawn(circuits.probe_with(any(checks.hang())));
    assert!(future.poll().is_pending());
    advance(PAUSE).await;
    while future.is_woken() {
        assert!(future.poll().is_pending());
        tokio::task::yield_now().await;
    }
    for key in 0..100 {
        circuits.try_acquire(&key).unwrap().success();
        circuits.try_acquire(&key).unwrap().failure();
    }
    advance(YEAR).await;
    assert!(!future.is_woken());
    circuits.get_or_create(&7).trip();
    assert!(future.is_woken());
}

#[tokio::test(start_paused = true)]
async fn circuits_that_were_open_before_are_checked_as_well() {
    let circuits = registry(sensitive());
    circuits.get_or_create(&7).trip();
    sleep(YEAR).await;
    tokio::spawn(circuits.probe_with(any(Checks::default().answer(Ok(())))));
    sleep(SECOND / 100).await;
    assert_eq!(states(&circuits, State::Closed), 1);
}

#[tokio::test(start_paused = true)]
async fn one_circuit_has_one_check_at_a_time() {
    let circuits = registry(sensitive().half_open(HalfOpen::consecutive_successes(5)));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.succeed_after(SECOND))));
    circuits.get_or_create(&7).trip();
    sleep(10 * SECOND).await;
    assert_eq!(states(&circuits, State::Closed), 1);
    assert_eq!((checks.begun(), checks.most()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn it_pauses_between_two_looks_at_all_circuits() {
    let circuits = registry(sensitive().half_open(HalfOpen::consecutive_successes(5)));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    sleep(SECOND).await;
    circuits.get_or_create(&7).trip();
    sleep(SECOND + PAUSE / 2).await;
    for begun in 1..=5 {
        assert_eq!(checks.begun(), begun);
        sleep(PAUSE + PAUSE / 50).await;
    }
    assert_eq!(states(&circuits, State::Closed), 1);
}

#[tokio::test(start_paused = true)]
async fn every_circuit_has_its_turn_even_if_all_checks_hang() {
    let circuits = registry(sensitive());
    let (told, checked) = std::sync::mpsc::channel();
    tokio::spawn(circuits.probe_with(move |key: &u32| {
        told.send(*key).unwrap();
        std::future::pending::<Outcome>()
    }));
    for key in 0..200 {
        circuits.get_or_create(&key).trip();
    }
    // There are 13 turns of 10 s.
    sleep(140 * SECOND).await;
    let mut checked: Vec<u32> = checked.try_iter().collect();
    checked.sort_unstable();
    checked.dedup();
    assert_eq!(checked.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn checks_that_hang_or_panic_keep_no_other_circuit_from_recovering() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    let counted = checks.clone();
    tokio::spawn(circuits.probe_with(move |key: &u32| {
        let key = *key;
        assert_ne!(key % 3, 0, "on purpose, when it is created");
        counted.count(async move {
            assert_ne!(key % 3, 1, "on purpose, when it is polled");
            if key < 60 {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(())
        })
    }));
    for key in 0..90 {
        circuits.get_or_create(&key).trip();
    }
    sleep(60 * SECOND).await;
    let mut closed: Vec<u32> = circuits
        .list()
        .into_iter()
        .filter(|(_, breaker)| breaker.state() == State::Closed)
        .map(|(key, _)| key)
        .collect();
    closed.sort_unstable();
    assert_eq!(closed, (60..90).filter(|key| key % 3 == 2).collect::<Vec<_>>());
    assert_eq!(checks.most(), 16);
}

#[tokio::test(start_paused = true)]
async fn while_a_circuit_is_forced_open_it_is_not_checked() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    let breaker = circuits.get_or_create(&7);
    breaker.force_open();
    sleep(YEAR).await;
    assert_eq!(checks.begun(), 0);
    breaker.resume();
    sleep(SECOND / 100).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_check_begins_when_a_call_gives_its_slot_back() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    let breaker = circuits.get_or_create(&7);
    breaker.trip();
    advance(SECOND).await;
    let probe = circuits.try_acquire(&7).unwrap();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    sleep(5 * SECOND).await;
    assert_eq!(checks.begun(), 0);
    drop(probe);
    sleep(SECOND / 100).await;
    assert_eq!((breaker.state(), checks.begun()), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn the_ramps_of_all_circuits_end_without_a_call() {
    let ramp = HalfOpen::consecutive_successes(1).ramp(30 * SECOND);
    let circuits = registry(sensitive().half_open(ramp));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    (0..10).for_each(|key| circuits.get_or_create(&key).trip());
    sleep(30 * SECOND).await;
    assert_eq!(states(&circuits, State::HalfOpen), 10);
    sleep(2 * SECOND).await;
    assert_eq!((states(&circuits, State::Closed), checks.begun()), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_removed_is_forgotten() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.hang())));
    circuits.get_or_create(&1).trip();
    circuits.get_or_create(&2).trip();
    sleep(SECOND / 2).await;
    let kept = circuits.remove(&1).unwrap(); // before its check
    sleep(SECOND).await;
    assert_eq!((kept.state(), checks.begun(), checks.running()), (State::Open, 1, 1));
    drop(circuits.remove(&2)); // in the middle of its check
    sleep(SECOND / 100).await;
    assert_eq!((checks.begun(), checks.running()), (1, 0));
    sleep(YEAR).await;
    assert_eq!(checks.begun(), 1);
}

/// Lets an idle timeout pass, and drops what nobody uses.
async fn sweep(circuits: &CircuitBreakerRegistry<u32>) {
    sleep(IDLE).await;
    circuits.sweep();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_uses_is_dropped_although_its_checks_fail_and_a_key_in_use_stays() {
    // At every sweep, the wait of the circuits is running.
    let circuits = registry(sensitive().open_duration(7 * SECOND));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Err("gone for ever")))));
    circuits.get_or_create(&1).trip();
    circuits.get_or_create(&2).trip();
    for _ in 0..4 {
        let _ = circuits.try_acquire(&2);
        sweep(&circuits).await;
    }
    assert_eq!(circuits.list().into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [2]);
    let before = checks.begun();
    sleep(10 * SECOND).await;
    assert!(checks.begun() > before);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_used_before_a_sweep_is_checked_after_it() {
    let circuits = registry(sensitive().open_duration(IDLE));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    sleep(IDLE / 2).await;
    circuits.try_acquire(&1).unwrap().failure();
    sleep(IDLE / 2).await;
    circuits.sweep(); // the first one that the key sees
    sleep(IDLE / 2 + SECOND).await;
    assert_eq!((states(&circuits, State::Closed), checks.begun()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_used_again_is_checked_again() {
    let circuits = registry(sensitive().open_duration(100 * IDLE));
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.answer(Ok(())))));
    circuits.get_or_create(&1).trip();
    sweep(&circuits).await;
    sweep(&circuits).await;
    sleep(98 * IDLE + SECOND).await;
    assert_eq!(checks.begun(), 0);
    let probe = circuits.try_acquire(&1).unwrap();
    drop(probe);
    sleep(SECOND).await;
    assert_eq!((states(&circuits, State::Closed), checks.begun()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_last_handle_to_the_registry_is_dropped() {
    for (is_open, is_checked) in [(false, false), (true, false), (true, true)] {
        let circuits = registry(sensitive());
        let checks = Checks::default();
        let future = tokio::spawn(circuits.probe_with(any(checks.hang())));
        let weak = circuits.get_or_create(&7).downgrade();
        if is_open {
            circuits.get_or_create(&7).trip();
        }
        sleep(if is_checked { 5 * SECOND } else { SECOND / 2 }).await;
        assert_eq!(checks.running(), usize::from(is_checked));
        let clone = circuits.clone();
        drop(circuits);
        tokio::task::yield_now().await;
        assert!(!future.is_finished());
        drop(clone);
        assert!(weak.upgrade().is_none(), "it keeps a circuit alive");
        tokio::time::timeout(2 * PAUSE, future).await.expect("it has ended").unwrap();
        assert_eq!(checks.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_if_there_is_no_registry_when_it_is_polled_first() {
    let circuits = registry(sensitive());
    let future = circuits.probe_with(any(Checks::default().hang()));
    drop(circuits);
    assert!(task::spawn(future).poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn dropped_in_the_middle_of_checks_it_has_given_their_slots_back() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    let future = tokio::spawn(circuits.probe_with(any(checks.hang())));
    (0..20).for_each(|key| circuits.get_or_create(&key).trip());
    sleep(2 * SECOND).await;
    assert_eq!(checks.running(), 16);
    future.abort();
    future.await.unwrap_err();
    assert_eq!(checks.running(), 0);
    (0..20).for_each(|key| circuits.try_acquire(&key).unwrap().success());
    assert_eq!(states(&circuits, State::Closed), 20);
}

#[tokio::test(start_paused = true)]
async fn two_of_them_share_the_probe_slots() {
    let circuits = registry(sensitive());
    let checks = Checks::default();
    tokio::spawn(circuits.probe_with(any(checks.succeed_after(SECOND))));
    tokio::spawn(circuits.probe_with(any(checks.succeed_after(SECOND))));
    (0..40).for_each(|key| circuits.get_or_create(&key).trip());
    sleep(10 * SECOND).await;
    assert_eq!(states(&circuits, State::Closed), 40);
    assert_eq!((checks.begun(), checks.most()), (40, 32));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_hangs_keeps_no_check_from_being_woken() {
    let (release, hang) = std::sync::mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let template = sensitive().on_event(move |_| {
        let _ = hang.lock().unwrap().recv();
    });
    let circuits = registry(template);
    let mut future = task::spawn(circuits.probe_with(any(Checks::default().hang())));
    assert!(future.poll().is_pending());
    advance(PAUSE).await;
    while future.is_woken() {
        assert!(future.poll().is_pending());
        tokio::task::yield_now().await;
    }
    let breaker = circuits.get_or_create(&7);
    let thread = std::thread::spawn(move || breaker.trip());
    let start = std::time::Instant::now();
    while !future.is_woken() {
        assert!(start.elapsed() < 10 * SECOND, "it has not been woken");
        std::thread::yield_now();
    }
    drop(release);
    thread.join().unwrap();
}

/// A key that cannot be cloned.
#[derive(PartialEq, Eq, Hash)]
struct Unique(u32);

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[test]
fn keys_need_not_be_cloned_and_the_future_can_be_sent() {
    fn can_be_sent(_: impl Send + 'static) {}
    let circuits: CircuitBreakerRegistry<Unique> =
        CircuitBreakerRegistry::builder(sensitive()).build().unwrap();
    can_be_sent(circuits.probe_with(|key: &Unique| {
        let key = key.0;
        async move { if key == 7 { Outcome::Ok(()) } else { Err("down") } }
    }));
}
