//! Serves the metrics of a breaker to Prometheus through OpenTelemetry, with the same names as without it.
//!
//! ```sh
//! cargo run --example opentelemetry --features metrics
//! ```
//!
//! This takes a recorder that forwards everything to OpenTelemetry's metrics API. The example uses the one of the
//! crate `metrics-opentelemetry`.

use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};
use tower::BoxError;
use tower_breaker::CircuitBreaker;

fn main() -> Result<(), BoxError> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
    let provider =
        SdkMeterProvider::builder().with_reader(exporter).with_view(without_total).build();
    let meter = provider.meter("tower-breaker");
    metrics::set_global_recorder(OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(meter)))
        .map_err(|_| "there is a recorder already")?;

    let breaker = CircuitBreaker::builder("payments").consecutive_failures(3).build()?;
    breaker.try_acquire()?.success();
    for _ in 0..3 {
        breaker.try_acquire()?.failure();
    }
    breaker.try_acquire().unwrap_err();

    tower_breaker::metrics::refresh();
    let served = TextEncoder::new().encode_to_string(&registry.gather())?;
    println!("{served}");
    for (name, label, value) in [
        ("circuit_breaker_state{", "state=\"open\"", " 1"),
        ("circuit_breaker_calls_total{", "outcome=\"failure\"", " 3"),
        ("circuit_breaker_rejections_total{", "reason=\"open\"", " 1"),
    ] {
        let is_served = served
            .lines()
            .any(|line| line.starts_with(name) && line.contains(label) && line.ends_with(value));
        assert!(is_served, "{name} with {label} was not served");
    }
    Ok(())
}

/// The Prometheus exporter appends `_total` to the name of every counter, whether it ends so already or not.
fn without_total(instrument: &Instrument) -> Option<Stream> {
    let name = instrument.name().strip_suffix("_total")?;
    if !name.starts_with("circuit_breaker_") {
        return None;
    }
    Stream::builder().with_name(name.to_owned()).build().ok()
}
