//! The Grafana dashboard and the alert rules: they name only metrics, labels and values that exist, promtool has no
//! complaint, and a real Prometheus shows and reports an outage with them.
//!
//! The tests with promtool and Prometheus need Debian's package `prometheus`. Without it they do nothing.
#![cfg(all(feature = "metrics", feature = "keyed"))]

#[path = "../metrics/http.rs"]
mod http;
mod live;
mod promql;
mod promtool;
#[path = "../metrics/scrape.rs"]
mod scrape;

use std::process::Command;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreaker, HalfOpen, SlidingWindow};

use crate::promql::check;
use crate::scrape::Scrape;

const DASHBOARD: &str = include_str!("../../dashboards/circuit_breakers.json");
const ALERTS: &str = include_str!("../../dashboards/alerts.yml");
const OPERATORS: &str = include_str!("../../src/docs/operators.md");

/// What has been recorded after a small outage.
fn after_an_outage() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        let breaker = CircuitBreaker::builder("payments")
            .consecutive_failures(100)
            .failure_rate_threshold(0.5)
            .slow_call_duration_threshold(Duration::from_nanos(1))
            .slow_call_rate_threshold(1.0)
            .sliding_window(SlidingWindow::count(10))
            .call_duration_histogram()
            .build()
            .unwrap();
        for _ in 0..10 {
            breaker.try_acquire().unwrap().failure();
        }
        breaker.try_acquire().unwrap_err();
        breaker.force_open();
        breaker.resume();
        breaker.reset();
        breaker.set_enforcement(0.5).unwrap();
        // What has series only while there is something to show.
        let rare = CircuitBreaker::builder("rare")
            .hung_after(Duration::from_secs(1))
            .half_open(HalfOpen::consecutive_successes(1).ramp(Duration::from_secs(30)))
            .build()
            .unwrap();
        rare.suspect(Duration::from_secs(60));
        let template = CircuitBreaker::builder("by_host");
        let circuits = CircuitBreakerRegistry::builder(template).build().unwrap();
        circuits.try_acquire(&"example.com").unwrap().success();
        tower_breaker::metrics::refresh();
    });
    recorder.handle()
}

fn scrape() -> Scrape {
    let scrape = Scrape::parse(&after_an_outage().render());
    assert_eq!(scrape.sum("circuit_breaker_transitions_total", &[]), 4.0);
    scrape
}

/// The panels of the dashboard, also those in rows that are folded.
fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut panels = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        match panel["type"].as_str().unwrap() {
            "row" => panels.extend(panel["panels"].as_array().unwrap().iter().cloned()),
            _ => panels.push(panel.clone()),
        }
    }
    panels
}

/// The queries of a panel, with their legends.
fn queries(panel: &Value) -> impl Iterator<Item = (&str, &str)> {
    panel["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap()))
}

/// The alert rules as pairs of name and query.
fn alerts() -> Vec<(String, String)> {
    let rules: Value = serde_norway::from_str(ALERTS).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap().to_owned();
            (text("alert"), text("expr"))
        })
        .collect()
}

/// Whether this program can be run. If not, the test is left out.
fn is_installed(program: &str) -> bool {
    let is_installed = Command::new(program).arg("--version").output().is_ok();
    if !is_installed {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
        eprintln!("not run, because {program} is not installed");
    }
    is_installed
}

#[test]
fn the_dashboard_names_only_metrics_labels_and_values_that_exist() {
    let scrape = scrape();
    let panels = panels();
    assert!(panels.len() > 15);
    for panel in &panels {
        for (query, legend) in queries(panel) {
            let shown = legend.split("{{").skip(1).map(|part| part.split_once("}}").unwrap().0);
            let shown: Vec<_> = shown.collect();
            check(query, &shown, &scrape)
                .unwrap_or_else(|error| panic!("{}: {error}", panel["title"]));
        }
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    for name in ["job", "instance", "breaker"] {
        let variable = variables.iter().find(|variable| variable["name"] == name).unwrap();
        check(variable["query"]["query"].as_str().unwrap(), &[], &scrape).unwrap();
    }
}

#[test]
fn the_dashboard_filters_everything_that_it_shows_by_job_instance_and_breaker() {
    let filter = r#"{job=~"$job", instance=~"$instance", breaker=~"$breaker""#;
    for panel in panels() {
        for (query, _) in queries(&panel) {
            let metrics = query.matches("circuit_breaker_").count();
            assert_eq!(query.matches(filter).count(), metrics, "{}: {query}", panel["title"]);
        }
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    for series in scrape().0 {
        let name = series.name;
        assert!(name.starts_with("circuit_breaker_") && DASHBOARD.contains(&name), "{name}");
        let name = name.trim_end_matches("_sum").trim_end_matches("_count");
        assert!(OPERATORS.contains(name), "{name}");
    }
}

#[test]
fn the_panels_of_the_dashboard_are_all_different_explain_themselves_and_do_not_overlap() {
    let panels = panels();
    for (n, panel) in panels.iter().enumerate() {
        assert!(panel["description"].as_str().unwrap().len() > 20, "{}", panel["title"]);
        for other in &panels[n + 1..] {
            assert_ne!(panel["id"], other["id"]);
            assert_ne!(panel["title"], other["title"]);
            let edges = |panel: &Value, from: &str, size: &str| {
                let position = &panel["gridPos"];
                let from = position[from].as_u64().unwrap();
                from..from + position[size].as_u64().unwrap()
            };
            let overlap = |from, size| {
                let (a, b) = (edges(panel, from, size), edges(other, from, size));
                a.start < b.end && b.start < a.end
            };
            let is_apart = !overlap("x", "w") || !overlap("y", "h");
            assert!(is_apart, "{} and {} overlap", panel["title"], other["title"]);
        }
    }
}

#[test]
fn the_alert_rules_name_only_metrics_labels_and_values_that_exist() {
    let scrape = scrape();
    let alerts = alerts();
    assert_eq!(alerts.len(), 7);
    for (name, query) in alerts {
        check(&query, &[], &scrape).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(OPERATORS.contains(&name), "{name} is not documented");
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
        "sum without (b) (m) and on (a, job) sum without (instance) (n)",
        "label_values(m, b)",
        "label_values(m{a=~\"1\", job=~\"$job\"}, instance)",
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
        ("sum without (c) (m) + sum without (a) (n)", "no metric has the label `c`"),
        ("label_values(m, c)", "`m` has no label `c`"),
        ("1 > 0", "no metric in `1 > 0`"),
    ];
    for (query, error) in wrong {
        assert_eq!(check(query, &[], &scrape), Err(error.to_owned()), "{query}");
    }
    assert!(check("m", &["c"], &scrape).is_err()); // in a legend
}
