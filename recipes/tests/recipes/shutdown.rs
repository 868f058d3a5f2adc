#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/shutdown.rs"]
mod recipe;

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use reqwest::{Client, StatusCode};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_breaker::CircuitBreaker;
use tower_breaker_recipes::{Answer, Backend, serve};

use self::recipe::{Sender, run};
use crate::{breaker, eventually};

const MESSAGES: [&str; 3] = ["a", "b", "c"];

fn sender(breaker: CircuitBreaker, url: &str) -> Sender {
    let messages = MESSAGES.map(str::to_owned).into();
    Sender { breaker, client: Client::new(), url: url.to_owned(), messages, refused: Vec::new() }
}

type Service = (String, CancellationToken, tokio::task::JoinHandle<Sender>);

/// The service. It returns its sender when it has ended.
async fn start_with(app: Router, mut sender: Sender) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let token = stop.clone();
    let service = tokio::spawn(async move {
        run(listener, app, &mut sender, token).await;
        sender
    });
    (url, stop, service)
}

async fn start(sender: Sender) -> Service {
    start_with(Router::new().route("/", get("hello")), sender).await
}

#[tokio::test]
async fn a_task_that_waits_for_an_open_circuit_does_not_hold_up_the_shutdown() {
    let (backend, breaker) = (Backend::start("reports").await.unwrap(), breaker());
    breaker.force_open(); // for ever
    let (url, stop, service) = start(sender(breaker, backend.url())).await;
    assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "hello");

    stop.cancel();
    let sender = timeout(Duration::from_secs(20), service).await.expect("it ends").unwrap();
    assert_eq!(sender.messages, MESSAGES);
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn a_handler_that_does_not_end_does_not_hold_up_the_shutdown() {
    let backend = Backend::start("reports").await.unwrap();
    let begun = CancellationToken::new();
    let slow = begun.clone();
    let hangs = get(async move || {
        slow.cancel();
        std::future::pending::<()>().await;
    });
    let app = Router::new().route("/", hangs);
    let (url, stop, service) = start_with(app, sender(breaker(), backend.url())).await;
    let request = tokio::spawn(reqwest::get(url));
    begun.cancelled().await;

    stop.cancel();
    timeout(Duration::from_secs(20), service).await.expect("it ends").unwrap();
    request.abort();
}

#[tokio::test]
async fn a_call_in_flight_ends_and_counts_and_no_other_one_begins() {
    let (backend, breaker) = (Backend::start("reports").await.unwrap(), breaker());
    backend.set(Answer::Silence);
    let (_, stop, service) = start(sender(breaker.clone(), backend.url())).await;
    eventually(|| backend.hits() == 1).await;

    stop.cancel();
    assert_eq!(service.await.unwrap().messages, MESSAGES);
    assert_eq!(backend.hits(), 1);
    assert_eq!(breaker.snapshot().consecutive_failures(), 1);
}

#[tokio::test]
async fn messages_that_were_sent_are_not_left() {
    let backend = Backend::start("reports").await.unwrap();
    let (_, stop, service) = start(sender(breaker(), backend.url())).await;
    eventually(|| backend.hits() == 3).await;
    stop.cancel();
    let sender = service.await.unwrap();
    assert_eq!((sender.messages.len(), sender.refused.len()), (0, 0));
}

#[tokio::test]
async fn a_message_that_is_refused_is_set_aside_and_not_sent_again() {
    let (received, breaker) = (CancellationToken::new(), breaker());
    let last = received.clone();
    let answer = async move |message: String| {
        if message == "c" {
            last.cancel();
        }
        if message == "a" { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    };
    let url = serve(Router::new().route("/", post(answer))).await.unwrap();
    let (_, stop, service) = start(sender(breaker.clone(), &url)).await;
    timeout(Duration::from_secs(20), received.cancelled()).await.expect("all are sent");
    stop.cancel();
    let sender = timeout(Duration::from_secs(20), service).await.expect("it ends").unwrap();
    assert_eq!(sender.refused, ["a"]);
    assert!(sender.messages.is_empty());
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
}
