//! What calls in flight mean for the trip rules.

use super::calls_in_flight::{CallsInFlight, Overdue};
use super::counts::Counts;
use super::deadlines::Deadlines;
use super::time::{NEVER, Tick};
use super::{Admission, Cause, Machine, Phase, Rules, Tally, Ticket};

/// What the calls in flight add to what was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// To the window.
    pub(super) counts: Counts,
    /// To the failure streak.
    pub(super) streak: u64,
}

/// What becomes of the bucket in which calls are counted without the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextBucket {
    Same,
    Begin {
        ticket: Ticket,
        bucket: u64,
    },
    /// No call may be counted any more.
    Close {
        ticket: Ticket,
        bucket: u64,
    },
}

/// How many calls are in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) calls: u64,
    pub(crate) slow: u64,
    pub(crate) hung: u64,
}

impl Machine {
    /// Begins to watch calls in flight, if the rules ask for it and do so in another way than before. Calls that are in
    /// flight already are not watched, so the new grid begins after those of the last one: just after `now`.
    pub(super) fn watch_calls_in_flight(&mut self, now: Tick) {
        let deadlines = Deadlines::of(&self.rules);
        let before = self.calls_in_flight.as_ref();
        if before.map(|calls| calls.deadlines) == deadlines {
            return;
        }
        let start = if self.last_grid == 0 { now } else { now.max(self.last_grid) + 1 };
        self.calls_in_flight = deadlines.map(|deadlines| {
            self.last_grid = start;
            Box::new(CallsInFlight::new(deadlines, start))
        });
    }

    /// Returns the grid by which calls in flight are counted, and when it begins.
    pub(crate) fn deadlines(&self) -> Option<(Deadlines, Tick)> {
        self.calls_in_flight.as_ref().map(|calls| (calls.deadlines, calls.start))
    }

    /// Finds the calls that are overdue at `now`. This has to be done before anything else. `last_success` is that of
    /// the successes that were settled without the lock, and `unlocked` returns how many calls of a bucket are in
    /// flight that have begun without it, and closes the bucket.
    pub(crate) fn find_overdue_calls(
        &mut self,
        now: Tick,
        last_success: Tick,
        unlocked: impl FnMut(u64) -> i64,
    ) {
        if let Some(calls) = &mut self.calls_in_flight {
            calls.note_success(last_success);
            calls.advance(now, unlocked);
            self.forget_spent_calls();
        }
    }

    /// Keeps the list short: forgets the age of the oldest calls that cannot count any more.
    fn forget_spent_calls(&mut self) {
        let Some(calls) = &self.calls_in_flight else { return };
        let spent = calls.overdue.iter().take_while(|it| self.is_spent(calls, it)).count();
        if let (Some(calls), 1..) = (&mut self.calls_in_flight, spent) {
            calls.spent += calls.overdue.drain(..spent).map(|it| it.calls).sum::<u64>();
        }
    }

    /// Forgets the age of all calls that do not count by these rules, because they are not to count by others.
    pub(super) fn forget_all_spent_calls(&mut self) {
        let Some(calls) = &self.calls_in_flight else { return };
        let is_spent: Vec<bool> = calls.overdue.iter().map(|it| self.is_spent(calls, it)).collect();
        if let Some(calls) = &mut self.calls_in_flight {
            let mut is_spent = is_spent.into_iter();
            let spent = &mut calls.spent;
            calls.overdue.retain(|it| {
                let is_spent = is_spent.next().unwrap_or(false);
                *spent += if is_spent { it.calls } else { 0 };
                !is_spent
            });
        }
    }

    fn is_spent(&self, calls: &CallsInFlight, it: &Overdue) -> bool {
        let is_due = |step: Option<u64>, found: Option<u64>| step.is_none() || found.is_some();
        is_due(calls.deadlines.slow_at(it.bucket), it.slow)
            && is_due(calls.deadlines.hung_at(it.bucket), it.hung)
            && self.weight_of(calls, it, self.now) == Weight::default()
    }

    /// Notes how many calls of each bucket are in flight that have begun without the lock.
    pub(crate) fn note_unlocked_calls(&mut self, unlocked: impl Fn(u64) -> i64) {
        for young in self.calls_in_flight.iter_mut().flat_map(|calls| &mut calls.young) {
            young.unlocked = unlocked(young.bucket);
        }
    }

    /// Says what becomes of the bucket in which calls that begin without the lock are counted. There is none while
    /// overdue calls weigh, so that every call asks the machine.
    pub(crate) fn next_bucket(&mut self) -> NextBucket {
        let (Some(ticket), Some(calls)) = (self.closed_ticket(), &self.calls_in_flight) else {
            return NextBucket::Same;
        };
        let (begun, step) = (calls.begun, calls.step);
        // While an operator holds the circuit, nothing trips it.
        let weighs =
            self.forced != Some(NEVER) && self.overdue_weight(self.now) != Weight::default();
        let Some(calls) = &mut self.calls_in_flight else { return NextBucket::Same };
        match begun {
            Some(bucket) if weighs => {
                calls.begun = None;
                NextBucket::Close { ticket, bucket }
            }
            None if weighs => NextBucket::Same,
            Some(begun) if begun == step => NextBucket::Same,
            _ => {
                calls.begun = Some(step);
                calls.young(step);
                NextBucket::Begin { ticket, bucket: step }
            }
        }
    }

    /// A bucket was closed in which so many calls are in flight that have begun without the lock.
    pub(crate) fn take_unlocked_calls(&mut self, bucket: u64, calls: i64) {
        if let Some(all) = &mut self.calls_in_flight {
            all.young(bucket).calls += calls;
        }
    }

    /// A call begins with the lock held. Returns when it began: not before the grid does.
    pub(crate) fn begin_call(&mut self, admission: Admission, now: Tick) -> Tick {
        match (&mut self.calls_in_flight, admission) {
            (Some(calls), Admission::Closed(_) | Admission::Recovering(_)) => {
                let began = now.max(calls.start);
                calls.begin(began);
                began
            }
            _ => now,
        }
    }

    /// A call ends or has been answered, and ages no further.
    pub(crate) fn leave(&mut self, ticket: Ticket, began: Tick) {
        if self.closed_ticket() == Some(ticket) {
            if let Some(calls) = &mut self.calls_in_flight {
                calls.end(began);
            }
        }
    }

    /// Returns the trip rule that holds while calls are overdue, if any.
    pub(super) fn overdue_cause(&self) -> Option<Cause> {
        if self.is_forced() || self.overdue_weight(self.now) == Weight::default() {
            return None;
        }
        self.rules.judge(self.judged(self.now), false)
    }

    /// Returns when the next calls may become overdue.
    pub(super) fn overdue_step_end(&self) -> Tick {
        let calls = self.calls_in_flight.as_ref();
        calls.map_or(NEVER, |calls| calls.deadlines.time(calls.start, calls.step + 1))
    }

    /// Returns what the rules judge: what was recorded, and the calls that are overdue.
    pub(crate) fn judged(&self, now: Tick) -> Tally {
        let tally = self.tally(now);
        if self.calls_in_flight.is_none() { tally } else { self.with_overdue(tally, now) }
    }

    #[cold]
    fn with_overdue(&self, mut tally: Tally, now: Tick) -> Tally {
        let Weight { counts, streak } = self.overdue_weight(now);
        if (counts, streak) != (Counts::default(), 0) {
            tally.counts.add(counts);
            (tally.hung, tally.in_flight) = (streak, counts.calls);
        }
        tally
    }

    pub(super) fn overdue_weight(&self, now: Tick) -> Weight {
        let mut sum = Weight::default();
        if let (Some(calls), Phase::Closed { .. }) = (&self.calls_in_flight, self.phase) {
            for it in &calls.overdue {
                let Weight { counts, streak } = self.weight_of(calls, it, now);
                sum.counts.add(counts);
                sum.streak += streak;
            }
        }
        sum
    }

    /// A call weighs as if it had ended at its deadline: in a time window until this moment leaves it, and in a count
    /// window until it is full of later results.
    fn weight_of(&self, calls: &CallsInFlight, it: &Overdue, now: Tick) -> Weight {
        let Overdue { bucket, calls: n, slow, hung } = *it;
        let CallsInFlight { deadlines, start, recorded, window_began, last_success, .. } = calls;
        let time = |step: Option<u64>| deadlines.time(*start, step.unwrap_or(u64::MAX));
        let is_in_window = |found: Option<u64>, step| {
            let found = found.filter(|found| found >= window_began).zip(self.window.as_ref());
            found.is_some_and(|(found, window)| window.holds(time(step), recorded - found, now))
        };
        let is_hung = is_in_window(hung, deadlines.hung_at(bucket));
        let is_slow = hung.is_none() && is_in_window(slow, deadlines.slow_at(bucket));
        let counts = Counts {
            calls: if is_hung || is_slow { n } else { 0 },
            failures: if is_hung { n } else { 0 },
            slow: if is_slow || is_hung && slow.is_some() { n } else { 0 },
        };
        let hung_at = time(deadlines.hung_at(bucket));
        let continues_streak = hung.is_some()
            && self.rules.consecutive_failures.is_some()
            && last_success
                .is_none_or(|success| deadlines.end_of_quarter(*start, success) < hung_at);
        Weight { counts, streak: if continues_streak { n } else { 0 } }
    }

    /// Returns how many calls are in flight, or `None` if they are not watched.
    pub(super) fn in_flight(&self) -> Option<InFlight> {
        let CallsInFlight { deadlines, young, overdue, spent, .. } =
            self.calls_in_flight.as_deref()?;
        let young: i64 = young.iter().map(|it| it.calls + it.unlocked).sum();
        let sum = |is: fn(&Overdue) -> bool| -> u64 {
            overdue.iter().filter(|it| is(it)).map(|it| it.calls).sum()
        };
        let spent_if = |is_set: bool| if is_set { *spent } else { 0 };
        Some(InFlight {
            calls: u64::try_from(young).unwrap_or(0) + sum(|_| true) + spent,
            slow: sum(|it| it.slow.is_some()) + spent_if(deadlines.slow_at(0).is_some()),
            hung: sum(|it| it.hung.is_some()) + spent_if(deadlines.hung_at(0).is_some()),
        })
    }
}

impl Rules {
    /// Whether calls in flight are watched.
    pub(crate) fn watches_calls_in_flight(&self) -> bool {
        self.hung_after.is_some() || self.slow_in_flight && self.slow_call_duration.is_some()
    }
}
