//! Who reports, and what is dropped.

use std::thread;

use super::*;
use crate::machine::{Cause, Change, State};

const RESUME: Notification = Notification::OperatorAction(OperatorAction::Resume, None);

fn transition(attempt: u64) -> Notification {
    let (from, to) = (State::Closed, State::Open);
    let change =
        Change { from, to, cause: Cause::Trip, at: attempt, opening: None, enforcement: 1.0 };
    Notification::Transition(Transition::new(std::sync::Arc::new("test".into()), change, None))
}

fn pending(n: usize) -> Pending {
    let pending = Pending::default();
    (0..n).for_each(|_| pending.push(RESUME));
    pending
}

fn turn(pending: &Pending) -> Turn {
    lock(&pending.queue).turn
}

/// Reports what is left, as a thread does whose turn it is, and returns how much that was.
fn report_all(turn: Option<Reporting<'_>>) -> Option<usize> {
    turn.map(Iterator::count)
}

/// Runs `meanwhile` as soon as another thread waits in `begin`, and returns how much that thread reported.
fn with_successor(pending: &Pending, meanwhile: impl FnOnce()) -> Option<usize> {
    thread::scope(|scope| {
        let successor = scope.spawn(|| report_all(pending.begin()));
        while turn(pending) != Turn::Wanted && !successor.is_finished() {
            thread::yield_now();
        }
        meanwhile();
        successor.join().unwrap()
    })
}

#[test]
fn one_thread_reports_at_a_time_and_it_reports_what_others_push_meanwhile() {
    let pending = pending(2);
    let mut first = pending.begin().unwrap();
    assert_eq!(first.next(), Some(RESUME));
    pending.push(transition(1));
    thread::scope(|scope| scope.spawn(|| assert!(pending.begin().is_none())).join().unwrap());
    assert_eq!(first.next(), Some(RESUME));
    assert_eq!(first.next(), Some(transition(1)));
    assert_eq!((first.next(), first.next()), (None, None));
    assert_eq!(report_all(pending.begin()), Some(0));
}

#[test]
fn a_thread_that_has_reported_its_share_hands_over_to_the_next_one_that_comes() {
    let pending = pending(20);
    let mut first = pending.begin().unwrap();
    assert_eq!(first.by_ref().take(SHARE as usize).count(), 8);
    let by_successor = with_successor(&pending, || assert_eq!(first.next(), None));
    assert_eq!(by_successor, Some(12));
    assert_eq!(turn(&pending), Turn::Nobody);
}

#[test]
fn a_thread_to_which_nobody_comes_reports_everything() {
    assert_eq!(report_all(pending(20).begin()), Some(20));
}

#[test]
fn a_turn_is_handed_over_even_if_nothing_is_left() {
    let pending = pending(SHARE as usize);
    let mut first = pending.begin().unwrap();
    first.by_ref().take(SHARE as usize).for_each(drop);
    let by_successor = with_successor(&pending, || assert_eq!(first.next(), None));
    assert_eq!((by_successor, turn(&pending)), (Some(0), Turn::Nobody));
}

#[test]
fn a_third_thread_does_not_wait() {
    let pending = pending(20);
    let mut first = pending.begin().unwrap();
    first.by_ref().take(SHARE as usize).for_each(drop);
    with_successor(&pending, || {
        thread::scope(|scope| scope.spawn(|| assert!(pending.begin().is_none())).join().unwrap());
        assert_eq!(first.next(), None);
        assert_eq!(first.next(), None, "its turn is over, even if the successor has not begun");
    });
}

#[test]
fn a_thread_that_is_notifying_does_not_wait_for_another_one() {
    let pending = pending(20);
    let mut first = pending.begin().unwrap();
    first.by_ref().take(SHARE as usize).for_each(drop);
    assert!(pending.begin().is_none(), "this thread would wait for itself");
    thread::scope(|scope| {
        let in_a_listener = scope.spawn(|| {
            let _notifying = Notifying::begin();
            assert!(pending.begin().is_none());
        });
        in_a_listener.join().unwrap();
    });
    assert_eq!(first.count(), 12);
}

#[test]
fn a_successor_gives_up_and_then_no_other_waits_for_the_same_notification() {
    let pending = pending(20);
    let mut first = pending.begin().unwrap();
    first.by_ref().take(SHARE as usize).for_each(drop);
    assert_eq!(with_successor(&pending, || {}), None); // it waits for as long as it waits at all
    assert_eq!(turn(&pending), Turn::Taken { reported: 0 });
    assert_eq!(first.count(), 12, "the first one goes on");
}

#[test]
fn a_turn_ends_if_reporting_panics_and_the_next_thread_reports_the_rest() {
    let pending = pending(20);
    let mut first = pending.begin().unwrap();
    first.next();
    drop(first);
    assert!(!Notifying::is_this_thread());
    let mut second = pending.begin().unwrap();
    assert_eq!(second.by_ref().take(SHARE as usize).count(), 8);
    let by_successor = with_successor(&pending, || drop(second));
    assert_eq!(by_successor, Some(11));
}

#[test]
fn beyond_the_capacity_the_oldest_is_dropped_and_counted_in_its_place() {
    let pending = Pending::default();
    let first = pending.begin().unwrap();
    pending.push(RESUME);
    (0..100).for_each(|n| pending.push(transition(n)));
    let missed = Missed { events: 101 - 64, transitions: 100 - 64 };
    let mut expected = vec![Notification::Missed(missed)];
    expected.extend((36..100).map(transition));
    assert_eq!(first.collect::<Vec<_>>(), expected);
}

#[test]
fn the_newest_transition_is_not_dropped_whatever_comes_after_it() {
    let pending = Pending::default();
    let first = pending.begin().unwrap();
    (0..3).for_each(|n| pending.push(transition(n)));
    (0..200).for_each(|_| pending.push(RESUME));
    let reported: Vec<_> = first.collect();
    let missed = Missed { events: 203 - 64, transitions: 2 };
    assert_eq!(reported[..3], [Notification::Missed(missed), transition(2), RESUME]);
    assert_eq!(reported.len(), 1 + 64);
}
