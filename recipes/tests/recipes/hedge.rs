#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/hedge.rs"]
mod recipe;

use reqwest::Client;
use tower_breaker::State;
use tower_breaker_recipes::{Answer, Backend};

use self::recipe::{Replica, hedged};

async fn two_replicas() -> (Backend, Backend, [Replica; 2]) {
    let (first, second) =
        (Backend::start("first").await.unwrap(), Backend::start("second").await.unwrap());
    let replica = |name, backend: &Backend| Replica::new(name, backend.url(), Client::new());
    let replicas = [replica("first", &first).unwrap(), replica("second", &second).unwrap()];
    (first, second, replicas)
}

#[tokio::test]
async fn a_replica_that_hangs_loses_its_races_and_is_then_not_asked() {
    let (first, _, [one, two]) = two_replicas().await;
    first.set(Answer::Silence);
    for _ in 0..4 {
        assert_eq!(hedged(&one, &two).await.unwrap().text().await.unwrap(), "second");
    }
    assert_eq!(one.breaker.state(), State::Open);
    assert_eq!(two.breaker.state(), State::Closed);
    assert_eq!(first.hits(), 3);
}

#[tokio::test]
async fn a_replica_that_fails_is_replaced_at_once() {
    let (first, second, [one, two]) = two_replicas().await;
    first.set(Answer::Status(500));
    assert_eq!(hedged(&one, &two).await.unwrap().text().await.unwrap(), "second");
    assert_eq!((first.hits(), second.hits()), (1, 1));
}

#[tokio::test]
async fn if_both_fail_the_caller_gets_an_error() {
    let (first, second, [one, two]) = two_replicas().await;
    first.set(Answer::Silence);
    second.set(Answer::Status(500));
    let error = hedged(&one, &two).await.unwrap_err();
    let error = error.downcast::<reqwest::Error>().unwrap();
    assert!(error.is_timeout(), "the first replica had the last word: {error}");
}
