//! Makes a run of the bytes that the fuzzer supplies.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::ops::{Edge, Mark, Op, Span, Which};
use crate::reference::Ending;
use crate::run::Run;
use crate::settings::{Probes, Settings, Wait, Window};

type Bytes<'a, 'b> = &'a mut Unstructured<'b>;

/// Longer runs take more time and reach nothing new.
const STEPS: usize = 120;

impl<'b> Arbitrary<'b> for Run {
    fn arbitrary(u: &mut Unstructured<'b>) -> Result<Self> {
        let settings = settings(u)?;
        let others = (0..u.choose_index(3)?).map(|_| settings_like(u, &settings));
        let others = others.collect::<Result<_>>()?;
        let look_every = u.choose_index(4)? + 1;
        let leak_at_the_end = u.arbitrary()?;
        let mut ops = vec![op(u)?];
        while !u.is_empty() && ops.len() < STEPS {
            ops.push(op(u)?);
        }
        Ok(Self { settings, others, ops, look_every, leak_at_the_end })
    }
}

fn op(u: Bytes<'_, '_>) -> Result<Op> {
    Ok(match u.int_in_range(0..=20)? {
        0..=3 => Op::Acquire,
        4..=5 => Op::End(which(u)?, ending(u)?),
        6..=7 => Op::Call(ending(u)?),
        8..=9 => Op::Advance(span(u)?),
        10 => Op::Trip,
        11 => Op::Reset,
        12 => Op::ForceOpen(option(u, duration)?),
        13 => Op::ForceClosed(option(u, duration)?),
        14 => Op::Resume,
        15 => Op::SetEnforcement(u.int_in_range(0..=64)?),
        16 => Op::Reconfigure(u.choose_index(2)?),
        17 => Op::Answered(which(u)?),
        18 => Op::Suspect(duration(u)?),
        19 => Op::Restart(duration(u)?),
        _ => Op::EndOrphan(ending(u)?),
    })
}

fn which(u: Bytes<'_, '_>) -> Result<Which> {
    Ok(match u.int_in_range(0..=9)? {
        0 => Which::Newest,
        1 => Which::Oldest,
        index => Which::Any(index - 2),
    })
}

fn ending(u: Bytes<'_, '_>) -> Result<Ending> {
    Ok(match u.int_in_range(0..=8)? {
        0..=1 => Ending::Success,
        2..=3 => Ending::Failure,
        4 => Ending::FailureRetryAfter(duration(u)?),
        5 => Ending::Ignored,
        6 => Ending::Dropped,
        7 => Ending::Never,
        _ => Ending::SoftFailure,
    })
}

fn span(u: Bytes<'_, '_>) -> Result<Span> {
    Ok(match u.int_in_range(0..=15)? {
        0 => Span::Nothing,
        1..=5 => Span::Millis(u.int_in_range(1..=100)?),
        6 => Span::Year,
        _ => {
            let mark = *u.choose(&[
                Mark::RetryAfter,
                Mark::ProbeDeadline,
                Mark::ForceEnd,
                Mark::SuspicionEnd,
                Mark::SlowDuration,
                Mark::HungAfter,
                Mark::Hung,
                Mark::AbandonedAfter,
                Mark::Bucket,
                Mark::NextBucket,
                Mark::Expiry,
                Mark::Forgetting,
                Mark::RampStep,
                Mark::Ramp,
            ])?;
            let edge = *u.choose(&[Edge::Exactly, Edge::JustBefore, Edge::JustAfter])?;
            Span::Until(mark, edge)
        }
    })
}

fn settings(u: Bytes<'_, '_>) -> Result<Settings> {
    let slow_duration = option(u, duration)?;
    let slow_rate = if slow_duration.is_some() { option(u, rate)? } else { None };
    let settings = Settings {
        consecutive_failures: option(u, number)?,
        failure_rate: option(u, rate)?,
        slow_duration,
        slow_rate,
        slow_in_flight: u.arbitrary()?,
        hung_after: option(u, duration)?,
        window: option(u, window)?,
        minimum_calls: option(u, number)?,
        wait: wait(u)?,
        half_open: option(u, probes)?,
        ramp: option(u, duration)?,
        probe_timeout: option(u, duration)?,
        abandoned_after: option(u, duration)?,
        max_retry_after: option(u, duration)?,
        trip_on_retry_after: u.arbitrary()?,
        failure_count: option(u, number)?,
        no_trip_rules: u.ratio(1, 16)?,
        forget_after: option(u, duration)?,
        enforcement: option(u, |u| u.int_in_range(0..=64))?,
    };
    Ok(settings.made_valid())
}

/// Settings that differ from others in some groups only.
fn settings_like(u: Bytes<'_, '_>, others: &Settings) -> Result<Settings> {
    let same = u.arbitrary()?;
    Ok(settings(u)?.partly(others, same))
}

fn option<T>(u: Bytes<'_, '_>, some: fn(Bytes<'_, '_>) -> Result<T>) -> Result<Option<T>> {
    if u.arbitrary()? { some(u).map(Some) } else { Ok(None) }
}

/// Usually a number that a few calls can reach.
fn number(u: Bytes<'_, '_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=31)? {
        0 => u32::MAX,
        n => n,
    })
}

fn rate(u: Bytes<'_, '_>) -> Result<f64> {
    Ok(match u.int_in_range(0..=255_u8)? {
        0 => f64::MIN_POSITIVE,
        n @ 1..128 => f64::from(n) / 127.0,
        n => f64::from(n - 127) / 128.0,
    })
}

fn window(u: Bytes<'_, '_>) -> Result<Window> {
    Ok(match u.int_in_range(0..=15)? {
        0 => Window::Count(u32::MAX),
        1..=7 => Window::Count(u.int_in_range(1..=70)?),
        8..=9 => Window::Time { length: duration(u)?, buckets: None },
        _ => Window::Time { length: duration(u)?, buckets: Some(u.int_in_range(1..=60)?) },
    })
}

fn wait(u: Bytes<'_, '_>) -> Result<Wait> {
    Ok(match u.int_in_range(0..=7)? {
        0..=2 => Wait::Constant(duration(u)?),
        3 => Wait::Growing { initial: duration(u)?, max: Duration::MAX, factor: None },
        _ => {
            // Products of other factors are not exact as floats, and the specification does not say how to
            // round them.
            let initial = Duration::from_millis(u.int_in_range(1..=100)?);
            let max = initial * u.int_in_range(1..=100)?;
            let factor = *u.choose(&[1.0, 1.5, 2.0, 3.0, 10.0, f64::MAX])?;
            Wait::Growing { initial, max, factor: Some(factor) }
        }
    })
}

fn probes(u: Bytes<'_, '_>) -> Result<Probes> {
    let n = number(u)?;
    Ok(if u.arbitrary()? { Probes::Sample(n) } else { Probes::ConsecutiveSuccesses(n) })
}

/// Usually a few steps of the clock, and sometimes an extreme.
fn duration(u: Bytes<'_, '_>) -> Result<Duration> {
    Ok(match u.int_in_range(0..=15)? {
        0 => Duration::MAX,
        1 => Duration::from_secs(400 * 24 * 3600),
        2 => Duration::from_nanos(u.int_in_range(1..=255)?),
        3 => Duration::from_nanos(u.int_in_range(1..=u64::from(u32::MAX))?),
        4 => Duration::from_secs(u.int_in_range(1..=60)?),
        _ => Duration::from_millis(u.int_in_range(1..=100)?),
    })
}
