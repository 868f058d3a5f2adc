//! How long calls take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How often a call took about so long: twice as long in each bucket as in the one before, beginning at 1 ns, and
/// each of them in 8 parts.
#[derive(Clone)]
pub struct Times(Vec<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(vec![0; 64 * 8])
    }
}

impl Times {
    pub fn of(
        keys: impl Iterator<Item = u32>,
        is_over: &AtomicBool,
        mut call: impl FnMut(u32),
    ) -> Self {
        let mut times = Self::default();
        let mut before = Instant::now();
        for key in keys {
            call(key);
            let now = Instant::now();
            let nanos = (now - before).as_nanos().max(8) as u64;
            before = now;
            let power = nanos.ilog2();
            times.0[(power * 8 + (nanos >> (power - 3) & 7) as u32) as usize] += 1;
            if is_over.load(Ordering::Relaxed) {
                break;
            }
        }
        times
    }

    pub fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own += other);
    }

    pub fn calls(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns how many microseconds a call takes at least that is among the slowest of 10,000.
    pub fn slowest(&self) -> f64 {
        let mut left = self.calls() / 10_000;
        let bucket = (0..self.0.len()).rev().find(|at| {
            let is_in = self.0[*at] > left;
            left = left.saturating_sub(self.0[*at]);
            is_in
        });
        Self::end(bucket.unwrap_or(0))
    }

    /// How many microseconds the longest call takes at most.
    pub fn longest(&self) -> f64 {
        Self::end(self.0.iter().rposition(|calls| *calls > 0).unwrap_or(0))
    }

    /// The end of a bucket in microseconds.
    fn end(bucket: usize) -> f64 {
        let bucket = bucket as u32;
        let (power, part) = (bucket / 8, bucket % 8);
        2_f64.powi(power as i32) * (1.0 + f64::from(part + 1) / 8.0) / 1e3
    }
}
