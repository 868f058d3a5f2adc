//! The circuit and the model, taken through the same steps.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tower_breaker::{CircuitBreaker, Permit, Rejected, Transition};

use crate::ops::{Edge, Mark, Op, Span, Which};
use crate::reference::{Answer, Change, Counts, Ending, Look, Model, Refusal, Ticket, grid};
use crate::settings::{Nanos, Settings};
use crate::story::{Event, Story};

const YEAR: Nanos = 365 * 24 * 3600 * 1_000_000_000;

/// The longest time that a run may take.
pub(crate) const LAST: Nanos = 50 * YEAR;

/// Longer waits are compared as if they were this long. The last time that the circuit can represent is 73
/// years after the start of its clock, and a run may have got to [`LAST`].
const NEVER: Nanos = 22 * YEAR;

/// An error describes what is wrong.
pub(crate) type Checked = Result<(), String>;

/// The circuit, the model, and the calls that both have in flight.
pub(crate) struct Both {
    settings: Settings,
    others: Vec<Settings>,
    pub(crate) real: CircuitBreaker,
    model: Model,
    /// When both were created.
    start: Instant,
    in_flight: Vec<Flight>,
    pub(crate) admitted: usize,
    orphans: Vec<Permit>,
    /// The longest time that one step may take, so that there is time left for the rest of the run.
    longest: Nanos,
    story: Story,
}

struct Flight {
    number: usize,
    permit: Permit,
    /// `None` for a shadow call.
    ticket: Option<Ticket>,
}

impl Both {
    /// Creates the circuit and the model for a run of so many steps.
    pub(crate) fn new(settings: &Settings, others: &[Settings], steps: usize) -> Self {
        let orphans = orphans(settings);
        Self {
            settings: settings.clone(),
            others: others.to_vec(),
            real: settings.build("model"),
            model: Model::new(settings.clone()),
            start: Instant::now(),
            in_flight: Vec::new(),
            admitted: 0,
            orphans,
            longest: (2 * YEAR).min(4 * LAST / steps as Nanos),
            story: Story::default(),
        }
    }

    /// Applies a step. Returns the call that it has ended, if there is one.
    pub(crate) async fn apply(&mut self, op: Op) -> Result<Option<(usize, Ending)>, String> {
        self.story.begin(self.model.now(), op);
        let mut ended = None;
        match op {
            Op::Acquire => self.acquire()?,
            Op::End(which, ending) => ended = self.end(which, ending),
            Op::Answered(which) => self.answered(which),
            Op::Call(ending) => {
                let before = self.admitted;
                self.acquire()?;
                if self.admitted > before {
                    ended = self.end(Which::Newest, ending);
                }
            }
            Op::Advance(span) => self.advance(span).await,
            Op::EndOrphan(ending) => self.end_orphan(ending),
            Op::Trip => {
                self.real.trip();
                self.model.trip();
            }
            Op::Reset => {
                self.real.reset();
                self.model.reset();
            }
            Op::ForceOpen(duration) => {
                match duration {
                    Some(duration) => self.real.force_open_for(duration),
                    None => self.real.force_open(),
                }
                self.model.force_open(duration);
            }
            Op::ForceClosed(duration) => {
                match duration {
                    Some(duration) => self.real.force_closed_for(duration),
                    None => self.real.force_closed(),
                }
                self.model.force_closed(duration);
            }
            Op::Resume => {
                self.real.resume();
                self.model.resume();
            }
            Op::SetEnforcement(share) => {
                self.real.set_enforcement(f64::from(share) / 64.0).expect("a valid share");
                self.model.set_enforcement(share);
            }
            Op::Suspect(duration) => {
                self.real.suspect(duration);
                self.model.suspect(duration);
            }
            Op::Restart(age) => self.restart(age),
            Op::Reconfigure(index) if !self.others.is_empty() => {
                let settings = self.others[index % self.others.len()].clone();
                self.reconfigure(settings)?;
            }
            Op::Reconfigure(_) => {}
        }
        self.story.end(self.model.state());
        Ok(ended)
    }

    /// Describes what is wrong and what led to it.
    pub(crate) fn explain(&self, problem: &str) -> String {
        format!("{problem}\n\nwhat happened:\n{}", self.story)
    }

    fn acquire(&mut self) -> Checked {
        match (self.real.try_acquire(), self.model.try_acquire()) {
            (Ok(permit), Answer::Admitted(ticket)) if !permit.is_shadow() => {
                self.story.add(Event::Admitted(self.admitted));
                let ticket = Some(ticket);
                self.in_flight.push(Flight { number: self.admitted, permit, ticket });
                self.admitted += 1;
                Ok(())
            }
            (Ok(permit), Answer::LetThrough(refusal)) if permit.is_shadow() => {
                self.story.add(Event::LetThrough(refusal));
                self.in_flight.push(Flight { number: usize::MAX, permit, ticket: None });
                Ok(())
            }
            (Err(rejected), Answer::Rejected(refusal)) => {
                self.story.add(Event::Rejected(refusal));
                same(&seen_refusal(&rejected), &capped_refusal(refusal), "the rejection")
            }
            (seen, expected) => Err(format!("expected {expected:?}, got {seen:?}")),
        }
    }

    fn reconfigure(&mut self, settings: Settings) -> Checked {
        let reconfigured =
            self.real.reconfigure(settings.builder("other")).expect("valid settings");
        let expected = self.model.reconfigure(&settings);
        self.settings = settings;
        same(&reconfigured, &expected, "what became of the window")
    }

    fn restart(&mut self, age: Duration) {
        let saved = self.real.save();
        self.settings.enforcement = self.model.enforcement();
        let builder = self.settings.builder("restarted");
        self.real = builder.primed(&saved.aged(age)).build().expect("valid settings");
        self.model = self.model.restarted(age.as_nanos());
        self.in_flight.iter_mut().for_each(|flight| flight.ticket = None);
    }

    fn end(&mut self, which: Which, ending: Ending) -> Option<(usize, Ending)> {
        let index = self.index(which)?;
        let Flight { number, permit, ticket } = self.in_flight.remove(index);
        self.story.add(Event::Ended(number, ending));
        settle(permit, ending);
        self.model.settle(ticket?, ending);
        Some((number, ending))
    }

    fn index(&self, which: Which) -> Option<usize> {
        let newest = self.in_flight.len().checked_sub(1)?;
        Some(match which {
            Which::Newest => newest,
            Which::Oldest => 0,
            Which::Any(index) => index % (newest + 1),
        })
    }

    fn answered(&mut self, which: Which) {
        let Some(index) = self.index(which) else { return };
        let Flight { permit, ticket, .. } = &mut self.in_flight[index];
        permit.answered();
        if let Some(ticket) = ticket {
            self.model.answered(*ticket);
        }
    }

    fn end_orphan(&mut self, ending: Ending) {
        if let Some(permit) = self.orphans.pop() {
            settle(permit, ending);
        }
    }

    async fn advance(&mut self, span: Span) {
        let by = self.length(span).min(LAST - self.model.now());
        self.story.add(Event::Passed(duration(by)));
        tokio::time::advance(duration(by)).await;
        self.model.advance(by);
    }

    fn length(&mut self, span: Span) -> Nanos {
        match span {
            Span::Nothing => 0,
            Span::Millis(millis) => Nanos::from(millis) * 1_000_000,
            Span::Year => YEAR.min(self.longest),
            Span::Until(mark, edge) => match (self.until(mark).min(self.longest), edge) {
                (length, Edge::JustBefore) => length.saturating_sub(1),
                (length, Edge::Exactly) => length,
                (length, Edge::JustAfter) => length + 1,
            },
        }
    }

    fn until(&mut self, mark: Mark) -> Nanos {
        let now = self.model.now();
        let (step, _) = grid(&self.settings);
        let nanos = |d: Option<Duration>| d.map_or(0, |d| d.as_nanos());
        match mark {
            Mark::RetryAfter => self.model.look().retry_after.unwrap_or(0),
            Mark::ProbeDeadline => self.model.first_deadline().map_or(0, |end| end - now),
            Mark::ForceEnd => self.model.look().forced_for.unwrap_or(0),
            Mark::SuspicionEnd => self.model.look().suspected_for.unwrap_or(0),
            Mark::SlowDuration => nanos(self.settings.slow_duration),
            Mark::HungAfter => nanos(self.settings.hung_after),
            Mark::Hung => nanos(self.settings.hung_after).div_ceil(4) * 5,
            Mark::AbandonedAfter => nanos(self.settings.abandoned_after),
            Mark::RampStep => (self.settings.ramp() / 10).max(1),
            Mark::Ramp => self.settings.ramp(),
            Mark::Forgetting => self.settings.forget_after().min(LAST),
            Mark::Bucket => step,
            Mark::NextBucket => step - (now - self.model.grid_start()) % step,
            Mark::Expiry => self.model.next_expiry().map_or(0, |time| time - now),
        }
    }

    pub(crate) fn compare(&mut self) -> Checked {
        let expected = self.model.look();
        let retry_after = expected.retry_after.map(|nanos| nanos.min(NEVER));
        let seen = seen(&self.real);
        same(&self.real.state(), &seen.state, "`state()` and `snapshot()`")?;
        let suspected_for = expected.suspected_for.map(|nanos| nanos.min(NEVER));
        same(&seen, &Look { retry_after, suspected_for, ..expected }, "the circuit and the model")?;
        let history = self.real.history();
        let seen: Vec<Change> = history.iter().map(|change| self.seen_change(change)).collect();
        let expected: Vec<Change> = self.model.history().iter().map(capped_change).collect();
        same(&seen, &expected, "the transitions of the circuit and of the model")
    }

    fn seen_change(&self, transition: &Transition) -> Change {
        Change {
            from: transition.from(),
            to: transition.to(),
            cause: transition.cause(),
            at: transition.at().duration_since(self.start).as_nanos(),
            open_duration: transition.open_duration().map(|d| d.as_nanos().min(NEVER)),
            attempt: transition.attempt(),
        }
    }

    pub(crate) fn abandon_all(&mut self, leak: bool) {
        for flight in self.in_flight.drain(..) {
            settle(flight.permit, if leak { Ending::Never } else { Ending::Dropped });
        }
    }
}

/// Returns permits of a breaker that has been dropped. The next breaker may reuse its circuit.
fn orphans(settings: &Settings) -> Vec<Permit> {
    let earlier = settings.build("earlier");
    (0..3).map(|_| earlier.try_acquire().expect("a new circuit is closed")).collect()
}

fn settle(permit: Permit, ending: Ending) {
    match ending {
        Ending::Success => permit.success(),
        Ending::Failure => permit.failure(),
        Ending::FailureRetryAfter(wait) => permit.failure_retry_after(wait),
        Ending::SoftFailure => permit.soft_failure(),
        Ending::Ignored => permit.ignore(),
        Ending::Dropped => drop(permit),
        Ending::Never => std::mem::forget(permit),
    }
}

fn seen(circuit: &CircuitBreaker) -> Look {
    let snapshot = circuit.snapshot();
    let number = |n: u64| usize::try_from(n).expect("a small number");
    Look {
        state: snapshot.state(),
        counts: Counts {
            calls: number(snapshot.calls()),
            failures: number(snapshot.failures()),
            slow_calls: number(snapshot.slow_calls()),
            consecutive_failures: number(snapshot.consecutive_failures()),
            hung: 0,
        },
        failure_rate: snapshot.failure_rate(),
        slow_call_rate: snapshot.slow_call_rate(),
        retry_after: snapshot.retry_after().map(|d| d.as_nanos().min(NEVER)),
        is_forced: snapshot.is_forced(),
        forced_for: snapshot.forced_for().map(|d| d.as_nanos()),
        suspected_for: snapshot.suspected_for().map(|d| d.as_nanos().min(NEVER)),
        admitted_share: snapshot.admitted_share(),
        in_flight: snapshot
            .calls_in_flight()
            .map(|n| (number(n), snapshot.hung_calls().map(number))),
        enforcement: snapshot.enforcement(),
    }
}

fn seen_refusal(rejected: &Rejected) -> Refusal {
    Refusal {
        reason: rejected.reason(),
        retry_after: rejected.retry_after().map(|d| d.as_nanos().min(NEVER)),
    }
}

fn capped_refusal(refusal: Refusal) -> Refusal {
    Refusal { retry_after: refusal.retry_after.map(|nanos| nanos.min(NEVER)), ..refusal }
}

fn capped_change(change: &Change) -> Change {
    Change { open_duration: change.open_duration.map(|nanos| nanos.min(NEVER)), ..change.clone() }
}

pub(crate) fn duration(nanos: Nanos) -> Duration {
    let second = 1_000_000_000;
    let seconds = u64::try_from(nanos / second).expect("a time within the run");
    Duration::new(seconds, u32::try_from(nanos % second).expect("less than a second"))
}

fn same<T: PartialEq + fmt::Debug>(seen: &T, expected: &T, what: &str) -> Checked {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}\n    seen: {seen:?}\nexpected: {expected:?}"))
}
