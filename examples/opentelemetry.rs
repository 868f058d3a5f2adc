//! Exports the metrics of a breaker through OpenTelemetry.
//!
//! ```sh
//! cargo run --example opentelemetry --features metrics
//! ```
//!
//! This takes a recorder that forwards everything to OpenTelemetry's metrics API. The example uses the one of the
//! crate `metrics-opentelemetry`. It exports to memory. A real program would use the OTLP exporter.

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use tower::BoxError;
use tower_breaker::CircuitBreaker;

use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};

fn main() -> Result<(), BoxError> {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
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
    provider.force_flush()?;
    let exported = values(&exporter)?;
    for (series, value) in exported.iter().filter(|(_, value)| *value != 0.0) {
        println!("{series} {value}");
    }
    for wanted in [
        ("circuit_breaker_state{breaker=payments,state=open}", 1.0),
        ("circuit_breaker_state{breaker=payments,state=closed}", 0.0),
        ("circuit_breaker_calls_total{breaker=payments,outcome=failure}", 3.0),
        ("circuit_breaker_rejections_total{breaker=payments,reason=open}", 1.0),
    ] {
        let is_there = exported.iter().any(|(series, value)| (&**series, *value) == wanted);
        assert!(is_there, "{wanted:?} was not exported");
    }
    Ok(())
}

/// Returns everything that was exported, as `name{labels}` and the value.
fn values(exporter: &InMemoryMetricExporter) -> Result<Vec<(String, f64)>, BoxError> {
    let mut values = Vec::new();
    for resource in exporter.get_finished_metrics()? {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            let mut add = |labels: Vec<String>, value| {
                values.push((format!("{}{{{}}}", metric.name(), labels.join(",")), value));
            };
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        add(labels(point.attributes()), point.value() as f64);
                    }
                }
                AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                    for point in gauge.data_points() {
                        add(labels(point.attributes()), point.value());
                    }
                }
                _ => {}
            }
        }
    }
    Ok(values)
}

fn labels<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> Vec<String> {
    let mut labels: Vec<_> = attributes.map(|kv| format!("{}={}", kv.key, kv.value)).collect();
    labels.sort();
    labels
}
