//! The exporter, served over real HTTP.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::scrape::Scrape;

/// Serves the metrics as a user would, with a refresh before each scrape.
pub(crate) async fn serve(handle: PrometheusHandle) -> SocketAddr {
    let render = move || async move {
        tower_breaker::metrics::refresh();
        handle.render()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let router = Router::new().route("/metrics", get(render));
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

pub(crate) async fn scrape(addr: SocketAddr) -> Scrape {
    let response = reqwest::get(format!("http://{addr}/metrics")).await.unwrap();
    Scrape::parse(&response.error_for_status().unwrap().text().await.unwrap())
}
