//! What `GET` answers.

use std::convert::Infallible;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::advance;
use tower_breaker::admin::AdminService;
use tower_breaker::{CircuitBreaker, Config};

use super::*;

fn assert_usable<S: Clone + Send + Sync>(_: &S) {}

#[tokio::test]
async fn it_is_a_service_for_requests_with_any_body() {
    let admin = AdminService::new();
    assert_usable(&admin);
    let empty = Request::new(Empty::<Bytes>::new());
    assert_eq!(admin.clone().oneshot(empty).await.unwrap().status(), StatusCode::OK);
    let full = Request::new(Full::<Bytes>::from("x"));
    let response = admin.clone().oneshot(full).await.unwrap();
    let body = response.into_body().collect().await;
    let _: Result<_, Infallible> = body.map(|body| assert!(!body.to_bytes().is_empty()));

    /// The error of this body has no traits at all.
    struct Failing;
    struct Opaque;
    impl http_body::Body for Failing {
        type Data = Bytes;
        type Error = Opaque;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Opaque>>> {
            std::task::Poll::Ready(Some(Err(Opaque)))
        }
    }
    let breaker = breaker("a");
    let admin = AdminService::new().breaker(&breaker).operations(true);
    json(&admin, "/api/circuits").await;
    let request = Request::post("/api/circuits/1/trip").header("content-type", "application/json");
    let response = admin.clone().oneshot(request.body(Failing).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(breaker.state(), tower_breaker::State::Closed);
}

/// A number that is read from text may differ in its last digit from the one that was written.
fn as_sent(value: &impl serde::Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_list_says_all_that_the_page_needs() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    fail(&breaker);
    advance(Duration::from_secs(1)).await;

    let list = json(&admin, "/api/circuits").await;
    assert_eq!(list["counts"], serde_json::json!({ "closed": 0, "open": 1, "half_open": 0 }));
    assert_eq!(list["operations"], false);
    let circuit = &list["circuits"][0];
    assert_eq!(circuit["number"], 1);
    assert_eq!(circuit["name"], "payments");
    assert_eq!(circuit["registry"], Value::Null);
    assert_eq!(circuit["snapshot"], as_sent(&breaker.snapshot()));
    assert_eq!(circuit["sentence"], breaker.snapshot().to_string());
    let past = serde_json::json!([{ "from": "closed", "to": "open", "ago_seconds": 1.0 }]);
    assert_eq!(circuit["history"], past);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_shown_with_its_settings_and_its_transitions() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    json(&admin, "/api/circuits").await;
    fail(&breaker);
    let circuit = json(&admin, "/api/circuits/1").await;
    assert_eq!(circuit["settings"], as_sent(&Config::of(&breaker)));
    assert_eq!(circuit["settings"]["consecutive_failures"], 1);
    assert_eq!(circuit["transitions"], as_sent(&breaker.history()));
    assert_eq!(circuit["snapshot"]["state"], "open");
}

#[tokio::test]
async fn circuits_that_need_attention_come_first() {
    let near = |name: &str, failures: u32| {
        let breaker = CircuitBreaker::builder(name).consecutive_failures(10).build().unwrap();
        (0..failures).for_each(|_| fail(&breaker));
        breaker
    };
    let rate = CircuitBreaker::builder("rate").failure_rate_threshold(0.5).build().unwrap();
    (0..4).for_each(|_| fail(&rate)); // 4 of the 20 calls that are needed at least
    let [well, far, open, closer, shadow, half_open, held] = [
        near("well", 0),
        near("far", 1),
        near("open", 10),
        near("closer", 7),
        near("shadow", 10),
        near("half-open", 10),
        near("held", 0),
    ];
    shadow.set_enforcement(0.0).unwrap();
    held.force_closed();
    half_open.force_open();
    half_open.resume();
    let all = [&well, &far, &rate, &open, &closer, &shadow, &half_open, &held];
    let admin = all.into_iter().fold(AdminService::new(), |admin, breaker| admin.breaker(breaker));
    let expected = ["open", "half-open", "shadow", "held", "closer", "rate", "far", "well"];
    assert_eq!(names(&admin, "/api/circuits").await, expected);
    assert_eq!(names(&admin, "/api/circuits?limit=3").await, expected[..3]);
    assert_eq!(names(&admin, "/api/circuits?state=open").await, ["open", "shadow"]);
    assert_eq!(names(&admin, "/api/circuits?state=half_open").await, ["half-open"]);
    assert_eq!(names(&admin, "/api/circuits?state=closed&limit=2").await, ["held", "closer"]);
}

#[tokio::test]
async fn a_query_that_means_nothing_is_an_error_that_says_what_is_allowed() {
    let admin = AdminService::new();
    for query in ["state=broken", "limit=0", "limit=1001", "limit=x", "limit=-1", "limit=1&limit=2"]
    {
        let response = get(&admin, &format!("/api/circuits?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let error: Value = serde_json::from_slice(&bytes(response).await).unwrap();
        assert!(error["error"].is_string());
        let response = get(&admin, &format!("/?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_number_stays_that_of_its_circuit_and_is_never_given_again() {
    let (first, second) = (breaker("same"), breaker("same"));
    let admin = AdminService::new().breaker(&first);
    json(&admin, "/api/circuits").await;
    let admin = AdminService::new().breaker(&first).breaker(&second);
    let clone = admin.clone();
    json(&admin, "/api/circuits").await;
    fail(&second); // comes first now
    let list = json(&clone, "/api/circuits").await;
    assert_eq!(list["circuits"][0]["number"], 2);
    assert_eq!(list["circuits"][1]["number"], 1);
    assert_eq!(json(&clone, "/api/circuits/2").await["snapshot"]["state"], "open");
    for path in
        ["/api/circuits/3", "/api/circuits/0", "/api/circuits/x", "/api/circuits/-1", "/nowhere"]
    {
        let response = get(&admin, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let error: Value = serde_json::from_slice(&bytes(response).await).unwrap();
        assert!(error["error"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_are_counted_from_when_a_circuit_is_shown() {
    let breaker = breaker("payments");
    breaker.force_open();
    (0..1000).for_each(|_| drop(breaker.try_acquire().unwrap_err()));
    let admin = AdminService::new().breaker(&breaker);
    let rate = async || {
        json(&admin, "/api/circuits").await["circuits"][0]["rejections_per_second"].clone()
    };
    assert_eq!(rate().await, Value::Null);
    (0..50).for_each(|_| drop(breaker.try_acquire().unwrap_err()));
    advance(Duration::from_secs(5)).await;
    assert_eq!(rate().await, 10.0);
    for _ in 0..20 {
        advance(Duration::from_secs(1)).await;
        (0..3).for_each(|_| drop(breaker.try_acquire().unwrap_err()));
        rate().await;
    }
    assert_eq!(rate().await, 3.0);
}

#[tokio::test(start_paused = true)]
async fn looking_moves_nothing() {
    let breaker = breaker("payments");
    fail(&breaker);
    advance(Duration::from_secs(3600)).await; // the wait is long over
    let admin = AdminService::new().breaker(&breaker).operations(true);
    let history = breaker.history();
    for path in ["/", "/?circuit=1", "/api/circuits", "/api/circuits/1", "/api/events"] {
        get(&admin, path).await;
        let head = Request::head(path).body(Body::empty()).unwrap();
        assert_eq!(send(&admin, head).await.status(), StatusCode::OK, "{path}");
    }
    for action in
        ["trip", "reset", "force_open", "force_closed", "resume", "enforcement", "reconfigure"]
    {
        let path = format!("/api/circuits/1/{action}");
        assert_eq!(get(&admin, &path).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(breaker.history(), history);
    assert_eq!(breaker.state(), tower_breaker::State::Open);
}
