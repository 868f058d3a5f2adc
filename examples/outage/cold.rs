//! A backend that has just started: its caches are empty, and it falls over under the full load.

use std::time::{Duration, Instant};

/// The share of the full load that the backend can take at first.
const COLD_SHARE: f64 = 0.45;
/// The load is the number of requests in this time. If it were shorter, the calls that arrive together on a
/// busy machine would count as overload.
const WINDOW: Duration = Duration::from_millis(400);

#[derive(Default)]
pub(crate) struct Cold {
    /// The load that the backend can take at first, in requests per second.
    capacity: f64,
    /// How many requests it has answered since it started or fell over. Each of them fills the caches, so that
    /// the backend can take one more request per second.
    answered: u32,
    arrivals: Vec<Instant>,
    overloaded: bool,
    falls: u32,
}

impl Cold {
    /// A backend that has just started. The full load is `rate` requests per second.
    pub(crate) fn new(rate: u32) -> Self {
        Self { capacity: f64::from(rate) * COLD_SHARE, ..Self::default() }
    }

    /// Takes a request. Returns whether the backend can answer it.
    pub(crate) fn answers(&mut self) -> bool {
        let now = Instant::now();
        self.arrivals.push(now);
        self.arrivals.retain(|arrival| now - *arrival < WINDOW);
        let load = self.arrivals.len() as f64 / WINDOW.as_secs_f64();

        let falls = load > self.capacity + f64::from(self.answered);
        if falls {
            // It loses its caches. So it fails every request until the load has gone.
            self.answered = 0;
            self.falls += u32::from(!self.overloaded);
        } else {
            self.answered += 1;
        }
        self.overloaded = falls;
        !falls
    }

    /// Returns how often the backend fell over.
    pub(crate) fn falls(&self) -> u32 {
        self.falls
    }
}
