//! Recorders other than the exporter.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_util::debugging::DebuggingRecorder;

use crate::*;

#[test]
fn every_metric_has_a_description_and_no_unit_that_an_exporter_would_append_to_its_name() {
    let recorder = DebuggingRecorder::new();
    let snapshot = metrics::with_local_recorder(&recorder, || {
        let breaker = sensitive().call_duration_histogram().build().unwrap();
        permit(&breaker).failure();
        breaker.force_open();
        let _ = breaker.snapshot();
        recorder.snapshotter().snapshot()
    });
    for (key, unit, text, _) in snapshot.into_vec() {
        assert_eq!(unit, None, "{key:?}");
        assert!(text.is_some_and(|text| !text.is_empty()), "{key:?}");
    }
}

#[test]
fn a_breaker_keeps_the_recorder_that_it_has_found() {
    let (first, second) = (DebuggingRecorder::new(), DebuggingRecorder::new());
    let breaker = metrics::with_local_recorder(&first, || sensitive().build().unwrap());
    metrics::with_local_recorder(&second, || {
        permit(&breaker).failure();
        let _ = breaker.snapshot();
    });
    assert!(second.snapshotter().snapshot().into_vec().is_empty());
    assert!(!first.snapshotter().snapshot().into_vec().is_empty());
}

/// A recorder whose counters panic.
struct Panics;

impl CounterFn for Panics {
    fn increment(&self, _: u64) {
        std::panic::resume_unwind(Box::new("a recorder"));
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Panics))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        DebuggingRecorder::new().register_gauge(key, metadata)
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_recorder_that_panics_harms_no_call() {
    let breaker = metrics::with_local_recorder(&Panics, || sensitive().build().unwrap());
    permit(&breaker).success();
    permit(&breaker).failure();
    assert_eq!(breaker.state(), tower_breaker::State::Open);
    breaker.try_acquire().unwrap_err();
    breaker.reset();
    permit(&breaker).success();
}

/// A recorder whose counters panic when they are dropped. It counts the drops.
#[derive(Clone, Default)]
struct PanicsWhenDropped(Arc<AtomicUsize>);

struct Handle(Arc<AtomicUsize>);

impl CounterFn for Handle {
    fn increment(&self, _: u64) {}

    fn absolute(&self, _: u64) {}
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        // Only the first one panics. The handles are dropped together, and a second panic would abort.
        if self.0.load(Ordering::Relaxed) == 1 {
            std::panic::resume_unwind(Box::new("a handle"));
        }
    }
}

impl Recorder for PanicsWhenDropped {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Handle(self.0.clone())))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        DebuggingRecorder::new().register_gauge(key, metadata)
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_recorder_whose_handle_panics_when_it_is_dropped_fails_nobody_who_drops_a_breaker() {
    let recorder = PanicsWhenDropped::default();
    let breaker = metrics::with_local_recorder(&recorder, || sensitive().build().unwrap());
    breaker.trip();
    drop(breaker);
    assert!(recorder.0.load(Ordering::Relaxed) > 1);
}
