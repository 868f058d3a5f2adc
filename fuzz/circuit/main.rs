//! Any settings and any steps: the circuit and the naive model of the tests must agree after every
//! step, no half-open period may admit too many probes, and the circuit must not be wedged.
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

use libfuzzer_sys::fuzz_target;

use crate::run::{Run, admits_no_probe_too_many, agrees, is_not_wedged, with_paused_clock};

fuzz_target!(|run: Run| {
    let checked = with_paused_clock(agrees(&run))
        .and_then(|()| with_paused_clock(admits_no_probe_too_many(&run)))
        .and_then(|()| with_paused_clock(is_not_wedged(&run)));
    if let Err(problem) = checked {
        panic!("{problem}\n{run:?}");
    }
});
