//! Replays: the same circuit in virtual time.

#![cfg(feature = "replay")]

mod assertions;
mod csv;
mod draw;
mod equivalence;
mod hints;
mod incidents;
mod naive;
mod recorder;
mod report;
mod scenarios;

use std::time::Duration;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngAlgorithm;

/// Runs `by_default` cases, or proportionally more or fewer if `PROPTEST_CASES` is set.
fn cases(by_default: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: (default.cases * by_default / 256).max(1),
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: None,
        ..default
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
