//! Searches every state that a small circuit can reach. Calls overlap and end in every way or never, time
//! passes, and operators act. The guarantees are checked at every step. They hold for histories of any length,
//! because two worlds that differ only in how much time has passed count as one.
//!
//! A world can also break one guarantee on purpose, which shows that the search would find such a fault.

mod steps;
mod world;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use self::steps::{Fault, HUNG_AFTER, LONGEST_WAIT, PROBE_TIMEOUT, PROBES, RAMP, UNIT, WAIT};
use self::world::World;
use super::*;

/// The number of worlds after which the search stops, unless `EXHAUSTIVE_WORLDS` is set.
const MOST_WORLDS: usize = 20_000;

fn rules(half_open: ProbeRule, window: SlidingWindow, times: bool) -> Rules {
    let nanos = Duration::from_nanos;
    let growing = Backoff::exponential(nanos(WAIT), nanos(LONGEST_WAIT)).jitter(0.0);
    let constant = Backoff::constant(nanos(WAIT)).jitter(0.0);
    Rules {
        consecutive_failures: Some(2),
        failure_count: None,
        failure_rate: Some(1.0),
        slow_call_rate: times.then_some(1.0),
        slow_call_duration: times.then_some(2 * UNIT),
        window: Some(window),
        minimum_calls: 2,
        open_duration: if times { growing.forget_after(nanos(2 * UNIT)) } else { constant },
        half_open,
        slow_in_flight: false,
        hung_after: None,
        ramp: 0,
        probe_timeout: PROBE_TIMEOUT,
        abandoned_after: times.then_some(UNIT),
        max_retry_after: 2 * UNIT,
        trip_on_retry_after: times,
        enforcement: 1.0,
    }
}

/// Returns other settings, which a circuit with these may be changed to.
fn others(rules: &Rules) -> Rules {
    let half_open = match rules.half_open {
        ProbeRule::ConsecutiveSuccesses(n) => ProbeRule::Sample(n - 1),
        ProbeRule::Sample(n) => ProbeRule::ConsecutiveSuccesses(n - 1),
    };
    let times = rules.slow_call_duration.is_none();
    Rules {
        consecutive_failures: Some(1),
        ramp: RAMP,
        ..self::rules(half_open, SlidingWindow::count(1), times)
    }
}

/// Visits worlds, the nearest first, until there are no new ones or `most` have been seen. Returns how many were
/// seen and whether these are all, or the first guarantee that is broken.
fn explore(start: World, most: usize) -> Result<(usize, bool), String> {
    explore_with(start, most, |_| {})
}

fn explore_with(
    start: World,
    most: usize,
    mut visit: impl FnMut(&World),
) -> Result<(usize, bool), String> {
    let mut seen = HashSet::from([start.key()]);
    let mut next = VecDeque::from([start]);
    while let Some(world) = next.pop_front() {
        for step in world.steps() {
            let after = world.after(step)?;
            visit(&after);
            if seen.insert(after.key()) {
                next.push_back(after);
            }
        }
        if seen.len() >= most {
            return Ok((seen.len(), false));
        }
    }
    Ok((seen.len(), true))
}

fn every_kind_of_rules() -> Vec<Rules> {
    let time = SlidingWindow::time(Duration::from_nanos(3 * UNIT)).buckets(3);
    let mut all = Vec::new();
    for half_open in [ProbeRule::ConsecutiveSuccesses(PROBES), ProbeRule::Sample(PROBES)] {
        for window in [SlidingWindow::count(2), time] {
            for times in [false, true] {
                all.push(rules(half_open, window, times));
            }
        }
        all.push(Rules { ramp: RAMP, ..rules(half_open, time, false) });
        all.push(Rules {
            hung_after: Some(HUNG_AFTER),
            ramp: RAMP,
            ..rules(half_open, SlidingWindow::count(2), false)
        });
    }
    all
}

/// Returns every change of state that a circuit can make, with the name of its cause, for each kind of rules.
#[cfg(feature = "metrics")]
pub(crate) fn reachable_changes() -> Vec<(Rules, (State, State, &'static str))> {
    let mut reachable = Vec::new();
    for rules in every_kind_of_rules() {
        let mut changes = HashSet::new();
        explore_with(World::new(&rules, None), 2_000, |world| {
            let named = |change: &Change| (change.from, change.to, change.cause.name());
            changes.extend(world.changes.iter().map(named));
        })
        .unwrap();
        reachable.extend(changes.into_iter().map(|change| (rules, change)));
    }
    reachable
}

#[test]
fn the_promises_hold_in_every_world_of_a_small_circuit() {
    let most = std::env::var("EXHAUSTIVE_WORLDS").map_or(MOST_WORLDS, |n| n.parse().unwrap());
    for rules in every_kind_of_rules() {
        let (worlds, all) = explore(World::new(&rules, None), most).unwrap();
        println!("{worlds} worlds{}: {rules:?}", if all { ", all there are" } else { "" });
        assert!(all || worlds >= most);
    }
}

#[test]
fn the_promises_hold_while_the_settings_change() {
    let most = std::env::var("EXHAUSTIVE_WORLDS").map_or(MOST_WORLDS, |n| n.parse().unwrap());
    for rules in every_kind_of_rules() {
        let world = World::new(&rules, None).with_other_rules(&others(&rules));
        let (worlds, all) = explore(world, most).unwrap();
        println!("{worlds} worlds{}: {rules:?}", if all { ", all there are" } else { "" });
        assert!(all || worlds >= most);
    }
}

fn found(fault: Fault) -> String {
    let rules = every_kind_of_rules().swap_remove(0);
    explore(World::new(&rules, Some(fault)), MOST_WORLDS).expect_err("the fault is found")
}

#[test]
fn stale_results_that_count_are_found() {
    assert!(found(Fault::StaleResultsCount).starts_with("a stale result had an effect"));
}

#[test]
fn a_slot_that_is_not_given_back_is_found() {
    assert!(found(Fault::SlotIsKept).starts_with("stuck"));
}

#[test]
fn a_probe_that_never_expires_is_found() {
    assert!(found(Fault::ProbesNeverExpire).starts_with("stuck"));
}

#[test]
fn a_call_that_never_leaves_is_found() {
    let rules = every_kind_of_rules().pop().unwrap();
    let start = World::new(&rules, Some(Fault::CallsNeverLeave));
    let found = explore(start, MOST_WORLDS).expect_err("the fault is found");
    assert!(found.contains("calls in flight"), "{found}");
}

#[test]
fn two_probes_in_one_slot_are_found() {
    assert!(found(Fault::TwoInOneSlot).starts_with("too many probes"));
}

#[test]
fn an_open_period_without_an_end_is_found() {
    assert!(found(Fault::OpenForEver).starts_with("stuck"));
}

#[test]
fn a_circuit_that_is_forced_for_ever_is_found() {
    assert!(found(Fault::ForcedForEver).starts_with("stuck"));
}

#[test]
fn a_suspicion_that_never_ends_is_found() {
    assert!(found(Fault::SuspectedForEver).starts_with("suspected for"));
}

#[test]
fn a_search_that_is_long_enough_sees_every_state_and_ends() {
    let mut rules = rules(ProbeRule::ConsecutiveSuccesses(1), SlidingWindow::count(1), false);
    rules.minimum_calls = 1;
    let (worlds, all) =
        explore(World::new(&rules, None).with_calls(1).without_suspicion(), 1_000_000).unwrap();
    println!("{worlds} worlds");
    assert!(all);
}
