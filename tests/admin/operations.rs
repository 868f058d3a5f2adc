//! What `POST` does, and what is told about it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_breaker::{EventKind, OperatorAction, State};

use super::*;

/// A breaker whose operators' actions are noted, and a service that operates it.
async fn operated() -> (CircuitBreaker, AdminService, Arc<Mutex<Vec<String>>>) {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let listener = noted.clone();
    let breaker = CircuitBreaker::builder("payments")
        .consecutive_failures(5)
        .on_event(move |event| {
            if matches!(event.kind(), EventKind::OperatorAction(_) | EventKind::Reconfigured(_)) {
                listener.lock().unwrap().push(event.to_string());
            }
        })
        .build()
        .unwrap();
    let admin = AdminService::new().breaker(&breaker).operations(true).actor(|request| {
        request.headers.get("x-user").map_or("nobody", |user| user.to_str().unwrap()).to_owned()
    });
    json(&admin, "/api/circuits").await;
    (breaker, admin, noted)
}

#[tokio::test]
async fn each_action_does_what_its_method_does_and_returns_the_circuit_after_it() {
    let (breaker, admin, noted) = operated().await;
    for (action, body, state, is_forced) in [
        ("trip", "", State::Open, false),
        ("reset", "{}", State::Closed, false),
        ("force_open", r#"{"reason":""}"#, State::Open, true),
        ("force_closed", "{}", State::Closed, true),
        ("resume", "{}", State::Closed, false),
        ("enforcement", r#"{"share":0.25}"#, State::Closed, false),
    ] {
        let (status, circuit) = post(&admin, &format!("/api/circuits/1/{action}"), body).await;
        assert_eq!(status, StatusCode::OK, "{action}: {circuit}");
        let (snapshot, expected) = (breaker.snapshot(), (state, is_forced));
        assert_eq!((snapshot.state(), snapshot.is_forced()), expected, "{action}");
        assert_eq!(circuit["snapshot"]["state"], state.name());
        assert_eq!(circuit["number"], 1);
    }
    assert_eq!(breaker.snapshot().enforcement(), 0.25);
    assert_eq!(noted.lock().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_forced_for_a_time_that_is_written_as_in_a_file_of_settings() {
    let (breaker, admin, noted) = operated().await;
    let minutes = |n: u64| Duration::from_secs(60 * n);
    for (action, body, state, time) in [
        ("force_open", r#"{"for":"10m","reason":"maintenance"}"#, State::Open, minutes(10)),
        ("force_open", r#"{"for":"1h 30m"}"#, State::Open, minutes(90)),
        ("force_closed", r#"{"for":"5m"}"#, State::Closed, minutes(5)),
    ] {
        let (status, circuit) = post(&admin, &format!("/api/circuits/1/{action}"), body).await;
        assert_eq!(status, StatusCode::OK, "{action}: {circuit}");
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state(), snapshot.forced_for()), (state, Some(time)), "{body}");
        assert_eq!(circuit["snapshot"]["forced_for_seconds"], time.as_secs_f64());
    }
    tokio::time::advance(minutes(5)).await;
    let circuit = json(&admin, "/api/circuits/1").await;
    assert_eq!(circuit["snapshot"]["forced"], false);
    let expected = [
        "payments: force_open_for(600s), by nobody (maintenance)",
        "payments: force_open_for(5400s), by nobody",
        "payments: force_closed_for(300s), by nobody",
    ];
    assert_eq!(*noted.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_time_that_is_wrong_is_named_and_what_would_be_right() {
    let (breaker, admin, _) = operated().await;
    for (body, error) in [
        (r#"{"for":"0s"}"#, "invalid `for`: 0ns (allowed: a duration longer than zero)"),
        (
            r#"{"for":"soon"}"#,
            "expected a duration with its unit, such as \"30s\" or \"1m 30s\", for `for`",
        ),
        (r#"{"for":600}"#, "expected a duration with its unit"),
        (r#"{"for":"-5m"}"#, "expected a duration with its unit"),
        (r#"{"for":null}"#, "expected a duration with its unit"),
        (r#"{"fro":"10m"}"#, "unknown field `fro`"),
    ] {
        for action in ["force_open", "force_closed"] {
            let (status, answer) = post(&admin, &format!("/api/circuits/1/{action}"), body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
            let told = answer["error"].as_str().unwrap();
            assert!(told.contains(error), "{body}: {told}");
        }
    }
    assert!(!breaker.snapshot().is_forced());
}

#[tokio::test]
async fn listeners_learn_who_did_it_and_why() {
    let (breaker, admin, noted) = operated().await;
    let request = Request::post("/api/circuits/1/force_open")
        .header("content-type", "application/json")
        .header("x-user", "alice")
        .body(Body::from(r#"{"reason":"maintenance\nFAKE LINE"}"#));
    assert_eq!(send(&admin, request.unwrap()).await.status(), StatusCode::OK);
    post(
        &admin,
        "/api/circuits/1/reconfigure",
        r#"{"consecutive_failures":3,"reason":"too late"}"#,
    )
    .await;
    breaker.resume();
    let expected = [
        "payments: force_open, by alice (maintenance\\nFAKE LINE)",
        "payments: reconfigured (consecutive_failures 5 -> 3), by nobody (too late)",
        "payments: resume",
    ];
    assert_eq!(*noted.lock().unwrap(), expected);
}

#[tokio::test]
async fn the_settings_that_are_shown_can_be_sent_back() {
    let (breaker, admin, noted) = operated().await;
    let mut settings = json(&admin, "/api/circuits/1").await["settings"].clone();
    let (status, _) = post(&admin, "/api/circuits/1/reconfigure", &settings.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(noted.lock().unwrap().is_empty(), "equal settings tell nobody");
    settings["consecutive_failures"] = 1.into();
    let (_, circuit) = post(&admin, "/api/circuits/1/reconfigure", &settings.to_string()).await;
    assert_eq!(circuit["settings"], settings);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_body_that_is_wrong_changes_nothing() {
    let (breaker, admin, noted) = operated().await;
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1001));
    for (action, body) in [
        ("trip", "x"),
        ("trip", "7"),
        ("trip", r#"{"reason":1}"#),
        ("trip", r#"{"why":""}"#),
        ("trip", r#"{"for":"1m"}"#),
        ("trip", long.as_str()),
        ("enforcement", ""),
        ("enforcement", r#"{"share":1.5}"#),
        ("enforcement", r#"{"share":"1"}"#),
        ("enforcement", r#"{"share":0.5,"for":"1m"}"#),
        ("reconfigure", r#"{"consecutive_failures":0}"#),
        ("reconfigure", r#"{"unknown":1}"#),
        ("reconfigure", r#"{"probe_timeout":5}"#),
    ] {
        let (status, answer) = post(&admin, &format!("/api/circuits/1/{action}"), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{action} {body}");
        assert!(!answer["error"].as_str().unwrap().is_empty());
    }
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(64 << 10));
    let (status, _) = post(&admin, "/api/circuits/1/trip", &huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/api/circuits/1/explode", "/api/circuits/2/trip", "/api/circuits/x/trip"] {
        assert_eq!(post(&admin, path, "{}").await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(noted.lock().unwrap().is_empty());
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn an_actor_of_any_length_is_cut_at_a_character() {
    let noted = Arc::new(Mutex::new(String::new()));
    let listener = noted.clone();
    let breaker = CircuitBreaker::builder("payments")
        .on_event(move |event| {
            if let (EventKind::OperatorAction(OperatorAction::Trip), Some(by)) =
                (event.kind(), event.operator())
            {
                *listener.lock().unwrap() = by.actor().to_owned();
            }
        })
        .build()
        .unwrap();
    let long = format!("x{}", "é".repeat(4096));
    let admin = AdminService::new().breaker(&breaker).operations(true).actor(move |_| long.clone());
    json(&admin, "/api/circuits").await;
    assert_eq!(post(&admin, "/api/circuits/1/trip", "{}").await.0, StatusCode::OK);
    assert_eq!(*noted.lock().unwrap(), format!("x{}", "é".repeat(99)));
}
