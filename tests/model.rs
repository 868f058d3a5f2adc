//! The circuit and a naive model of its specification, side by side. The tests take both through random runs
//! with random settings. After every step, both must have admitted, counted and decided the same.

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
#[path = "model/story.rs"]
mod story;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestCaseError};

use crate::draw::run;
use crate::run::{admits_no_probe_too_many, agrees, check, is_not_stuck};

/// Runs `by_default` cases, or proportionally more or fewer if `PROPTEST_CASES` is set. The default generator
/// of random numbers is not used, because drawing the runs would then take most of the time.
fn cases(by_default: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: (default.cases * by_default / 256).max(1),
        max_shrink_iters: 100_000,
        rng_algorithm: RngAlgorithm::XorShift,
        // In `model.regressions`, next to this file. These cases run before all others.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..default
    }
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn the_circuit_agrees_with_the_model_at_every_step(run in run(200)) {
        check(&run, agrees).map_err(TestCaseError::fail)?;
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn the_circuit_agrees_with_the_model_through_thousands_of_steps(run in run(8000)) {
        check(&run, agrees).map_err(TestCaseError::fail)?;
    }
}

// These must hold whatever the model says.
proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn a_half_open_period_never_admits_too_many_probes(run in run(200)) {
        check(&run, admits_no_probe_too_many).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_circuit_never_gets_stuck(run in run(200)) {
        check(&run, is_not_stuck).map_err(TestCaseError::fail)?;
    }
}
