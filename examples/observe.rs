//! Shows what an operator sees of an outage: metrics for Prometheus, and a log.
//!
//! ```sh
//! cargo run --example observe --features metrics,tracing
//! ```
//!
//! A shop calls a warehouse over HTTP, through a circuit breaker. The warehouse works, then fails, then works
//! again. The shop serves its metrics, and the example scrapes them before, during and after the outage. It
//! exits with an error if they do not show what happened.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower::BoxError;
use tower_breaker::CircuitBreaker;
use tracing::info;

const OPEN_FOR: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Shop {
    breaker: CircuitBreaker,
    warehouse: String,
}

async fn stock(State(shop): State<Shop>) -> Result<String, StatusCode> {
    let ask = async { reqwest::get(&shop.warehouse).await?.error_for_status()?.text().await };
    shop.breaker.call(ask).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn warehouse(State(is_down): State<Arc<AtomicBool>>) -> Result<&'static str, StatusCode> {
    if is_down.load(Ordering::Relaxed) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok("3 pieces\n")
}

/// Serves the metrics for Prometheus. Times and rates are updated first.
async fn metrics(State(exporter): State<PrometheusHandle>) -> String {
    tower_breaker::metrics::refresh();
    exporter.render()
}

async fn start(router: Router) -> Result<String, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(uri)
}

async fn customers(shop: &str, n: u32) -> Result<(), BoxError> {
    for _ in 0..n {
        let answer = reqwest::get(format!("{shop}/stock")).await?;
        info!(target: "shop", "GET /stock: {}", answer.status());
    }
    Ok(())
}

/// Prints the metrics of the breaker that are not 0.
async fn scrape(shop: &str, when: &str) -> Result<String, BoxError> {
    let scraped = reqwest::get(format!("{shop}/metrics")).await?.text().await?;
    println!("\n{when}, {shop}/metrics:");
    for line in scraped.lines().filter(|line| line.starts_with("circuit_breaker")) {
        if !line.ends_with(" 0") {
            println!("   {line}");
        }
    }
    println!();
    Ok(scraped)
}

/// Returns whether the scrape contains all these lines.
fn shows(scraped: &str, lines: &[&str]) -> bool {
    let missing = lines.iter().filter(|wanted| !scraped.lines().any(|line| line == **wanted));
    missing.inspect(|line| println!("MISSING: {line}")).count() == 0
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let exporter = PrometheusBuilder::new().install_recorder()?;

    let is_down = Arc::new(AtomicBool::new(false));
    let router = Router::new().route("/", get(warehouse)).with_state(is_down.clone());
    let breaker = CircuitBreaker::builder("warehouse")
        .consecutive_failures(3)
        .open_duration(OPEN_FOR)
        .build()?;
    let shop = Shop { breaker, warehouse: start(router).await? };
    let shop = Router::new()
        .route("/stock", get(stock))
        .with_state(shop)
        .route("/metrics", get(metrics))
        .with_state(exporter);
    let shop = start(shop).await?;
    println!("The shop's metrics are at {shop}/metrics\n");

    customers(&shop, 5).await?;
    let before = scrape(&shop, "Before the outage").await?;
    is_down.store(true, Ordering::Relaxed);
    customers(&shop, 7).await?;
    let during = scrape(&shop, "During the outage").await?;
    is_down.store(false, Ordering::Relaxed);
    tokio::time::sleep(OPEN_FOR).await;
    customers(&shop, 5).await?;
    let after = scrape(&shop, "After the outage").await?;

    let is_right = shows(
        &before,
        &[
            r#"circuit_breaker_state{breaker="warehouse",state="closed"} 1"#,
            r#"circuit_breaker_state{breaker="warehouse",state="open"} 0"#,
            r#"circuit_breaker_calls_total{breaker="warehouse",outcome="success"} 5"#,
        ],
    ) & shows(
        &during,
        &[
            r#"circuit_breaker_state{breaker="warehouse",state="closed"} 0"#,
            r#"circuit_breaker_state{breaker="warehouse",state="open"} 1"#,
            r#"circuit_breaker_calls_total{breaker="warehouse",outcome="failure"} 3"#,
            r#"circuit_breaker_rejections_total{breaker="warehouse",reason="open"} 4"#,
        ],
    ) & shows(
        &after,
        &[
            r#"circuit_breaker_state{breaker="warehouse",state="closed"} 1"#,
            r#"circuit_breaker_calls_total{breaker="warehouse",outcome="success"} 10"#,
        ],
    );
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
