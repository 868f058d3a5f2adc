//! Draws random runs.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use crate::ops::{Edge, Mark, Op, Span, Which};
use crate::reference::Ending;
use crate::run::Run;
use crate::settings::{Probes, Settings, Wait, Window};

/// The steps are drawn first. Shrinking then removes steps first, which makes the run fast.
pub(crate) fn run(most_steps: usize) -> impl Strategy<Value = Run> {
    let look_every = prop_oneof![2 => Just(1), 1 => 2..=200_usize];
    (ops(most_steps), settings_and_others(), look_every, any::<bool>()).prop_map(
        |(ops, (settings, others), look_every, leak_at_the_end)| Run {
            settings,
            others,
            ops,
            look_every,
            leak_at_the_end,
        },
    )
}

// ---- steps ----------------------------------------------------------------------------------

/// Draws up to `most` steps. They are made of short stories, which lead to states that single steps rarely
/// reach.
///
/// The number of steps is drawn first, so that shrinking first cuts a long run off where it fails.
fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    (1..=most, prop::collection::vec(story(), 1..=most.div_ceil(3))).prop_map(|(steps, stories)| {
        let mut ops = stories.concat();
        ops.truncate(steps);
        ops
    })
}

/// The strategies are boxed because they are moved often.
fn story() -> impl Strategy<Value = Vec<Op>> {
    prop_oneof![
        10 => step().prop_map(|op| vec![op]).boxed(),
        3 => failures().boxed(),
        4 => mixed_calls().boxed(),
        1 => successes().boxed(),
        2 => long_call().boxed(),
        6 => recovery().boxed(),
        2 => lost_probes().boxed(),
        3 => ramp().boxed(),
        4 => hung().boxed(),
        2 => operator().prop_map(|op| vec![op]).boxed(),
        1 => intervention().boxed(),
        2 => suspicion().boxed(),
        1 => restart().boxed(),
    ]
}

fn step() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Acquire),
        6 => end(),
        3 => ending().prop_map(Op::Call),
        4 => span().prop_map(Op::Advance),
        1 => ending().prop_map(Op::EndOrphan),
        1 => which().prop_map(Op::Answered),
    ]
}

fn failures() -> impl Strategy<Value = Vec<Op>> {
    (1..=8_usize).prop_map(|n| vec![Op::Call(Ending::Failure); n])
}

/// Usually a few, and sometimes enough to fill a window several times.
fn successes() -> impl Strategy<Value = Vec<Op>> {
    let n = prop_oneof![4 => 1..=8_usize, 1 => 9..=300_usize];
    n.prop_map(|n| vec![Op::Call(Ending::Success); n])
}

/// Enough calls to judge a rate. Some are slow, and some are in a bucket of their own.
fn mixed_calls() -> impl Strategy<Value = Vec<Op>> {
    let pass = Op::Advance(Span::Until(Mark::Bucket, Edge::Exactly));
    let call = prop_oneof![
        4 => ending().prop_map(|ending| vec![Op::Call(ending)]),
        2 => long_call(),
        1 => Just(vec![pass]),
    ];
    prop::collection::vec(call, 1..=10).prop_map(|calls| calls.concat())
}

/// A call that takes some time, often one that just makes a difference.
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

/// The circuit opens, its wait elapses, and probes are admitted and report.
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

/// The time of the oldest probe elapses while another one may report.
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

/// Calls hang, or nearly, while others come and end.
fn hung() -> impl Strategy<Value = Vec<Op>> {
    let mark = prop_oneof![
        Just(Mark::HungAfter),
        Just(Mark::Hung),
        Just(Mark::SlowDuration),
        Just(Mark::Bucket)
    ];
    let pass = (mark, edge()).prop_map(|(mark, edge)| Op::Advance(Span::Until(mark, edge))).boxed();
    let step = prop_oneof![
        4 => ending().prop_map(Op::Call),
        3 => Just(Op::Acquire),
        2 => end(),
        1 => which().prop_map(Op::Answered),
        4 => pass.clone(),
    ];
    (1..=6_usize, pass, prop::collection::vec(step, 0..=12))
        .prop_map(|(calls, pass, steps)| [vec![Op::Acquire; calls], vec![pass], steps].concat())
}

/// The circuit opens and its probes succeed. If it has a ramp, calls come during it.
fn ramp() -> impl Strategy<Value = Vec<Op>> {
    let mark = prop_oneof![4 => Just(Mark::RampStep), 1 => Just(Mark::Ramp)];
    let pass = (mark, edge()).prop_map(|(mark, edge)| Op::Advance(Span::Until(mark, edge)));
    let step = prop_oneof![
        4 => ending().prop_map(Op::Call),
        2 => Just(Op::Acquire),
        1 => end(),
        3 => pass,
    ];
    (1..=6_usize, prop::collection::vec(step, 0..=20)).prop_map(|(probes, steps)| {
        let mut ops = vec![Op::Trip];
        ops.push(Op::Advance(Span::Until(Mark::RetryAfter, Edge::Exactly)));
        ops.extend(vec![Op::Call(Ending::Success); probes]);
        ops.extend(steps);
        ops
    })
}

fn operator_or_end() -> impl Strategy<Value = Op> {
    prop_oneof![4 => end(), 1 => operator()]
}

/// An operator forces a state, and resumes some steps later unless the time is over by then.
fn intervention() -> impl Strategy<Value = Vec<Op>> {
    let end = prop_oneof![
        1 => Just(Op::Resume),
        1 => edge().prop_map(|edge| Op::Advance(Span::Until(Mark::ForceEnd, edge))),
    ];
    (force(), prop::collection::vec(step(), 0..=6), end).prop_map(|(force, steps, end)| {
        let mut ops = vec![force];
        ops.extend(steps);
        ops.push(end);
        ops
    })
}

/// The circuit is suspected while some calls end, and later no more.
fn suspicion() -> impl Strategy<Value = Vec<Op>> {
    let step = || prop_oneof![3 => step(), 2 => ending().prop_map(Op::Call)];
    let steps = || prop::collection::vec(step(), 0..=8);
    let end = edge().prop_map(|edge| Op::Advance(Span::Until(Mark::SuspicionEnd, edge)));
    (steps(), suspect(), steps(), end, steps()).prop_map(|(before, suspect, steps, end, after)| {
        [before, vec![suspect], steps, vec![end], after].concat()
    })
}

fn suspect() -> impl Strategy<Value = Op> {
    prop_oneof![1 => Just(Duration::ZERO), 9 => duration()].prop_map(Op::Suspect)
}

/// Often the circuit is open when it is saved.
fn restart() -> impl Strategy<Value = Vec<Op>> {
    let age = prop_oneof![
        2 => Just(Duration::ZERO),
        2 => duration(),
        1 => (299..=301_u64).prop_map(Duration::from_secs),
    ];
    (any::<bool>(), age).prop_map(|(trip, age)| {
        let mut ops = vec![Op::Trip; usize::from(trip)];
        ops.push(Op::Restart(age));
        ops
    })
}

fn force() -> impl Strategy<Value = Op> {
    let time = || option::of(prop_oneof![1 => Just(Duration::ZERO), 9 => duration()]);
    prop_oneof![time().prop_map(Op::ForceOpen), time().prop_map(Op::ForceClosed)]
}

fn operator() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Trip),
        3 => Just(Op::Reset),
        2 => force(),
        4 => Just(Op::Resume),
        2 => suspect(),
        3 => (0..3_usize).prop_map(Op::Reconfigure),
        1 => (0..=64_u32).prop_map(Op::SetEnforcement),
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
        2 => retry_after().prop_map(Ending::FailureRetryAfter),
        2 => Just(Ending::SoftFailure),
        2 => Just(Ending::Ignored),
        2 => Just(Ending::Dropped),
        1 => Just(Ending::Never),
    ]
}

fn retry_after() -> impl Strategy<Value = Duration> {
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
        1 => Just(Mark::ForceEnd),
        1 => Just(Mark::SuspicionEnd),
        1 => Just(Mark::SlowDuration),
        1 => Just(Mark::AbandonedAfter),
        1 => Just(Mark::HungAfter),
        1 => Just(Mark::Hung),
        1 => Just(Mark::Forgetting),
        1 => Just(Mark::RampStep),
        1 => Just(Mark::Ramp),
        1 => Just(Mark::Bucket),
        1 => Just(Mark::NextBucket),
        3 => Just(Mark::Expiry),
    ]
}

fn edge() -> impl Strategy<Value = Edge> {
    prop_oneof![1 => Just(Edge::JustBefore), 4 => Just(Edge::Exactly), 1 => Just(Edge::JustAfter)]
}

// ---- settings -------------------------------------------------------------------------------

/// Usually the others differ in a few things only, so that much can be kept.
fn settings_and_others() -> impl Strategy<Value = (Settings, Vec<Settings>)> {
    let others = prop::collection::vec((settings(), any::<[bool; 6]>()), 0..=3);
    (settings(), others).prop_map(|(settings, others)| {
        let others =
            others.into_iter().map(|(other, same)| other.partly(&settings, same)).collect();
        (settings, others)
    })
}

fn settings() -> BoxedStrategy<Settings> {
    let rules = (
        option::weighted(0.4, small_number()),
        option::weighted(0.2, small_number()),
        option::of(rate()),
        (slow_calls(), any::<bool>(), option::weighted(0.4, short())),
        prop::bool::weighted(0.3),
    );
    let judging = (option::weighted(0.8, window()), option::weighted(0.85, small_number()));
    let recovery = (
        wait(),
        (option::weighted(0.8, probes()), option::weighted(0.4, duration())),
        option::weighted(0.8, duration()),
        option::of(short()),
        option::of(duration()),
        option::weighted(0.3, 0..=64_u32),
    );
    let retry_after = (option::weighted(0.8, duration()), any::<bool>());
    (rules, judging, recovery, retry_after)
        .prop_map(|(rules, judging, recovery, retry_after)| {
            let (consecutive_failures, failure_count, failure_rate, slow, no_trip_rules) = rules;
            let ((slow_duration, slow_rate), slow_in_flight, hung_after) = slow;
            let (window, minimum_calls) = judging;
            let (
                wait,
                (half_open, ramp),
                probe_timeout,
                abandoned_after,
                forget_after,
                enforcement,
            ) = recovery;
            let (max_retry_after, trip_on_retry_after) = retry_after;
            let settings = Settings {
                consecutive_failures,
                failure_count,
                failure_rate,
                slow_duration,
                slow_rate,
                slow_in_flight,
                hung_after,
                no_trip_rules,
                window,
                minimum_calls,
                wait,
                half_open,
                ramp,
                probe_timeout,
                abandoned_after,
                max_retry_after,
                trip_on_retry_after,
                forget_after,
                enforcement,
            };
            settings.made_valid()
        })
        .boxed()
}

/// A slow-call rate needs the duration, but the duration may be set alone.
fn slow_calls() -> impl Strategy<Value = (Option<Duration>, Option<f64>)> {
    prop_oneof![
        2 => Just((None, None)),
        1 => short().prop_map(|d| (Some(d), None)),
        3 => (short(), rate()).prop_map(|(d, rate)| (Some(d), Some(rate))),
    ]
}

/// Usually a number that a few calls can reach, and sometimes the largest.
fn small_number() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 1..=6_u32, 4 => 7..=30_u32, 1 => Just(u32::MAX)]
}

/// Usually a fraction that a few calls can reach exactly.
fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (1..=10_u32).prop_flat_map(|n| (1..=n, Just(n))).prop_map(|(part, n)| f64::from(part) / f64::from(n)),
        1 => Just(1.0),
        1 => Just(f64::MIN_POSITIVE),
    ]
}

fn window() -> impl Strategy<Value = Window> {
    let buckets = prop_oneof![6 => 1..=12_u32, 1 => Just(60)];
    prop_oneof![
        6 => (1..=12_u32).prop_map(Window::Count),
        2 => (60..=70_u32).prop_map(Window::Count),
        1 => Just(Window::Count(u32::MAX)),
        9 => (duration(), option::weighted(0.8, buckets))
            .prop_map(|(length, buckets)| Window::Time { length, buckets }),
    ]
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        2 => duration().prop_map(Wait::Constant),
        6 => growing(),
        // Products of other factors are not exact as floats when they are this large, and the
        // specification does not say how to round them.
        1 => duration().prop_map(|initial| Wait::Growing { initial, max: Duration::MAX, factor: None }),
    ]
}

fn growing() -> impl Strategy<Value = Wait> {
    let initial = (1..=100_u64).prop_map(Duration::from_millis);
    let factor = prop::sample::select(vec![1.0, 1.5, 2.0, 3.0, 10.0, f64::MAX]);
    (initial, 1..=100_u32, option::of(factor)).prop_map(|(initial, times, factor)| Wait::Growing {
        initial,
        max: initial * times,
        factor,
    })
}

fn probes() -> impl Strategy<Value = Probes> {
    prop_oneof![
        small_number().prop_map(Probes::ConsecutiveSuccesses),
        small_number().prop_map(Probes::Sample),
    ]
}

/// A duration that many calls reach.
fn short() -> impl Strategy<Value = Duration> {
    prop_oneof![3 => (1..=10_u64).prop_map(Duration::from_millis), 1 => duration()]
}

/// Usually a few steps of the clock, and sometimes an extreme.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        20 => (1..=100_u64).prop_map(Duration::from_millis),
        2 => (1..=60_u64).prop_map(Duration::from_secs),
        2 => (1..=40_u64).prop_map(Duration::from_nanos),
        2 => (1..=100_000_000_u64).prop_map(Duration::from_nanos),
        1 => Just(Duration::from_secs(400 * 24 * 3600)),
        1 => Just(Duration::MAX),
    ]
}
