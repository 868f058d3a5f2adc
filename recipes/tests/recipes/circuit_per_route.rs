#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/circuit_per_route.rs"]
mod recipe;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use tower_breaker::State;
use tower_breaker_recipes::serve;

use self::recipe::{circuits, protect};

#[tokio::test]
async fn a_broken_route_is_closed_for_all_identifiers_and_the_others_go_on() {
    let report = async |_: Path<u32>| StatusCode::INTERNAL_SERVER_ERROR;
    let router = Router::new()
        .route("/users/{id}", get(async |Path(id): Path<u32>| id.to_string()))
        .route("/reports/{id}", get(report));
    let circuits = circuits().unwrap();
    let url = serve(protect(router, circuits.clone())).await.unwrap();
    let status = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap().status();

    for id in 1..=3 {
        assert_eq!(status(&format!("reports/{id}")).await, 500);
    }
    let rejected = reqwest::get(format!("{url}reports/4")).await.unwrap();
    assert_eq!(rejected.status(), 503);
    assert!(rejected.headers().contains_key("retry-after"));
    assert_eq!(status("users/1").await, 200);
    for _ in 0..5 {
        assert_eq!(status("no/such/route").await, 404);
    }

    let state = |route: &str| circuits.get(route).unwrap().state();
    assert_eq!(state("/reports/{id}"), State::Open);
    assert_eq!(state("/users/{id}"), State::Closed);
    assert_eq!(circuits.len(), 2, "strangers cannot make circuits");
}
