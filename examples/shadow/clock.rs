//! The clock of the example, which is faster than that of the machine.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) const SPEED: u32 = 12;

/// Returns how long something takes in the example that takes `time` in the life of the service.
pub(crate) fn shortened(time: Duration) -> Duration {
    time / SPEED
}

/// Returns how long something takes in the life of the service that takes `time` in the example.
pub(crate) fn lengthened(time: Duration) -> Duration {
    time * SPEED
}

#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> At {
        At(lengthened(self.0.elapsed()))
    }
}

/// A time in the life of the service. `Display` prints minutes and seconds.
#[derive(Clone, Copy)]
pub(crate) struct At(Duration);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        f.pad(&format!("{}:{:02}", seconds / 60, seconds % 60))
    }
}
