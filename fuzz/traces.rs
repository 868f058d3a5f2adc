//! Reads any bytes as a trace in CSV. Nothing panics. What is accepted reads back as equal after it has been written, and
//! can be replayed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_breaker::CircuitBreaker;
use tower_breaker::replay::{self, Trace};

fuzz_target!(|bytes: &[u8]| {
    let trace = match Trace::read_csv(bytes) {
        Ok(trace) => trace,
        Err(error) => return assert!(error.line() > 0 && !error.to_string().is_empty()),
    };
    let mut written = Vec::new();
    trace.write_csv(&mut written).expect("a vector can be written");
    let read = Trace::read_csv(&written[..]).expect("what was written can be read");
    assert_eq!(read.calls(), trace.calls());

    let settings =
        CircuitBreaker::builder("fuzz").consecutive_failures(2).failure_rate_threshold(0.3);
    let report = replay::run(&settings, &trace).expect("the settings are valid");
    assert_eq!(report.sent() + report.shed(), trace.calls().len() as u64);
    assert!(!report.to_string().is_empty());
});
