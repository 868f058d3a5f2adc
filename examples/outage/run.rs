//! Takes the backends through the phases while calls arrive.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tower::BoxError;
#[cfg(feature = "replay")]
use tower_breaker::replay::Trace;
use tower_breaker::{Cause, State, Transition};

use crate::args::{Mode, Plan};
use crate::backend::Backend;
use crate::load::{Call, End, Load};
#[cfg(feature = "replay")]
use crate::record;
use crate::terminal::Terminal;
use crate::{client, report};

/// The results of a run. All times are relative to its start.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) phases: Vec<PhaseRun>,
    pub(crate) bare: Side,
    /// Has a breaker without `hung_after` and without a ramp.
    pub(crate) simple: Side,
    pub(crate) protected: Side,
    pub(crate) transitions: Vec<(Duration, Transition)>,
    pub(crate) last_state: State,
}

/// A phase of the run.
pub(crate) struct PhaseRun {
    pub(crate) mode: Mode,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) state_before: State,
}

/// One of the clients and its backend.
pub(crate) struct Side {
    pub(crate) calls: Vec<Call>,
    /// The requests that reached the handler of the backend, by phase.
    pub(crate) reached: Vec<u64>,
    /// How often the backend fell over while it was cold.
    pub(crate) falls: u32,
}

/// How the circuit reacted to an outage.
pub(crate) struct Outage {
    /// The number of the phase.
    pub(crate) phase: usize,
    /// How long after the start of the outage the circuit opened, and why. `None` if it did not open.
    pub(crate) tripped: Option<(Duration, Cause)>,
    /// How often the circuit became half-open during the outage.
    pub(crate) probings: usize,
    /// How long after the end of the outage the circuit closed. `None` if it did not close before the next one.
    pub(crate) recovered: Option<Duration>,
    /// How long the backend was healthy after the outage.
    pub(crate) healthy_after: Duration,
}

pub(crate) async fn run(terminal: Terminal, plan: Plan) -> Result<Run, BoxError> {
    // Each client has its own backend, so that they do not influence each other.
    let mut backends =
        [Backend::new(plan.rate)?, Backend::new(plan.rate)?, Backend::new(plan.rate)?];

    let start = Instant::now();
    let transitions = Arc::new(Mutex::new(Vec::new()));
    let breaker = client::breaker({
        let transitions = transitions.clone();
        move |transition| {
            let at = start.elapsed();
            report::transition(terminal, at, transition);
            transitions
                .lock()
                .expect("nothing panics while it holds the lock")
                .push((at, transition.clone()));
        }
    })?;
    let bare = client::bare();
    #[cfg(feature = "replay")]
    let (bare, trace) = match &plan.record {
        Some(_) => record::recorded(bare, plan.calls())?,
        None => (bare, Trace::default()),
    };
    let clients =
        [bare, client::protected(client::simple_breaker()?), client::protected(breaker.clone())];
    let mut loads = std::array::from_fn::<_, 3, _>(|number| {
        Load::new(clients[number].clone(), backends[number].uri(), start)
    });

    // The load is open-loop: calls start at a fixed rate whether or not earlier ones have ended, as with real
    // users. If this task is late, it catches up.
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / plan.rate);
    let mut phases: Vec<PhaseRun> = Vec::new();
    for (number, phase) in plan.phases.iter().enumerate() {
        ticks.tick().await;
        let state_before = breaker.state();
        for backend in &mut backends {
            backend.enter(phase.mode).await?;
        }
        let began = start.elapsed();
        report::phase(terminal, began, phase.mode);
        if let Some(previous) = phases.last_mut() {
            previous.ended = began;
        }
        phases.push(PhaseRun { mode: phase.mode, began, ended: Duration::MAX, state_before });
        for tick in 0..plan.calls_in(phase) {
            if tick > 0 {
                ticks.tick().await;
            }
            for load in &mut loads {
                load.call(number);
            }
        }
    }
    ticks.tick().await;
    if let Some(last) = phases.last_mut() {
        last.ended = start.elapsed();
    }
    let mut sides = Vec::new();
    for (load, backend) in loads.into_iter().zip(&backends) {
        let calls = load.finish().await;
        sides.push(Side { calls, reached: backend.reached(), falls: backend.falls() });
    }
    let [bare, simple, protected] =
        sides.try_into().unwrap_or_else(|_| unreachable!("each load becomes a side"));

    #[cfg(feature = "replay")]
    if let Some(file) = &plan.record {
        record::write(file, &trace)?;
    }
    let transitions = transitions.lock().expect("nothing panics while it holds the lock").clone();
    Ok(Run { plan, phases, bare, simple, protected, transitions, last_state: breaker.state() })
}

impl Side {
    pub(crate) fn calls_in(&self, phase: usize) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.phase == phase)
    }

    /// Returns the time that callers spent on calls that did not succeed.
    pub(crate) fn wasted(&self, counts: impl Fn(&Call) -> bool) -> Duration {
        let calls = self.calls.iter().filter(|call| call.end != End::Success && counts(call));
        calls.map(|call| call.took).sum()
    }
}

impl Run {
    /// Returns whether there is a phase in which the backend behaves like this.
    pub(crate) fn has(&self, mode: Mode) -> bool {
        self.phases.iter().any(|phase| phase.mode == mode)
    }

    /// Returns a filter for the phases in which the backend behaves like this.
    pub(crate) fn is(&self, mode: Mode) -> impl Fn(usize) -> bool {
        move |number| self.phases[number].mode == mode
    }

    pub(crate) fn outages(&self) -> Vec<Outage> {
        let outages = self.phases.iter().enumerate().filter(|(_, phase)| phase.mode.is_outage());
        outages.map(|(number, phase)| self.outage(number, phase)).collect()
    }

    fn outage(&self, number: usize, phase: &PhaseRun) -> Outage {
        let during = |at: Duration| (phase.began..phase.ended).contains(&at);
        let following = &self.phases[number + 1..];
        let next_outage = following.iter().find(|phase| phase.mode.is_outage());
        let healthy_until = match (next_outage, following.last()) {
            (Some(outage), _) => outage.began,
            (None, Some(last)) => last.ended,
            (None, None) => phase.ended,
        };
        let after = |at: Duration| (phase.ended..healthy_until).contains(&at);

        let entries = |state: State| {
            let entries = self.transitions.iter().filter(move |(_, change)| change.to() == state);
            entries.map(|(at, change)| (*at, change.cause()))
        };
        let tripped = entries(State::Open).find(|(at, _)| during(*at));
        let closed = entries(State::Closed).find(|(at, _)| after(*at));
        Outage {
            phase: number,
            tripped: tripped.map(|(at, cause)| (at - phase.began, cause)),
            probings: entries(State::HalfOpen).filter(|(at, _)| during(*at)).count(),
            recovered: closed.map(|(at, _)| at - phase.ended),
            healthy_after: healthy_until - phase.ended,
        }
    }
}
