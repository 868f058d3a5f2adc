//! The Grafana dashboard and the documented alert rules name only metrics, labels and values that exist. They are
//! compared with what the real exporter serves over HTTP after a small outage.
#![cfg(feature = "metrics")]

#[path = "../metrics/http.rs"]
mod http;
mod promql;
#[path = "../metrics/scrape.rs"]
mod scrape;

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tower_breaker::{CircuitBreaker, SlidingWindow};

use crate::promql::check;
use crate::scrape::Scrape;

const DASHBOARD: &str = include_str!("../../dashboards/circuit_breakers.json");
const OPERATORS: &str = include_str!("../../src/docs/operators.md");

/// Returns what the exporter serves after a small outage.
async fn after_an_outage() -> Scrape {
    let recorder = PrometheusBuilder::new().build_recorder();
    let addr = http::serve(recorder.handle()).await;
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let breaker = CircuitBreaker::builder("payments")
        .consecutive_failures(100)
        .failure_rate_threshold(0.5)
        .slow_call_duration_threshold(Duration::from_nanos(1))
        .sliding_window(SlidingWindow::count(10))
        .call_duration_histogram()
        .build()
        .unwrap();
    for _ in 0..10 {
        breaker.call(async { Err::<(), _>("refused") }).await.unwrap_err();
    }
    breaker.try_acquire().unwrap_err();
    breaker.force_open();
    breaker.resume();
    breaker.reset();
    let scrape = http::scrape(addr).await;
    assert_eq!(scrape.sum("circuit_breaker_transitions_total", &[]), 4.0);
    let open = [("breaker", "payments"), ("reason", "open")];
    assert_eq!(scrape.value("circuit_breaker_rejections_total", &open), 1.0);
    scrape
}

#[tokio::test]
async fn the_dashboard_names_only_metrics_labels_and_values_that_exist() {
    let scrape = after_an_outage().await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut checked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let legend = target["legendFormat"].as_str().unwrap();
            let shown = legend.split("{{").skip(1).map(|part| part.split_once("}}").unwrap().0);
            let shown: Vec<_> = shown.collect();
            check(target["expr"].as_str().unwrap(), &shown, &scrape)
                .unwrap_or_else(|error| panic!("{}: {error}", panel["title"]));
            checked += 1;
        }
    }
    assert_eq!(checked, 19);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let breaker = variables.iter().find(|variable| variable["name"] == "breaker").unwrap();
    check(breaker["query"]["query"].as_str().unwrap(), &[], &scrape).unwrap();
}

#[tokio::test]
async fn the_dashboard_shows_every_metric() {
    for series in after_an_outage().await.0 {
        let name = series.name;
        assert!(name.starts_with("circuit_breaker_") && DASHBOARD.contains(&name), "{name}");
        let name = name.trim_end_matches("_sum").trim_end_matches("_count");
        assert!(OPERATORS.contains(name), "{name}");
    }
}

#[tokio::test]
async fn the_alert_rules_name_only_metrics_labels_and_values_that_exist() {
    let scrape = after_an_outage().await;
    let (_, yaml) = OPERATORS.split_once("```yaml\n").expect("a block of rules");
    let (yaml, _) = yaml.split_once("```").unwrap();
    let rules: Value = serde_norway::from_str(yaml).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    for rule in rules {
        check(rule["expr"].as_str().unwrap(), &["breaker"], &scrape)
            .unwrap_or_else(|error| panic!("{}: {error}", rule["alert"]));
    }
}

#[test]
fn the_check_finds_a_name_that_does_not_exist() {
    let scrape = Scrape::parse(
        "m{a=\"1\",b=\"2\"} 0\n\
         m{a=\"3\",b=\"4\"} 0\n\
         n{a=\"1\"} 0\n",
    );
    let right = [
        "m",
        "sum by (a, b) (rate(m{a=\"1\", b!=\"4\"}[5m])) > 0.5",
        "sum without (a) (increase(m{a=~\"1|3\"}[$__rate_interval])) / sum(n{a=~\"$any\"})",
        "label_values(m, b)",
    ];
    for query in right {
        assert_eq!(check(query, &["a"], &scrape), Ok(()), "{query}");
    }
    let wrong = [
        ("o", "no metric `o`"),
        ("summ(m)", "no metric `summ`"),
        ("m{c=\"1\"}", "`m` has no label `c`"),
        ("m{a=\"2\"}", "no `m` has `a=\"2\"`"),
        ("m{a!=\"2\"}", "no `m` has `a=\"2\"`"),
        ("m{a=~\"1|2\"}", "no `m` has `a=\"2\"`"),
        ("m{a=\"1\",b=\"4\"}", "`m{a=\"1\",b=\"4\"}` selects no `m`"),
        ("sum by (c) (m)", "`m` has no label `c`"),
        ("sum by (b) (m) / sum by (b) (n)", "`n` has no label `b`"),
        ("sum without (c) (m)", "`m` has no label `c`"),
        ("label_values(m, c)", "`m` has no label `c`"),
        ("1 > 0", "no metric in `1 > 0`"),
    ];
    for (query, error) in wrong {
        assert_eq!(check(query, &[], &scrape), Err(error.to_owned()), "{query}");
    }
    assert!(check("m", &["c"], &scrape).is_err()); // in a legend
}
