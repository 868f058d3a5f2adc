//! The real circuit and a naive reading of its specification, side by side: after every step of
//! random runs under random settings both must have admitted, counted and decided the same.

#[path = "model/both.rs"]
mod both;
#[path = "model/draw.rs"]
mod draw;
#[path = "model/ops.rs"]
mod ops;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/run.rs"]
mod run;
#[path = "model/settings.rs"]
mod settings;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError};

use crate::draw::run;
use crate::run::{admits_no_probe_too_many, agrees, is_not_wedged, with_paused_clock};

/// A multiple of the default, so that PROPTEST_CASES still scales it. With the default generator of
/// random numbers, drawing the runs would take most of the time.
fn cases(times: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: times * default.cases,
        max_shrink_iters: 100_000,
        rng_algorithm: RngAlgorithm::XorShift,
        ..default
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn the_circuit_agrees_with_the_model_at_every_step(run in run()) {
        with_paused_clock(agrees(&run)).map_err(TestCaseError::fail)?;
    }
}

// What holds whatever the model says.
proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn probes_are_never_too_many_in_a_half_open_period(run in run()) {
        with_paused_clock(admits_no_probe_too_many(&run)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_circuit_is_never_wedged(run in run()) {
        with_paused_clock(is_not_wedged(&run)).map_err(TestCaseError::fail)?;
    }
}
