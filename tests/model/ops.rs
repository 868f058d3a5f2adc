//! What is done to a circuit, step by step, and how it is drawn.

use std::time::Duration;

use proptest::prelude::*;

use crate::reference::Ending;
use crate::settings::duration;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// Asks for admission and keeps the permit.
    Acquire,
    /// Ends a call that is in flight, if there is one.
    End(Which, Ending),
    /// Asks for admission and ends the call at once, if it is admitted.
    Call(Ending),
    Advance(Span),
    Trip,
    Reset,
    ForceOpen,
    ForceClosed,
    Resume,
    /// Ends a call of an earlier breaker that is gone.
    EndOrphan(Ending),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Newest,
    Oldest,
    /// The one at this place in the list, counted in a circle.
    Any(usize),
}

/// A length of time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    Nothing,
    Millis(u64),
    Year,
    Until(Mark, Edge),
}

/// Something that happens after a time, from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    RetryAfter,
    /// The end of the oldest probe's time.
    ProbeDeadline,
    SlowDuration,
    AbandonedAfter,
    /// The length of one bucket.
    Bucket,
    /// The next line of the window's grid.
    NextBucket,
    /// The oldest call in a time window drops out of it.
    Expiry,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Edge {
    JustBefore,
    Exactly,
    JustAfter,
}

/// Steps, `most` at most, made of short stories that lead to states which single steps seldom reach.
///
/// How many there are is drawn first, so that a long failing run is first cut off where it fails.
pub(crate) fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    (1..=most, prop::collection::vec(story(), 1..=most.div_ceil(3))).prop_map(|(steps, stories)| {
        let mut ops = stories.concat();
        ops.truncate(steps);
        ops
    })
}

/// Boxed, since what is drawn is moved around a lot.
fn story() -> impl Strategy<Value = Vec<Op>> {
    prop_oneof![
        10 => step().prop_map(|op| vec![op]).boxed(),
        3 => failures().boxed(),
        4 => mixed_calls().boxed(),
        1 => successes().boxed(),
        2 => long_call().boxed(),
        6 => recovery().boxed(),
        2 => lost_probes().boxed(),
        1 => operator().prop_map(|op| vec![op]).boxed(),
        1 => intervention().boxed(),
    ]
}

fn step() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Acquire),
        6 => end(),
        3 => ending().prop_map(Op::Call),
        4 => span().prop_map(Op::Advance),
        1 => ending().prop_map(Op::EndOrphan),
    ]
}

fn failures() -> impl Strategy<Value = Vec<Op>> {
    (1..=8_usize).prop_map(|n| vec![Op::Call(Ending::Failure); n])
}

/// Mostly a few, sometimes enough to fill a window several times.
fn successes() -> impl Strategy<Value = Vec<Op>> {
    let n = prop_oneof![4 => 1..=8_usize, 1 => 9..=300_usize];
    n.prop_map(|n| vec![Op::Call(Ending::Success); n])
}

/// Enough calls for a rate, some of them slow and some in buckets of their own.
fn mixed_calls() -> impl Strategy<Value = Vec<Op>> {
    let pass = Op::Advance(Span::Until(Mark::Bucket, Edge::Exactly));
    let call = prop_oneof![
        4 => ending().prop_map(|ending| vec![Op::Call(ending)]),
        2 => long_call(),
        1 => Just(vec![pass]),
    ];
    prop::collection::vec(call, 1..=10).prop_map(|calls| calls.concat())
}

/// A call that takes a while, often as long as it matters.
fn long_call() -> impl Strategy<Value = Vec<Op>> {
    let until = |mark| edge().prop_map(move |edge| Span::Until(mark, edge));
    let how = prop_oneof![
        1 => (span(), ending()),
        2 => (until(Mark::SlowDuration), ending()),
        1 => (until(Mark::AbandonedAfter), Just(Ending::Dropped)),
    ];
    how.prop_map(|(span, ending)| {
        vec![Op::Acquire, Op::Advance(span), Op::End(Which::Newest, ending)]
    })
}

/// The circuit opens, the wait passes, and probes are admitted and report.
fn recovery() -> impl Strategy<Value = Vec<Op>> {
    let probes = prop::collection::vec(end(), 0..=6);
    (any::<bool>(), edge(), 1..=6_usize, probes).prop_map(|(trip, edge, n, ends)| {
        let mut ops = vec![Op::Trip; usize::from(trip)];
        ops.push(Op::Advance(Span::Until(Mark::RetryAfter, edge)));
        ops.extend(vec![Op::Acquire; n]);
        ops.extend(ends);
        ops
    })
}

/// The time of the oldest probe passes while another one may report.
fn lost_probes() -> impl Strategy<Value = Vec<Op>> {
    (span(), edge(), operator_or_end()).prop_map(|(apart, edge, then)| {
        vec![
            Op::Acquire,
            Op::Advance(apart),
            Op::Acquire,
            Op::Advance(Span::Until(Mark::ProbeDeadline, edge)),
            then,
        ]
    })
}

fn operator_or_end() -> impl Strategy<Value = Op> {
    prop_oneof![4 => end(), 1 => operator()]
}

/// An operator forces something and, some steps later, no longer.
fn intervention() -> impl Strategy<Value = Vec<Op>> {
    let force = prop_oneof![Just(Op::ForceOpen), Just(Op::ForceClosed)];
    (force, prop::collection::vec(step(), 0..=6)).prop_map(|(force, steps)| {
        let mut ops = vec![force];
        ops.extend(steps);
        ops.push(Op::Resume);
        ops
    })
}

fn operator() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Trip),
        3 => Just(Op::Reset),
        1 => Just(Op::ForceOpen),
        1 => Just(Op::ForceClosed),
        4 => Just(Op::Resume),
    ]
}

fn end() -> impl Strategy<Value = Op> {
    (which(), ending()).prop_map(|(which, ending)| Op::End(which, ending))
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        2 => Just(Which::Newest),
        2 => Just(Which::Oldest),
        1 => (0..8_usize).prop_map(Which::Any),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        8 => Just(Ending::Success),
        4 => Just(Ending::Failure),
        2 => wish().prop_map(Ending::FailureRetryAfter),
        2 => Just(Ending::Ignored),
        2 => Just(Ending::Dropped),
        1 => Just(Ending::Never),
    ]
}

fn wish() -> impl Strategy<Value = Duration> {
    prop_oneof![1 => Just(Duration::ZERO), 9 => duration()]
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        20 => Just(Span::Nothing),
        60 => (1..=60_u64).prop_map(Span::Millis),
        1 => Just(Span::Year),
        80 => (mark(), edge()).prop_map(|(mark, edge)| Span::Until(mark, edge)),
    ]
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        4 => Just(Mark::RetryAfter),
        2 => Just(Mark::ProbeDeadline),
        1 => Just(Mark::SlowDuration),
        1 => Just(Mark::AbandonedAfter),
        1 => Just(Mark::Bucket),
        1 => Just(Mark::NextBucket),
        3 => Just(Mark::Expiry),
    ]
}

fn edge() -> impl Strategy<Value = Edge> {
    prop_oneof![1 => Just(Edge::JustBefore), 4 => Just(Edge::Exactly), 1 => Just(Edge::JustAfter)]
}
