//! A scripted outage, scraped by a real Prometheus. The alert rules are made faster, so that this takes seconds.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tower_breaker::{CircuitBreaker, State};

use crate::{ALERTS, http, is_installed, panels, queries};

/// Durations in the alert rules, and what they are here.
const FASTER: [(&str, &str); 5] = [
    ("interval: 15s", "interval: 500ms"),
    ("[2m]", "[4s]"),
    ("for: 30s", "for: 1s"),
    ("keep_firing_for: 2m", "keep_firing_for: 1s"),
    ("keep_firing_for: 1m", "keep_firing_for: 1s"),
];

struct Prometheus {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes this address, with labels like those of a Kubernetes ServiceMonitor.
    fn start(target: SocketAddr) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut alerts = ALERTS.to_owned();
        for (duration, faster) in FASTER {
            assert!(alerts.contains(duration), "there is no `{duration}`");
            alerts = alerts.replace(duration, faster);
        }
        fs::write(folder.join("alerts.yml"), alerts).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 500ms }}\n\
             rule_files: [alerts.yml]\n\
             scrape_configs:\n\
             - job_name: shop\n  \
               static_configs:\n  \
               - targets: ['{target}']\n    \
                 labels: {{ namespace: prod, service: shop, pod: shop-1 }}\n"
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { process, folder, address }
    }

    /// Returns the result of a query, or `None` if Prometheus does not answer yet.
    async fn query(&self, query: &str) -> Option<Vec<Value>> {
        let query = query.bytes().fold(String::new(), |mut text, byte| {
            write!(text, "%{byte:02x}").unwrap();
            text
        });
        let url = format!("http://{}/api/v1/query?query={query}", self.address);
        let answer = reqwest::get(url).await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        assert_eq!(answer["status"], "success", "{answer}");
        Some(answer["data"]["result"].as_array().unwrap().clone())
    }

    /// Waits until the query has as many results.
    async fn wait_for(&self, query: &str, results: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            match self.query(query).await {
                Some(found) if found.len() == results => return found,
                found if start.elapsed() > Duration::from_secs(60) => {
                    let log = fs::read_to_string(self.folder.join("log"));
                    panic!("`{query}` finds {found:?} instead of {results}: {log:?}");
                }
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Waits until exactly these alerts fire, and returns the labels of each.
    async fn wait_for_alerts(&self, names: &[&str]) -> Vec<Value> {
        for name in names {
            self.wait_for(&format!(r#"ALERTS{{alertname="{name}", alertstate="firing"}}"#), 1)
                .await;
        }
        let firing = self.wait_for(r#"ALERTS{alertstate="firing"}"#, names.len()).await;
        firing.iter().map(|alert| alert["metric"].clone()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
        _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_real_prometheus_shows_an_outage_and_reports_it_for_as_long_as_it_lasts() {
    if !is_installed("prometheus") {
        return;
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let breaker = CircuitBreaker::builder("payments")
        .consecutive_failures(3)
        .failure_rate_threshold(0.5)
        .open_duration(Duration::from_secs(3600))
        .build()
        .unwrap();
    let is_up = Arc::new(AtomicBool::new(true));
    let traffic = tokio::spawn({
        let (breaker, is_up) = (breaker.clone(), is_up.clone());
        async move {
            loop {
                let result = if is_up.load(Ordering::Relaxed) { Ok(()) } else { Err("refused") };
                _ = breaker.call(async { result }).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let address = http::serve(recorder.handle()).await;
    let closed = [("breaker", "payments"), ("state", "closed")];
    assert_eq!(http::scrape(address).await.value("circuit_breaker_state", &closed), 1.0);
    let prometheus = Prometheus::start(address);
    prometheus.wait_for("rate(circuit_breaker_calls_total{outcome='success'}[4s]) > 0", 1).await;
    prometheus.wait_for_alerts(&[]).await;

    is_up.store(false, Ordering::Relaxed);
    let alerts = prometheus.wait_for_alerts(&["CircuitBreakerOutage", "CircuitBreakerOpen"]).await;
    for alert in &alerts {
        let labels = ["breaker", "job", "namespace"].map(|label| alert[label].as_str().unwrap());
        assert_eq!(labels, ["payments", "shop", "prod"]);
    }
    let open = alerts.iter().find(|alert| alert["alertname"] == "CircuitBreakerOpen").unwrap();
    assert_eq!((&open["service"], &open["pod"]), (&"shop".into(), &"shop-1".into()));
    for panel in panels() {
        for (query, _) in queries(&panel) {
            let mut query = query.replace("$__rate_interval", "1m");
            for variable in ["$job", "$instance", "$breaker"] {
                query = query.replace(variable, ".*");
            }
            let found = prometheus.query(&query).await.unwrap();
            let is_in_the_first_rows = panel["gridPos"]["y"].as_u64().unwrap() < 32;
            // No operator has acted, and every rejection is enforced.
            let is_absent = ["(circuit_breaker_forced", "(circuit_breaker_enforcement"];
            let is_absent =
                is_absent.iter().any(|metric| query.contains(metric)) && !query.contains("unless");
            assert!(
                !found.is_empty() || !is_in_the_first_rows || is_absent,
                "{} is empty: {query}",
                panel["title"]
            );
        }
    }

    is_up.store(true, Ordering::Relaxed);
    breaker.reset();
    prometheus.wait_for_alerts(&[]).await;

    breaker.force_open();
    prometheus.wait_for_alerts(&["CircuitBreakerForced"]).await;
    breaker.resume();
    prometheus.wait_for_alerts(&[]).await;
    assert_eq!(breaker.state(), State::Closed);
    traffic.abort();
}
