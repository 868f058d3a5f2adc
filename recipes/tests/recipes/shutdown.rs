#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/shutdown.rs"]
mod recipe;

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Client;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_breaker_recipes::{Answer, Backend};

use self::recipe::{Sender, run};
use crate::{breaker, eventually};

fn messages() -> VecDeque<String> {
    ["a", "b", "c"].map(str::to_owned).into()
}

async fn start(
    sender: Sender,
) -> (String, CancellationToken, tokio::task::JoinHandle<VecDeque<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let token = stop.clone();
    let service =
        tokio::spawn(async move { run(listener, sender, messages(), token).await.unwrap() });
    (url, stop, service)
}

#[tokio::test]
async fn a_task_that_waits_for_an_open_circuit_does_not_hold_up_the_shutdown() {
    let (backend, breaker) = (Backend::start("reports").await.unwrap(), breaker());
    breaker.force_open(); // for ever
    let sender = Sender { breaker, client: Client::new(), url: backend.url().to_owned() };
    let (url, stop, service) = start(sender).await;
    assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "hello");

    stop.cancel();
    let left = timeout(Duration::from_secs(20), service).await.expect("it ends").unwrap();
    assert_eq!(left, messages());
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn a_call_in_flight_ends_and_counts_and_no_other_one_begins() {
    let (backend, breaker) = (Backend::start("reports").await.unwrap(), breaker());
    backend.set(Answer::Silence);
    let url = backend.url().to_owned();
    let sender = Sender { breaker: breaker.clone(), client: Client::new(), url };
    let (_, stop, service) = start(sender).await;
    eventually(|| backend.hits() == 1).await;

    stop.cancel();
    assert_eq!(service.await.unwrap(), messages());
    assert_eq!(backend.hits(), 1);
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
}

#[tokio::test]
async fn messages_that_were_sent_are_not_left() {
    let (backend, breaker) = (Backend::start("reports").await.unwrap(), breaker());
    let sender = Sender { breaker, client: Client::new(), url: backend.url().to_owned() };
    let (_, stop, service) = start(sender).await;
    eventually(|| backend.hits() == 3).await;
    stop.cancel();
    assert!(service.await.unwrap().is_empty());
}
