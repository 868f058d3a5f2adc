//! The metrics have the same names, labels, types and values, whichever exporter serves them.

use std::collections::BTreeMap;

use metrics::Recorder;
use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::TextEncoder;
use tokio::time::advance;
use tower_breaker::SlidingWindow;

use crate::*;

/// Every series with its type and value, as the text format shows them.
type Served = BTreeMap<String, String>;

/// Does to a breaker with this recorder whatever a breaker can meet.
async fn outage(recorder: &dyn Recorder) -> CircuitBreaker {
    let breaker = metrics::with_local_recorder(recorder, || {
        sensitive()
            .failure_rate_threshold(0.5)
            .slow_call_duration_threshold(SECOND)
            .slow_call_rate_threshold(0.9)
            .sliding_window(SlidingWindow::count(4))
            .build()
            .unwrap()
    });
    let slow = permit(&breaker);
    advance(SECOND * 2).await;
    slow.success();
    permit(&breaker).failure();
    breaker.try_acquire().unwrap_err();
    advance(SECOND).await;
    metrics::with_local_recorder(recorder, || {
        permit(&breaker).failure();
        breaker.force_open();
        breaker.resume();
        permit(&breaker).success();
        drop(permit(&breaker));
        breaker.force_closed();
        let _ = breaker.snapshot();
    });
    breaker
}

fn read(text: &str) -> Served {
    let mut types = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        types.insert(name, kind);
    }
    let mut served = Served::new();
    for mut series in Scrape::parse(text).0 {
        series.labels.remove("otel_scope_name"); // the same for all
        let kind = types[&*series.name];
        let is_time = series.name.contains("timestamp");
        let value = if is_time { "a time".to_owned() } else { series.value.to_string() };
        served.insert(format!("{}{:?}", series.name, series.labels), format!("{kind} {value}"));
    }
    served
}

async fn through_prometheus(builder: PrometheusBuilder) -> Served {
    let recorder = builder.build_recorder();
    let _breaker = outage(&recorder).await;
    read(&recorder.handle().render())
}

async fn through_opentelemetry() -> Served {
    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .build()
        .unwrap();
    // This exporter appends `_total` to the names of all counters, whether they have it already or not.
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(|instrument: &Instrument| {
            let name = instrument.name().strip_suffix("_total")?.to_owned();
            name.starts_with("circuit_breaker_")
                .then(|| Stream::builder().with_name(name))?
                .build()
                .ok()
        })
        .build();
    let recorder =
        OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(provider.meter("tower-breaker")));
    let _breaker = outage(&recorder).await;
    read(&TextEncoder::new().encode_to_string(&registry.gather()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn every_exporter_serves_the_same_names_labels_types_and_values() {
    let _alone = Exporter::new();
    let served = through_prometheus(PrometheusBuilder::new()).await;
    assert!(served.len() > 20, "{served:#?}");
    for (series, value) in &served {
        let is_counter = value.starts_with("counter ");
        assert_eq!(series.split('{').next().unwrap().ends_with("_total"), is_counter, "{series}");
    }

    let recommended = PrometheusBuilder::new().with_recommended_naming(true);
    assert_eq!(through_prometheus(recommended).await, served);
    assert_eq!(through_opentelemetry().await, served);
}
