#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/health.rs"]
mod recipe;

use serde_json::Value;
use tower_breaker::CircuitBreaker;
use tower_breaker_recipes::serve;

use self::recipe::health;
use crate::{breaker, wait_until_it_probes};

async fn ask(url: &str) -> (u16, Value) {
    let response = reqwest::get(format!("{url}health")).await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn an_open_circuit_makes_the_instance_degraded_and_never_takes_it_out() {
    let (search, payments) = (breaker(), CircuitBreaker::new("payments"));
    let url = serve(health([search.clone(), payments])).await.unwrap();
    let (status, body) = ask(&url).await;
    assert_eq!((status, &body["status"]), (200, &"ok".into()));

    search.trip();
    let (status, body) = ask(&url).await;
    assert_eq!((status, &body["status"]), (200, &"degraded".into()));
    let circuit = &body["circuits"][0];
    assert_eq!((&circuit["name"], &circuit["state"]), (&"test".into(), &"open".into()));
    assert!(circuit["explanation"].as_str().unwrap().contains("tripped by hand"), "{circuit}");
    assert!(circuit["retry_after_ms"].as_u64().unwrap() <= 2000, "{circuit}");

    // It still gets requests, so one of them can be the probe.
    wait_until_it_probes(&search).await;
    assert_eq!(ask(&url).await.1["status"], "degraded", "asking is no probe");
    search.try_acquire().unwrap().success();
    assert_eq!(ask(&url).await.1["status"], "ok");
}
