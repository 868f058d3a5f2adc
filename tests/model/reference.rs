//! A naive model of a circuit breaker, written from the specification. It keeps lists of calls, counts them
//! whenever it needs a number, and stores nothing that it could compute. Time is the number of nanoseconds since
//! creation.

use std::time::Duration;

use tower_breaker::{Cause, Reconfigured, RejectReason, State};

use crate::settings::{Nanos, Probes, Settings, Wait, Window};

/// A slow and simple circuit breaker.
#[derive(Debug)]
pub(crate) struct Model {
    settings: Settings,
    now: Nanos,
    phase: Phase,
    /// The number of the current period. A result counts only in the period that admitted its call.
    period: usize,
    /// How many calls have been admitted, which gives each of them a number.
    admitted: usize,
    /// The open periods since the circuit was last closed, and those before that it has not forgotten.
    opened: u32,
    /// Since the circuit was last closed: when an operator began or ceased to hold it closed. Time counts from the
    /// first of these, and then not until the next, and so on.
    closed_times: Vec<Nanos>,
    /// The calls of the present closed period that have not ended, where that matters.
    open: Vec<OpenCall>,
    /// When calls in flight began to be watched last.
    watched_since: Option<Nanos>,
    /// How many results have been recorded.
    recorded: usize,
    last_success: Option<Nanos>,
    /// Until when the circuit is suspected, if it is.
    suspected_until: Option<Nanos>,
    /// When the grid of a time window begins.
    grid_start: Nanos,
    /// How much of a rejection has not been enforced so far, in 64ths.
    credit: u32,
    /// Until when the callee has asked, in this period, not to be called.
    asked_until: Nanos,
    /// The number of the last closed period. The calls of later periods are probes.
    last_closed: usize,
    /// The longest time that a probe since then has taken to succeed too late.
    late_success: Nanos,
    history: Vec<Change>,
}

#[derive(Debug)]
enum Phase {
    /// All calls of the period, the first of them that the window may hold, and until when an operator holds the
    /// circuit closed, if one does.
    Closed {
        calls: Vec<Call>,
        first: usize,
        forced: Option<Nanos>,
        /// Until the first call after it, the circuit is half-open to others.
        ramp: Option<Ramp>,
    },
    /// `asked` is the part of the wait that the callee has asked for.
    Open {
        since: Nanos,
        wait: Nanos,
        asked: Nanos,
        shown: Counts,
    },
    HalfOpen {
        in_flight: Vec<Ticket>,
        reported: Vec<Call>,
    },
    ForcedOpen {
        until: Nanos,
        shown: Counts,
    },
}

/// A call in flight. Where it is found to be slow or to hang, how many results had been recorded before, and whether
/// the window has begun anew since.
#[derive(Debug, Clone, Copy)]
struct OpenCall {
    number: usize,
    began: Nanos,
    slow: Option<Found>,
    hung: Option<Found>,
    /// It has ceased to count, and the settings have changed since.
    is_spent: bool,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    recorded: usize,
    is_in_window: bool,
}

/// When the calls in flight count: the length of a step, for calls that hang the number of steps in a quarter of the
/// time and in all of it, and the number of steps that make a call slow.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ages {
    step: Nanos,
    hung: Option<(Nanos, Nanos)>,
    slow: Option<Nanos>,
}

impl Ages {
    fn of(settings: &Settings) -> Option<Self> {
        let nanos = |d: Duration| d.as_nanos().min(u64::MAX.into());
        let hung = settings.hung_after.map(nanos);
        let slow = settings.slow_duration.filter(|_| settings.slow_in_flight).map(nanos);
        let quarter = hung.map(|d| d.div_ceil(4));
        let step = match (quarter, slow) {
            (None, None) => return None,
            (Some(quarter), None) => quarter,
            (None, Some(slow)) => slow.div_ceil(4),
            (Some(quarter), Some(slow)) => {
                let shorter = hung?.min(slow);
                let divides = |step: &Nanos| {
                    let is_in_time = (slow.div_ceil(*step) + 1) * step <= slow + slow.div_ceil(4);
                    quarter % step == 0 && is_in_time
                };
                let dividing = (4..=12).map(|parts| shorter.div_ceil(parts)).find(divides);
                dividing.unwrap_or(shorter.div_ceil(8))
            }
        };
        let hung = hung.zip(quarter).map(|(all, quarter)| {
            if slow.is_none() {
                (1, 4)
            } else if quarter % step == 0 {
                (quarter / step, all.div_ceil(step))
            } else {
                (1, all.div_ceil(step))
            }
        });
        Some(Self { step, hung, slow: slow.map(|d| d.div_ceil(step)) })
    }

    /// Returns when a call hangs, counted from the beginning of the grid as its own beginning is.
    fn hung_at(self, began: Nanos) -> Option<Nanos> {
        let (quarter, all) = self.hung?;
        Some(((began / self.step / quarter + 1) * quarter + all) * self.step)
    }

    fn end_of_quarter(self, at: Nanos) -> Nanos {
        let quarter = self.hung.map_or(1, |(quarter, _)| quarter) * self.step;
        (at / quarter + 1) * quarter
    }

    fn slow_at(self, began: Nanos) -> Option<Nanos> {
        self.slow.map(|steps| (began / self.step + 1 + steps) * self.step)
    }
}

/// When a force ends that only an operator ends.
const NEVER: Nanos = Nanos::MAX;

/// A force that would end later than this never ends: 73 years.
const LATEST_END: Nanos = 73 * 365 * 24 * 3600 * 1_000_000_000;

/// A longer wait is saved as this.
const LONGEST_SAVED: Nanos = 365 * 24 * 3600 * 1_000_000_000;

/// The growing share of calls that are admitted while the circuit recovers.
#[derive(Debug, Clone)]
struct Ramp {
    began: Nanos,
    over: Nanos,
    /// When each call asked for admission, and how many of them were admitted.
    asked: Vec<Nanos>,
    admitted: u128,
}

impl Ramp {
    /// Returns the share of a call that asks at this time, in parts of [`whole`](Self::whole).
    fn share(&self, at: Nanos) -> Nanos {
        (10 * (at - self.began).min(self.over)).max(self.over)
    }

    fn whole(&self) -> Nanos {
        10 * self.over
    }

    /// Whether one more call may be admitted: they are never more than one and the sum of all shares.
    fn admits(&self, asked: &[Nanos]) -> bool {
        let sum: Nanos = asked.iter().map(|at| self.share(*at)).sum();
        self.whole() * (self.admitted + 1) <= self.whole() + sum
    }

    fn is_over(&self, now: Nanos) -> bool {
        now >= self.began + self.over
    }

    fn retry_after(&self, now: Nanos) -> Nanos {
        (self.over / 10).max(1).min((self.began + self.over).saturating_sub(now))
    }
}

/// A recorded call.
#[derive(Debug, Clone, Copy)]
struct Call {
    completed: Nanos,
    failed: bool,
    /// A failure that says nothing about the failure streak.
    soft: bool,
    slow: bool,
}

/// Late successes extend the time of probes up to this multiple of the probe timeout.
pub(crate) const MOST_EXTENDED: Nanos = 10;

/// An admitted call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ticket {
    number: usize,
    period: usize,
    admitted: Nanos,
    /// How long a probe has.
    time: Nanos,
    /// Whether it matters how long the call takes, and whether it counts if it is dropped late. What is set only
    /// later does not apply to it.
    is_timed: bool,
    counts_abandoned: bool,
}

/// The answer to a call that asks for admission.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    Admitted(Ticket),
    Rejected(Refusal),
    LetThrough(Refusal),
}

/// How an admitted call ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ending {
    Success,
    Failure,
    /// A failure with a retry-after.
    FailureRetryAfter(Duration),
    SoftFailure,
    Ignored,
    Dropped,
    /// The call never ends. Its permit is leaked, as by a call that hangs.
    Never,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) failures: usize,
    pub(crate) slow_calls: usize,
    pub(crate) consecutive_failures: usize,
    /// The calls in flight that have hung since the last success.
    pub(crate) hung: usize,
}

/// What a user can see of a circuit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    pub(crate) state: State,
    pub(crate) counts: Counts,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_call_rate: Option<f64>,
    pub(crate) retry_after: Option<Nanos>,
    pub(crate) is_forced: bool,
    pub(crate) forced_for: Option<Nanos>,
    pub(crate) suspected_for: Option<Nanos>,
    pub(crate) admitted_share: f64,
    pub(crate) in_flight: Option<(usize, Option<usize>)>,
    pub(crate) enforcement: f64,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
    pub(crate) at: Nanos,
    pub(crate) open_duration: Option<Nanos>,
    pub(crate) attempt: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: RejectReason,
    pub(crate) retry_after: Option<Nanos>,
}

// ---- calls, time and operators --------------------------------------------------------------

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        let phase = Phase::Closed { calls: Vec::new(), first: 0, forced: None, ramp: None };
        let watched_since = Ages::of(&settings).map(|_| 0);
        Self {
            settings,
            now: 0,
            phase,
            period: 0,
            admitted: 0,
            opened: 0,
            closed_times: vec![0],
            open: Vec::new(),
            watched_since,
            recorded: 0,
            last_success: None,
            suspected_until: None,
            grid_start: 0,
            credit: 0,
            asked_until: 0,
            last_closed: 0,
            late_success: 0,
            history: Vec::new(),
        }
    }

    /// Lets time pass. This is the only method that does, so it also finds probes that have timed out, and
    /// operators who no longer hold the circuit.
    pub(crate) fn advance(&mut self, by: Nanos) {
        self.now += by;
        while let Some(deadline) = self.first_deadline().filter(|deadline| *deadline <= self.now) {
            self.time_out(deadline);
        }
        self.suspected_until = self.suspected_until.filter(|until| *until > self.now);
        if let Some(end) = self.forced_until().filter(|end| *end <= self.now) {
            self.resume_at(end);
        }
    }

    fn time_out(&mut self, deadline: Nanos) {
        let is_sample = matches!(self.settings.half_open(), Probes::Sample(_));
        let slow = is_sample && self.settings.slow_duration.is_some();
        let Phase::HalfOpen { in_flight, reported } = &mut self.phase else { return };
        let oldest = in_flight.iter().position(|probe| probe.admitted + probe.time == deadline);
        in_flight.remove(oldest.expect("this is a probe's deadline"));
        let call = Call { completed: deadline, failed: true, soft: false, slow };
        reported.push(call);
        if is_sample {
            self.judge(call, deadline, false);
        } else {
            self.open(deadline, self.counts(), Cause::ProbeTimedOut);
        }
    }

    pub(crate) fn try_acquire(&mut self) -> Answer {
        self.find_overdue();
        if let Some(cause) = self.overdue_cause() {
            self.open(self.now, self.judged(), cause);
        }
        if let Phase::Open { since, wait, .. } = self.phase {
            if self.now >= since + wait {
                self.half_open(self.now, Cause::WaitOver);
            }
        }
        if let Phase::Closed { ramp: Some(ramp), .. } = &self.phase {
            if ramp.is_over(self.now) {
                self.end_ramp();
            }
        }
        if let Some(reason) = self.refusal() {
            let refusal = Refusal { reason, retry_after: self.retry_after() };
            self.note_asked(false);
            return self.turn_away(refusal);
        }
        self.admitted += 1;
        let is_watched = matches!(self.phase, Phase::Closed { .. });
        let ages = Ages::of(&self.settings).filter(|_| is_watched);
        // Where calls began to be watched at this moment, this one begins after it.
        let began = ages.and(self.watched_since).map_or(self.now, |since| self.now.max(since));
        if ages.is_some() {
            let (number, is_spent) = (self.admitted, false);
            self.open.push(OpenCall { number, began, slow: None, hung: None, is_spent });
        }
        let ticket = Ticket {
            number: self.admitted,
            period: self.period,
            admitted: began,
            time: self.probe_time(),
            is_timed: self.settings.times_calls() || self.state() == State::HalfOpen,
            counts_abandoned: self.settings.abandoned_after.is_some(),
        };
        if let Phase::HalfOpen { in_flight, .. } = &mut self.phase {
            in_flight.push(ticket);
        }
        self.note_asked(true);
        Answer::Admitted(ticket)
    }

    fn note_asked(&mut self, is_admitted: bool) {
        if let Phase::Closed { ramp: Some(ramp), .. } = &mut self.phase {
            ramp.asked.push(self.now);
            ramp.admitted += u128::from(is_admitted);
        }
    }

    fn end_ramp(&mut self) {
        let Phase::Closed { ramp, .. } = &mut self.phase else { return };
        *ramp = None;
        self.begin_closed_time(self.now, None);
        let (from, to, at) = (State::HalfOpen, State::Closed, self.now);
        let cause = Cause::RampCompleted;
        self.history.push(Change { from, to, cause, at, open_duration: None, attempt: None });
    }

    fn turn_away(&mut self, refusal: Refusal) -> Answer {
        let share = self.settings.enforcement.unwrap_or(64);
        if refusal.reason == RejectReason::ForcedOpen || share == 64 {
            return Answer::Rejected(refusal);
        }
        self.credit += share;
        if self.credit < 64 {
            return Answer::LetThrough(refusal);
        }
        self.credit -= 64;
        Answer::Rejected(refusal)
    }

    pub(crate) fn settle(&mut self, ticket: Ticket, ending: Ending) {
        if ending == Ending::Never {
            return;
        }
        let elapsed = if ticket.is_timed { self.now.saturating_sub(ticket.admitted) } else { 0 };
        self.find_overdue();
        self.answered(ticket);
        if !self.is_current(ticket) {
            self.settle_stale(ticket, ending, elapsed);
            return;
        }
        if let Phase::HalfOpen { in_flight, .. } = &mut self.phase {
            in_flight.retain(|probe| *probe != ticket);
        }
        if let Some(failed) = self.verdict(ticket, ending, elapsed) {
            let slow = self.settings.slow_duration.is_some_and(|d| elapsed >= d.as_nanos());
            let requested = self.requested_wait(ending);
            if requested > 0 {
                self.asked_until = self.asked_until.max(self.now + requested);
            }
            let soft = ending == Ending::SoftFailure;
            self.record(Call { completed: self.now, failed, soft, slow }, requested > 0);
        } else if let Some(cause) = self.overdue_cause() {
            self.open(self.now, self.judged(), cause);
        }
    }

    pub(crate) fn answered(&mut self, ticket: Ticket) {
        self.find_overdue();
        self.open.retain(|call| call.number != ticket.number);
    }

    fn find_overdue(&mut self) {
        let Some((ages, since)) = Ages::of(&self.settings).zip(self.watched_since) else { return };
        let found = Some(Found { recorded: self.recorded, is_in_window: true });
        let is_past = |at: Option<Nanos>| at.is_some_and(|at| since + at <= self.now);
        for call in &mut self.open {
            if is_past(ages.slow_at(call.began - since)) {
                call.slow = call.slow.or(found);
            }
            if is_past(ages.hung_at(call.began - since)) {
                call.hung = call.hung.or(found);
            }
        }
    }

    /// Returns the trip rule that holds while calls in flight count, if any.
    fn overdue_cause(&self) -> Option<Cause> {
        let Phase::Closed { forced: None, .. } = self.phase else { return None };
        let weighs = self.open.iter().any(|call| self.weight(call) != (0, 0, 0, 0));
        weighs.then(|| self.trip_rule(self.judged(), false)).flatten()
    }

    /// Returns what a call in flight adds: calls, failures and slow calls to the window, and to the failure streak.
    fn weight(&self, call: &OpenCall) -> (usize, usize, usize, usize) {
        let Some((ages, since)) = Ages::of(&self.settings).zip(self.watched_since) else {
            return (0, 0, 0, 0);
        };
        if call.is_spent {
            return (0, 0, 0, 0);
        }
        let at = |at: Option<Nanos>| since + at.unwrap_or(0);
        let is_in_window = |found: Option<Found>, at: Nanos| {
            let Some(Found { recorded, is_in_window: true }) = found else { return false };
            match self.settings.window_in_use() {
                None => false,
                Some(Window::Count(n)) => self.recorded - recorded < n as usize,
                Some(Window::Time { .. }) => at >= self.grid_start && self.is_recent(at),
            }
        };
        let hung_at = at(ages.hung_at(call.began - since));
        let is_hung = is_in_window(call.hung, hung_at);
        let is_slow =
            call.hung.is_none() && is_in_window(call.slow, at(ages.slow_at(call.began - since)));
        let continues_streak = call.hung.is_some()
            && self.settings.streak_threshold().is_some()
            && self.last_success.is_none_or(|success| {
                since + ages.end_of_quarter(success.saturating_sub(since)) < hung_at
            });
        (
            usize::from(is_hung || is_slow),
            usize::from(is_hung),
            usize::from(is_slow || is_hung && call.slow.is_some()),
            usize::from(continues_streak),
        )
    }

    /// Returns what the rules judge: what was recorded, and the calls in flight that count.
    fn judged(&self) -> Counts {
        let mut counts = self.counts();
        if let Phase::Closed { .. } = self.phase {
            for (calls, failures, slow, hung) in self.open.iter().map(|call| self.weight(call)) {
                counts.calls += calls;
                counts.failures += failures;
                counts.slow_calls += slow;
                counts.hung += hung;
            }
        }
        counts
    }

    fn in_flight(&self) -> Option<(usize, Option<usize>)> {
        Ages::of(&self.settings)?;
        let hung = self.open.iter().filter(|call| call.hung.is_some()).count();
        Some((self.open.len(), self.settings.hung_after.map(|_| hung)))
    }

    fn is_current(&self, ticket: Ticket) -> bool {
        let is_there = match &self.phase {
            Phase::HalfOpen { in_flight, .. } => in_flight.contains(&ticket),
            _ => true,
        };
        ticket.period == self.period && is_there
    }

    fn settle_stale(&mut self, ticket: Ticket, ending: Ending, elapsed: Nanos) {
        let is_closed = matches!(self.phase, Phase::Closed { .. });
        let is_probe = !is_closed && ticket.period > self.last_closed;
        if is_probe && ending == Ending::Success && elapsed >= self.probe_time() {
            self.late_success = self.late_success.max(elapsed);
        }
    }

    fn probe_time(&self) -> Nanos {
        let timeout = self.settings.probe_timeout();
        (2 * self.late_success).max(timeout).min(MOST_EXTENDED * timeout)
    }

    pub(crate) fn trip(&mut self) {
        match self.phase {
            Phase::Closed { forced: None, .. } | Phase::HalfOpen { .. } => {
                self.open(self.now, self.counts(), Cause::Trip);
            }
            Phase::Open { since, wait, .. } if self.now >= since + wait => {
                self.open(self.now, self.counts(), Cause::Trip);
            }
            _ => {}
        }
    }

    pub(crate) fn suspect(&mut self, duration: Duration) {
        if !duration.is_zero() {
            let until = self.now + duration.as_nanos();
            self.suspected_until = self.suspected_until.max(Some(until));
        }
    }

    /// Returns the model of a circuit that goes on where this one has ended, so long ago.
    pub(crate) fn restarted(&self, age: Nanos) -> Self {
        let mut new = Self {
            now: self.now,
            grid_start: self.now,
            closed_times: vec![self.now],
            watched_since: Ages::of(&self.settings).map(|_| self.now),
            admitted: self.admitted,
            ..Self::new(self.settings.clone())
        };
        if age > 300 * 1_000_000_000 {
            return new;
        }
        new.opened = self.opened;
        let wait = match self.phase {
            Phase::Closed { ramp: None, .. } => {
                new.opened = self.remembered(self.now);
                return new;
            }
            Phase::Open { since, wait, .. } => (since + wait).saturating_sub(self.now),
            Phase::Closed { .. } | Phase::HalfOpen { .. } | Phase::ForcedOpen { .. } => 0,
        };
        let longest = self.settings.wait.longest().max(self.settings.max_retry_after());
        let wait = wait.min(LONGEST_SAVED).saturating_sub(age).min(longest);
        new.opened = new.opened.max(1);
        let (since, shown) = (self.now, Counts::default());
        let phase = Phase::Open { since, wait, asked: 0, shown };
        new.enter(phase, since, Cause::Primed, Some(wait));
        new
    }

    pub(crate) fn reset(&mut self) {
        self.suspected_until = None;
        match self.phase {
            Phase::ForcedOpen { until, .. } => {
                self.opened = 0;
                self.late_success = 0;
                self.phase = Phase::ForcedOpen { until, shown: Counts::default() };
            }
            Phase::Closed { forced, .. } => self.close(self.now, forced, Cause::Reset),
            _ => self.close(self.now, None, Cause::Reset),
        }
    }

    pub(crate) fn force_open(&mut self, duration: Option<Duration>) {
        let end = self.force_end(duration);
        if let Phase::ForcedOpen { until, .. } = &mut self.phase {
            *until = end;
        } else {
            let shown = self.counts();
            self.forget(self.now);
            self.enter(Phase::ForcedOpen { until: end, shown }, self.now, Cause::ForceOpen, None);
        }
        self.advance(0);
    }

    pub(crate) fn force_closed(&mut self, duration: Option<Duration>) {
        let end = self.force_end(duration);
        match &mut self.phase {
            Phase::Closed { forced, ramp: None, .. } => {
                if forced.replace(end).is_none() {
                    self.closed_times.push(self.now);
                }
            }
            _ => self.close(self.now, Some(end), Cause::ForceClosed),
        }
        self.advance(0);
    }

    fn force_end(&self, duration: Option<Duration>) -> Nanos {
        let end = duration.map_or(NEVER, |duration| self.now + duration.as_nanos());
        if end > LATEST_END { NEVER } else { end }
    }

    pub(crate) fn resume(&mut self) {
        self.resume_at(self.now);
    }

    fn resume_at(&mut self, at: Nanos) {
        match &mut self.phase {
            Phase::Closed { forced: forced @ Some(_), .. } => {
                *forced = None;
                self.closed_times.push(at);
            }
            Phase::ForcedOpen { .. } => self.half_open(at, Cause::Resume),
            _ => {}
        }
    }

    pub(crate) fn enforcement(&self) -> Option<u32> {
        self.settings.enforcement
    }

    pub(crate) fn set_enforcement(&mut self, share: u32) {
        self.settings.enforcement = Some(share);
    }

    pub(crate) fn reconfigure(&mut self, settings: &Settings) -> Reconfigured {
        let enforcement = settings.enforcement.or(self.settings.enforcement);
        let settings = Settings { enforcement, ..settings.clone() };
        if self.settings.effective() == settings.effective() {
            self.settings = settings;
            return Reconfigured::Unchanged;
        }
        self.find_overdue();
        self.forget_spent();
        let before = std::mem::replace(&mut self.settings, settings);
        self.watch(&before);
        let backoff = self.backoff(self.opened.saturating_sub(1));
        if let Phase::Open { wait, asked, .. } = &mut self.phase {
            *wait = backoff.max(*asked).min(*wait);
        }
        let (before, after) = (before.window_in_use(), self.settings.window_in_use());
        let first_and_all = match &mut self.phase {
            Phase::Closed { calls, first, .. } => Some((calls.len(), first)),
            _ => None, // the window is empty
        };
        match (before, after) {
            _ if before == after => Reconfigured::WindowKept,
            (Some(Window::Count(was)), Some(Window::Count(n))) => {
                let Some((all, first)) = first_and_all else { return Reconfigured::WindowKept };
                *first = (*first).max(all.saturating_sub(was as usize));
                let held = all - *first;
                *first = (*first).max(all.saturating_sub(n as usize));
                let is_shortened = all - *first < held;
                if is_shortened { Reconfigured::WindowShortened } else { Reconfigured::WindowKept }
            }
            _ => {
                if let Some((all, first)) = first_and_all {
                    *first = all;
                }
                self.grid_start = self.now;
                for call in &mut self.open {
                    for found in call.slow.iter_mut().chain(&mut call.hung) {
                        found.is_in_window = false;
                    }
                }
                Reconfigured::WindowRestarted
            }
        }
    }

    /// Calls that do not count by these settings are not to count by others.
    fn forget_spent(&mut self) {
        let Some(Ages { hung, slow, .. }) = Ages::of(&self.settings) else { return };
        let is_spent = |call: &OpenCall| {
            let is_due =
                (hung.is_none() || call.hung.is_some()) && (slow.is_none() || call.slow.is_some());
            is_due && self.weight(call) == (0, 0, 0, 0)
        };
        let spent: Vec<bool> = self.open.iter().map(is_spent).collect();
        for (call, is_spent) in self.open.iter_mut().zip(spent) {
            call.is_spent |= is_spent;
        }
    }

    /// If calls in flight are to count at other times, those that have begun are watched no longer.
    fn watch(&mut self, before: &Settings) {
        let ages = Ages::of(&self.settings);
        if ages != Ages::of(before) {
            self.open.clear();
            if ages.is_some() {
                let since = self.watched_since.map_or(self.now, |since| self.now.max(since) + 1);
                self.watched_since = Some(since);
            }
        }
    }

    /// Whether a call that ended like this has failed, or `None` if it is not counted.
    fn verdict(&self, ticket: Ticket, ending: Ending, elapsed: Nanos) -> Option<bool> {
        match (ending, self.settings.abandoned_after.filter(|_| ticket.counts_abandoned)) {
            (Ending::Success, _) => Some(false),
            (Ending::Failure | Ending::FailureRetryAfter(_) | Ending::SoftFailure, _) => Some(true),
            (Ending::Dropped, Some(d)) if elapsed >= d.as_nanos() => Some(true),
            (Ending::Ignored | Ending::Dropped | Ending::Never, _) => None,
        }
    }

    /// The shortest time for which the circuit stays open if it opens on this result.
    fn requested_wait(&self, ending: Ending) -> Nanos {
        match ending {
            Ending::FailureRetryAfter(wait) => wait.as_nanos().min(self.settings.max_retry_after()),
            _ => 0,
        }
    }

    fn record(&mut self, call: Call, asked_to_wait: bool) {
        let rule = self.settings.half_open();
        let slow_fails = self.settings.slow_rate.is_some();
        match (&mut self.phase, rule) {
            (Phase::Closed { calls, .. }, _) => {
                calls.push(call);
                self.recorded += 1;
                if !call.failed {
                    self.last_success = Some(self.now);
                }
            }
            (Phase::HalfOpen { reported, .. }, Probes::Sample(_)) => reported.push(call),
            (Phase::HalfOpen { reported, .. }, Probes::ConsecutiveSuccesses(_)) => {
                let too_slow = slow_fails && call.slow;
                let failed = call.failed || too_slow;
                reported.push(Call { failed, soft: call.soft && !too_slow, ..call });
            }
            (Phase::Open { .. } | Phase::ForcedOpen { .. }, _) => {
                unreachable!("these states admit no call")
            }
        }
        self.judge(call, self.now, asked_to_wait);
    }

    fn judge(&mut self, call: Call, at: Nanos, asked_to_wait: bool) {
        let counts = self.judged();
        let trips_on_request = self.settings.trip_on_retry_after && asked_to_wait;
        let cause = match (&self.phase, self.settings.half_open()) {
            (Phase::Closed { forced: None, .. }, _) => self.trip_rule(counts, trips_on_request),
            (Phase::HalfOpen { .. }, Probes::ConsecutiveSuccesses(_)) if call.failed => {
                Some(Cause::ProbeFailed)
            }
            (Phase::HalfOpen { .. }, Probes::ConsecutiveSuccesses(_))
                if call.slow && self.settings.slow_rate.is_some() =>
            {
                Some(Cause::ProbeSlow)
            }
            (Phase::HalfOpen { .. }, Probes::Sample(_)) if trips_on_request => {
                Some(Cause::RetryAfter)
            }
            (Phase::HalfOpen { .. }, Probes::Sample(n)) if counts.calls >= n as usize => {
                self.rate_rule(counts)
            }
            _ => None,
        };
        if let Some(cause) = cause {
            self.open(at, counts, cause);
        } else if matches!(self.phase, Phase::HalfOpen { .. })
            && self.decisive_reports() >= self.settings.half_open().count()
        {
            self.recover(at);
        }
    }

    fn enter(&mut self, phase: Phase, at: Nanos, cause: Cause, wait: Option<Nanos>) {
        let from = self.state();
        self.begin(phase);
        let (to, attempt) = (self.state(), wait.map(|_| self.opened));
        if (from, to) != (State::Closed, State::Closed) {
            self.history.push(Change { from, to, cause, at, open_duration: wait, attempt });
        }
    }

    fn begin(&mut self, phase: Phase) {
        if let Phase::Closed { .. } = self.phase {
            self.last_closed = self.period;
        }
        self.phase = phase;
        self.period += 1;
        self.asked_until = 0;
        self.open.clear();
        self.last_success = None;
    }

    /// The probes have succeeded.
    fn recover(&mut self, at: Nanos) {
        let over = self.settings.ramp();
        if over == 0 {
            return self.close(at, None, Cause::ProbesSucceeded);
        }
        let ramp = Some(Ramp { began: at, over, asked: Vec::new(), admitted: 0 });
        self.begin(Phase::Closed { calls: Vec::new(), first: 0, forced: None, ramp });
    }

    fn close(&mut self, at: Nanos, forced: Option<Nanos>, cause: Cause) {
        if cause == Cause::Reset {
            self.opened = 0;
        }
        self.begin_closed_time(at, forced);
        let phase = Phase::Closed { calls: Vec::new(), first: 0, forced, ramp: None };
        self.enter(phase, at, cause, None);
    }

    fn begin_closed_time(&mut self, at: Nanos, forced: Option<Nanos>) {
        if self.settings.forget_after() == 0 {
            self.opened = 0;
        }
        // Nothing is counted between two equal times.
        self.closed_times = vec![at; if forced.is_some() { 2 } else { 1 }];
        self.late_success = 0;
        self.suspected_until = None;
    }

    fn open(&mut self, since: Nanos, shown: Counts, cause: Cause) {
        self.forget(since);
        let (wait, asked) = (self.next_wait(since), self.asked_until.saturating_sub(since));
        self.opened += 1;
        self.enter(Phase::Open { since, wait, asked, shown }, since, cause, Some(wait));
    }

    /// Forgets open periods if the circuit is closed and opens at `at`.
    fn forget(&mut self, at: Nanos) {
        if let Phase::Closed { ramp: None, .. } = self.phase {
            self.opened = self.remembered(at);
        }
    }

    /// Returns how many open periods a closed circuit remembers at this time.
    fn remembered(&self, at: Nanos) -> u32 {
        let counted = self.closed_times.chunks(2);
        let closed: Nanos = counted.map(|it| it.get(1).unwrap_or(&at).saturating_sub(it[0])).sum();
        match closed.checked_div(self.settings.forget_after()) {
            None => 0,
            Some(0) => self.opened,
            Some(n) => {
                let longest = self.settings.wait.longest_reached();
                let at_longest = (0..self.opened).find(|before| self.backoff(*before) >= longest);
                let remembered = at_longest.map_or(self.opened, |before| before + 1);
                remembered.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX))
            }
        }
    }

    fn half_open(&mut self, at: Nanos, cause: Cause) {
        let phase = Phase::HalfOpen { in_flight: Vec::new(), reported: Vec::new() };
        self.enter(phase, at, cause, None);
    }
}

// ---- reading --------------------------------------------------------------------------------

impl Model {
    pub(crate) fn grid_start(&self) -> Nanos {
        self.grid_start
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    pub(crate) fn look(&mut self) -> Look {
        self.find_overdue();
        let (counts, judged) = (self.counts(), self.judged());
        Look {
            state: self.state(),
            counts: Counts { hung: 0, ..counts },
            failure_rate: self.rate(judged.failures, judged.calls),
            slow_call_rate: self.rate(judged.slow_calls, judged.calls),
            retry_after: self.retry_after(),
            is_forced: self.forced_until().is_some(),
            forced_for: self.forced_until().filter(|end| *end != NEVER).map(|end| end - self.now),
            suspected_for: self.suspected_until.map(|until| until - self.now),
            admitted_share: self.admitted_share(),
            in_flight: self.in_flight(),
            enforcement: f64::from(self.settings.enforcement.unwrap_or(64)) / 64.0,
        }
    }

    /// Returns the last transitions, oldest first.
    pub(crate) fn history(&self) -> &[Change] {
        &self.history[self.history.len().saturating_sub(8)..]
    }

    /// Returns when the oldest probe in flight times out.
    pub(crate) fn first_deadline(&self) -> Option<Nanos> {
        let Phase::HalfOpen { in_flight, .. } = &self.phase else { return None };
        in_flight.iter().map(|probe| probe.admitted + probe.time).min()
    }

    /// Returns until when an operator holds the circuit, if one does.
    fn forced_until(&self) -> Option<Nanos> {
        match self.phase {
            Phase::Closed { forced, .. } => forced,
            Phase::ForcedOpen { until, .. } => Some(until),
            Phase::Open { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// Returns when the next call leaves the time window.
    pub(crate) fn next_expiry(&self) -> Option<Nanos> {
        let (Phase::Closed { calls, first, .. }, Window::Time { .. }) =
            (&self.phase, self.settings.window())
        else {
            return None;
        };
        let (step, buckets) = grid(&self.settings);
        let oldest = *self.in_window(&calls[*first..]).first()?;
        Some(((oldest.completed - self.grid_start) / step + buckets) * step + self.grid_start)
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { ramp: None, .. } => State::Closed,
            Phase::Open { .. } | Phase::ForcedOpen { .. } => State::Open,
            Phase::Closed { ramp: Some(_), .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    fn admitted_share(&self) -> f64 {
        match &self.phase {
            Phase::Closed { ramp: Some(ramp), .. } => {
                ramp.share(self.now) as f64 / ramp.whole() as f64
            }
            Phase::Closed { ramp: None, .. } => 1.0,
            _ => 0.0,
        }
    }

    /// Whether the circuit recovers and would admit a call.
    fn admits_while_recovering(&self, ramp: &Ramp) -> bool {
        ramp.is_over(self.now) || ramp.admits(&[&ramp.asked[..], &[self.now]].concat())
    }

    fn counts(&self) -> Counts {
        match &self.phase {
            Phase::Closed { calls, first, .. } => count(&self.in_window(&calls[*first..]), calls),
            Phase::HalfOpen { reported, .. } => count(reported, reported),
            Phase::Open { shown, .. } | Phase::ForcedOpen { shown, .. } => *shown,
        }
    }

    fn in_window(&self, calls: &[Call]) -> Vec<Call> {
        let calls = calls.iter().copied();
        match self.settings.window_in_use() {
            None => Vec::new(),
            Some(Window::Count(n)) => calls.rev().take(n as usize).collect(),
            Some(Window::Time { .. }) => {
                calls.filter(|call| self.is_recent(call.completed)).collect()
            }
        }
    }

    fn is_recent(&self, completed: Nanos) -> bool {
        let (step, buckets) = grid(&self.settings);
        let step_of = |time: Nanos| (time - self.grid_start) / step;
        step_of(self.now) - step_of(completed) < buckets
    }

    fn refusal(&self) -> Option<RejectReason> {
        match &self.phase {
            Phase::Closed { ramp: None, .. } => None,
            Phase::Closed { ramp: Some(ramp), .. } => {
                (!self.admits_while_recovering(ramp)).then_some(RejectReason::Recovering)
            }
            Phase::Open { .. } => Some(RejectReason::Open),
            Phase::ForcedOpen { .. } => Some(RejectReason::ForcedOpen),
            Phase::HalfOpen { .. } => (!self.has_free_slot()).then_some(RejectReason::HalfOpen),
        }
    }

    /// A probe that has reported keeps its slot. With consecutive successes, a failed one ends the period. If the
    /// rule has changed since, there may be too many reports, and then one more decides.
    fn has_free_slot(&self) -> bool {
        let Phase::HalfOpen { in_flight, .. } = &self.phase else { return false };
        let count = self.settings.half_open().count();
        in_flight.is_empty() || in_flight.len() + self.decisive_reports() < count
    }

    fn decisive_reports(&self) -> usize {
        let Phase::HalfOpen { reported, .. } = &self.phase else { return 0 };
        match self.settings.half_open() {
            Probes::Sample(_) => reported.len(),
            Probes::ConsecutiveSuccesses(_) => reported.iter().filter(|it| !it.failed).count(),
        }
    }

    fn retry_after(&self) -> Option<Nanos> {
        match &self.phase {
            Phase::Closed { ramp: None, .. } | Phase::ForcedOpen { until: NEVER, .. } => None,
            Phase::ForcedOpen { until, .. } => Some(until - self.now),
            Phase::Closed { ramp: Some(ramp), .. } if self.admits_while_recovering(ramp) => Some(0),
            Phase::Closed { ramp: Some(ramp), .. } => Some(ramp.retry_after(self.now)),
            Phase::Open { since, wait, .. } => Some((since + wait).saturating_sub(self.now)),
            Phase::HalfOpen { .. } if self.has_free_slot() => Some(0),
            Phase::HalfOpen { .. } => Some(self.next_wait(self.now)), // if the probes failed now
        }
    }

    fn trip_rule(&self, counts: Counts, trips_on_request: bool) -> Option<Cause> {
        let streak = counts.consecutive_failures;
        let limit = self.streak_limit();
        if limit.is_some_and(|n| streak >= n) {
            Some(Cause::ConsecutiveFailures { failures: streak as u64 })
        } else if let Some(n) = limit.filter(|n| streak + counts.hung >= *n) {
            Some(Cause::Hung { in_flight: counts.hung as u64, limit: n as u64 })
        } else if trips_on_request {
            Some(Cause::RetryAfter)
        } else if self.settings.failure_count.is_some_and(|n| counts.failures >= n as usize) {
            Some(Cause::FailureCount { failures: counts.failures as u64 })
        } else if counts.calls >= self.minimum_calls() {
            self.rate_rule(counts)
        } else {
            None
        }
    }

    /// Half of it while the circuit is suspected.
    fn streak_limit(&self) -> Option<usize> {
        let limit = self.settings.streak_threshold()? as usize;
        Some(if self.suspected_until.is_some() { limit.div_ceil(2) } else { limit })
    }

    /// A quarter of it while the circuit is suspected.
    fn minimum_calls(&self) -> usize {
        let minimum = self.settings.minimum_calls();
        if self.suspected_until.is_some() { minimum.div_ceil(4) } else { minimum }
    }

    fn rate_rule(&self, counts: Counts) -> Option<Cause> {
        let reaches = |part: usize, threshold: Option<f64>| {
            threshold.is_some_and(|threshold| part as f64 / counts.calls as f64 >= threshold)
        };
        let calls = counts.calls as u64;
        if reaches(counts.failures, self.settings.failure_rate_threshold()) {
            Some(Cause::FailureRate { failures: counts.failures as u64, calls })
        } else if reaches(counts.slow_calls, self.settings.slow_rate) {
            Some(Cause::SlowCallRate { slow_calls: counts.slow_calls as u64, calls })
        } else {
            None
        }
    }

    fn rate(&self, part: usize, calls: usize) -> Option<f64> {
        (calls >= self.minimum_calls()).then(|| part as f64 / calls as f64)
    }

    /// Returns the length of the next open period.
    fn next_wait(&self, since: Nanos) -> Nanos {
        self.backoff(self.opened).max(self.asked_until.saturating_sub(since))
    }

    /// Returns how long the open period lasts that follows `before` others.
    fn backoff(&self, before: u32) -> Nanos {
        let Wait::Growing { initial, max, factor } = self.settings.wait else {
            return self.settings.wait.longest();
        };
        let (initial, max) = (initial.as_nanos(), max.as_nanos());
        let mut wait = initial as f64;
        for _ in 0..before {
            wait *= factor.unwrap_or(2.0);
        }
        if before == 0 {
            initial
        } else if wait >= max as f64 {
            max
        } else {
            wait.round() as Nanos
        }
    }
}

/// Returns the length of a bucket of the time window and the number of buckets. A count window has no buckets,
/// and the result means nothing.
pub(crate) fn grid(settings: &Settings) -> (Nanos, Nanos) {
    match settings.window() {
        Window::Count(_) => (1, 1),
        Window::Time { length, buckets } => {
            let buckets = Nanos::from(buckets.unwrap_or(10));
            (length.as_nanos().div_ceil(buckets), buckets)
        }
    }
}

/// The rates are counted in the window. A failure streak may be longer than the window.
fn count(window: &[Call], all: &[Call]) -> Counts {
    Counts {
        hung: 0,
        calls: window.len(),
        failures: window.iter().filter(|call| call.failed).count(),
        slow_calls: window.iter().filter(|call| call.slow).count(),
        consecutive_failures: all
            .iter()
            .rev()
            .filter(|call| !call.soft)
            .take_while(|call| call.failed)
            .count(),
    }
}
