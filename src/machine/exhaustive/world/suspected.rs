//! Whether a circuit is suspected for as long as it should be.

use super::super::super::*;
use super::super::steps::{SUSPICION, Step};
use super::World;

impl World {
    /// Checks that the circuit goes by stricter rules as long as it is suspected and no longer, and that this ends in
    /// time and when the circuit closes.
    pub(super) fn check_suspicion(&mut self) -> Result<(), String> {
        let View { rules, settings, suspected_for, .. } = self.machine.view(self.now);
        let expected = suspected_for.map_or(*settings, |_| settings.when_suspected());
        let has_just_begun =
            matches!(self.history.last(), Some(Step::Operate(OperatorAction::Suspect { .. })));
        let has_closed = self.changes.iter().any(|change| change.to == State::Closed);
        let is_over = has_closed && !has_just_begun;
        let is_right = suspected_for.is_none_or(|time| time <= SUSPICION && !is_over);
        if *rules == expected && is_right {
            return Ok(());
        }
        Err(format!("suspected for {suspected_for:?}: {:?}", self.history))
    }
}
