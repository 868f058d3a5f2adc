//! A registry with very many keys.

use std::time::{Duration, Instant};

use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreakerBuilder, SlidingWindow};

use super::*;

fn registry(keys: u32) -> CircuitBreakerRegistry<u32> {
    registry_of(CircuitBreaker::builder("host").consecutive_failures(10), keys)
}

fn registry_of(template: CircuitBreakerBuilder, keys: u32) -> CircuitBreakerRegistry<u32> {
    let registry = CircuitBreakerRegistry::builder(template).capacity(200_000).build().unwrap();
    for key in 0..keys {
        registry.try_acquire(&key).unwrap().success();
    }
    registry
}

#[tokio::test]
async fn a_hundred_thousand_keys_are_one_page_with_the_most_needed_first() {
    let hosts = registry(100_000);
    hosts.get_or_create(&77_777).trip();
    for key in [5, 99_999] {
        (0..key % 7 + 1).for_each(|_| hosts.try_acquire(&key).unwrap().failure());
    }
    let admin = AdminService::new().registry(&hosts);
    let began = Instant::now();
    let list = json(&admin, "/api/circuits?limit=100").await;
    let took = began.elapsed();
    let names = list["circuits"].as_array().unwrap();
    assert_eq!(names.len(), 100);
    assert_eq!(names[0]["name"], "host/77777");
    assert_eq!(names[0]["registry"], "host");
    assert_eq!(names[1]["name"], "host/5");
    assert_eq!(names[2]["name"], "host/99999");
    assert_eq!(list["counts"], serde_json::json!({ "closed": 99_999, "open": 1, "half_open": 0 }));
    println!("a page of 100 of 100,000 keys took {took:?}");
    // Generous, because tests run unoptimised and many at a time.
    assert!(took < Duration::from_secs(3), "{took:?}");

    // Successes in a window are looked at in another way.
    let hosts = registry_of(CircuitBreaker::builder("host").failure_rate_threshold(0.5), 100_000);
    hosts.try_acquire(&7).unwrap().failure();
    let admin = AdminService::new().registry(&hosts);
    let began = Instant::now();
    assert_eq!(super::names(&admin, "/api/circuits?limit=1").await, ["host/7"]);
    println!("with a window it took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_was_healthy_at_the_last_look_is_found_once_it_fails() {
    let slow = Duration::from_secs(1);
    let rules = [
        CircuitBreaker::builder("host").consecutive_failures(10),
        CircuitBreaker::builder("host").failure_rate_threshold(0.5),
        CircuitBreaker::builder("host")
            .failure_rate_threshold(0.5)
            .sliding_window(SlidingWindow::count(10)),
        CircuitBreaker::builder("host")
            .slow_call_rate_threshold(0.5)
            .slow_call_duration_threshold(slow),
    ];
    for (rule, template) in rules.into_iter().enumerate() {
        let hosts = registry_of(template, 0);
        for successes in [1, 9, 20] {
            for key in 0..20 {
                (0..successes).for_each(|_| hosts.try_acquire(&key).unwrap().success());
            }
            let admin = AdminService::new().registry(&hosts);
            names(&admin, "/api/circuits").await;
            let first = async || names(&admin, "/api/circuits?limit=1").await[0].clone();
            if rule == 3 {
                let permit = hosts.try_acquire(&13).unwrap();
                tokio::time::advance(slow).await;
                permit.success();
            } else {
                hosts.try_acquire(&13).unwrap().failure();
            }
            assert_eq!(first().await, "host/13", "{rule}, {successes}");
            hosts.get_or_create(&17).force_closed();
            assert_eq!(first().await, "host/17", "held closed: {rule}, {successes}");
            hosts.get_or_create(&13).reset();
            hosts.get_or_create(&17).resume();
        }
    }
}

#[tokio::test]
async fn calls_and_other_requests_go_on_while_a_large_registry_is_listed() {
    let hosts = registry(20_000);
    let admin = AdminService::new().registry(&hosts);
    let listing = json(&admin, "/api/circuits");
    let meanwhile = async {
        let mut turns = 0;
        for key in 0..50 {
            hosts.try_acquire(&key).unwrap().success();
            hosts.try_acquire(&(1_000_000 + key)).unwrap().success();
            tokio::task::yield_now().await;
            turns += 1;
        }
        turns
    };
    tokio::pin!(listing);
    // On one thread, so the listing has to give way.
    let turns = tokio::select! {
        biased;
        _ = &mut listing => panic!("it has not given way to anybody"),
        turns = meanwhile => turns,
    };
    assert_eq!(turns, 50);
    listing.await;
}

#[tokio::test]
async fn circuits_that_are_gone_are_not_shown_and_their_numbers_say_so() {
    let hosts = registry(3);
    let admin = AdminService::new().registry(&hosts);
    assert_eq!(names(&admin, "/api/circuits").await.len(), 3);
    let number = json(&admin, "/api/circuits").await["circuits"][0]["number"].clone();
    let name = json(&admin, "/api/circuits").await["circuits"][0]["name"].clone();
    let key: u32 = name.as_str().unwrap().strip_prefix("host/").unwrap().parse().unwrap();
    hosts.remove(&key);
    assert_eq!(
        get(&admin, &format!("/api/circuits/{number}")).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(names(&admin, "/api/circuits").await.len(), 2);
    hosts.try_acquire(&key).unwrap().success();
    let numbers: Vec<_> = json(&admin, "/api/circuits").await["circuits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|circuit| circuit["number"].as_u64().unwrap())
        .collect();
    assert!(numbers.contains(&4), "a new circuit has a new number: {numbers:?}");
}

#[tokio::test]
async fn a_service_keeps_no_circuit_of_a_registry_alive() {
    let template = CircuitBreaker::builder("host").consecutive_failures(1);
    let hosts: CircuitBreakerRegistry<u32> =
        CircuitBreakerRegistry::builder(template).capacity(10).build().unwrap();
    let admin = AdminService::new().registry(&hosts);
    for key in 0..10_000 {
        hosts.try_acquire(&key).unwrap().success();
        if key % 10 == 0 {
            json(&admin, "/api/circuits").await;
        }
    }
    assert_eq!(hosts.len(), 10);
    assert_eq!(names(&admin, "/api/circuits").await.len(), 10);
}
