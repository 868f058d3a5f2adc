//! The operator's interface, without a browser. `browser/` has the tests with one.

#![cfg(all(feature = "admin", feature = "keyed"))]

mod api;
mod events;
mod gate;
mod keys;
mod operations;
mod page;

use axum::body::{Body, Bytes, to_bytes};
use http::{Request, Response, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use tower_breaker::CircuitBreaker;
use tower_breaker::admin::{AdminBody, AdminService};

/// A breaker that opens at the first failure.
fn breaker(name: &str) -> CircuitBreaker {
    CircuitBreaker::builder(name).consecutive_failures(1).build().unwrap()
}

fn fail(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
}

async fn send(admin: &AdminService, request: Request<Body>) -> Response<AdminBody> {
    admin.clone().oneshot(request).await.unwrap()
}

async fn bytes(response: Response<AdminBody>) -> Bytes {
    to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap()
}

async fn get(admin: &AdminService, path: &str) -> Response<AdminBody> {
    send(admin, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn text(admin: &AdminService, path: &str) -> String {
    String::from_utf8(bytes(get(admin, path).await).await.to_vec()).unwrap()
}

async fn json(admin: &AdminService, path: &str) -> Value {
    let response = get(admin, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    serde_json::from_slice(&bytes(response).await).unwrap()
}

async fn post(admin: &AdminService, path: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::post(path).header("content-type", "application/json");
    let response = send(admin, request.body(Body::from(body.to_owned())).unwrap()).await;
    let status = response.status();
    (status, serde_json::from_slice(&bytes(response).await).unwrap())
}

/// The names of the circuits, in the order of the list.
async fn names(admin: &AdminService, path: &str) -> Vec<String> {
    let list = json(admin, path).await;
    let circuits = list["circuits"].as_array().unwrap();
    circuits.iter().map(|circuit| circuit["name"].as_str().unwrap().to_owned()).collect()
}
