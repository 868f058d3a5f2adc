//! [`OpenSince`]: since when one of the circuits has not been closed.

use ::metrics::Gauge;

use super::late::Late;
use super::names::{OPEN_SINCE, Registrar};
use super::reading::unix_seconds_in;
use crate::circuit::sync::{Mutex, lock};

pub(super) struct OpenSince {
    gauge: Late<Gauge>,
    not_closed: Mutex<NotClosed>,
}

struct NotClosed {
    circuits: i64,
    /// When the first of them left the closed state, as a Unix timestamp, or zero if there is none.
    since: f64,
}

impl Default for OpenSince {
    fn default() -> Self {
        Self {
            gauge: Late::new(OPEN_SINCE, &[]),
            not_closed: Mutex::new(NotClosed { circuits: 0, since: 0.0 }),
        }
    }
}

impl OpenSince {
    /// Adds circuits that are not closed, or takes them away.
    pub(super) fn add(&self, circuits: i64, to: &Registrar) {
        if circuits == 0 {
            return;
        }
        let since = {
            let mut not_closed = lock(&self.not_closed);
            not_closed.circuits += circuits;
            match not_closed.circuits {
                1.. if not_closed.since == 0.0 => not_closed.since = unix_seconds_in(0),
                1.. => {}
                _ => not_closed.since = 0.0,
            }
            not_closed.since
        };
        self.gauge.set(since, to);
    }

    /// Shows the value again, because threads that set it at the same time may have done so in any order.
    pub(super) fn show(&self, to: &Registrar) {
        let NotClosed { since, .. } = *lock(&self.not_closed);
        if since > 0.0 {
            self.gauge.set(since, to);
        } else {
            self.gauge.set_if_begun(0.0);
        }
    }
}
