//! Any settings and any steps. The circuit and the naive model of the tests must agree after every step, no
//! half-open period may admit too many probes, and the circuit must not get stuck.
#![no_main]

#[path = "../../tests/model/both.rs"]
mod both;
mod draw;
#[path = "../../tests/model/ops.rs"]
mod ops;
#[path = "../../tests/model/reference.rs"]
mod reference;
#[path = "../../tests/model/run.rs"]
mod run;
#[path = "../../tests/model/settings.rs"]
mod settings;
#[path = "../../tests/model/story.rs"]
mod story;

use libfuzzer_sys::fuzz_target;

use crate::run::{Run, admits_no_probe_too_many, agrees, check, is_not_stuck};

fuzz_target!(|run: Run| {
    let checked = check(&run, agrees)
        .and_then(|()| check(&run, admits_no_probe_too_many))
        .and_then(|()| check(&run, is_not_stuck));
    if let Err(problem) = checked {
        panic!("{problem}\n{run:?}");
    }
});
