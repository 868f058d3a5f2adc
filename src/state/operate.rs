//! What operators do to the machine.

use super::{Cause, Machine, Phase, State, Tally, Tick};

impl Machine {
    pub(crate) fn trip(&mut self, now: Tick) {
        self.advance(now);
        if !self.forced && self.state() != State::Open {
            self.enter_open(self.now, 0, self.tally(self.now), Cause::Trip);
        }
    }

    pub(crate) fn reset(&mut self, now: Tick) {
        self.advance(now);
        match &mut self.phase {
            Phase::Open { tally, .. } if self.forced => {
                *tally = Tally::default();
                self.opened = 0;
            }
            _ => self.enter_closed(Cause::Reset),
        }
    }

    pub(crate) fn force_open(&mut self, now: Tick) {
        self.advance(now);
        if !(self.forced && self.state() == State::Open) {
            let tally = self.tally(self.now);
            self.forced = true;
            self.enter(Phase::Open { until: self.now, tally }, self.now, Cause::ForceOpen, None);
        }
    }

    pub(crate) fn force_closed(&mut self, now: Tick) {
        self.advance(now);
        self.forced = true;
        if self.state() != State::Closed {
            self.enter_closed(Cause::ForceClosed);
        }
    }

    pub(crate) fn resume(&mut self, now: Tick) {
        self.advance(now);
        if self.forced {
            self.forced = false;
            if self.state() == State::Open {
                self.enter_half_open(Cause::Resume);
            }
        }
    }
}
