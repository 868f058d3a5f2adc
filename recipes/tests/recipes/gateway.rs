#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/gateway.rs"]
mod recipe;

use axum::Router;
use tower_breaker::State;
use tower_breaker_recipes::{Answer, Backend, serve};

use self::recipe::forward_to;
use crate::{breaker, dead_port, wait_until_it_probes};

#[tokio::test]
async fn rejections_are_503_with_retry_after_timeouts_504_and_other_errors_502() {
    let (backend, breaker) = (Backend::start("orders").await.unwrap(), breaker());
    let service = forward_to(backend.url().parse().unwrap(), breaker.clone());
    let (address, _port) = dead_port();
    let dead = forward_to(format!("http://{address}/").parse().unwrap(), crate::breaker());
    let router =
        Router::new().route_service("/orders/{*path}", service).route_service("/dead", dead);
    let gateway = serve(router).await.unwrap();
    let get = async |path: &str| reqwest::get(format!("{gateway}{path}")).await.unwrap();

    let response = get("orders/7?full").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "orders");
    assert_eq!(get("dead").await.status(), 502);

    backend.set(Answer::Status(500));
    assert_eq!(get("orders/7").await.status(), 500, "an answer of the server is passed on");
    backend.set(Answer::Silence);
    assert_eq!(get("orders/7").await.status(), 504);
    assert_eq!(breaker.state(), State::Open);
    let response = get("orders/7").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(backend.hits(), 3);

    backend.set(Answer::Status(200));
    wait_until_it_probes(&breaker).await;
    assert_eq!(get("orders/7").await.status(), 200);
}

#[tokio::test]
async fn the_path_and_the_query_are_passed_on() {
    let upstream = Router::new().fallback(async |uri: axum::http::Uri| uri.to_string());
    let upstream = serve(upstream).await.unwrap().parse().unwrap();
    let router = Router::new().fallback_service(forward_to(upstream, breaker()));
    let gateway = serve(router).await.unwrap();
    let answer = reqwest::get(format!("{gateway}orders/7?full")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "/orders/7?full");
}
