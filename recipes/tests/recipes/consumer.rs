#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/consumer.rs"]
mod recipe;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokio::sync::mpsc;
use tower_breaker::{CircuitBreaker, State};
use tower_breaker_recipes::serve;

use self::recipe::Consumer;
use crate::{breaker, eventually};

/// A server that answers as the test says, and keeps the messages that it accepted.
#[derive(Clone, Default)]
struct Mailer {
    down: Arc<Mutex<bool>>,
    /// How many requests it turns away, because there are too many.
    busy: Arc<Mutex<u32>>,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Mailer {
    async fn start() -> (Self, Consumer) {
        let mailer = Self::default();
        let router = Router::new().fallback({
            let mailer = mailer.clone();
            async move |message: String| mailer.answer(message)
        });
        let (client, url) = (reqwest::Client::new(), serve(router).await.unwrap());
        (mailer, Consumer { breaker: breaker(), client, url })
    }

    fn answer(&self, message: String) -> StatusCode {
        self.requests.lock().unwrap().push(message.clone());
        if *self.down.lock().unwrap() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let mut busy = self.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            return StatusCode::TOO_MANY_REQUESTS;
        }
        match &*message {
            "nonsense" => return StatusCode::BAD_REQUEST,
            "poison" => return StatusCode::INTERNAL_SERVER_ERROR,
            _ => {}
        }
        self.sent.lock().unwrap().push(message);
        StatusCode::OK
    }
}

#[tokio::test]
async fn messages_stay_in_the_queue_while_the_circuit_is_open_and_none_is_lost() {
    let (mailer, consumer) = Mailer::start().await;
    *mailer.down.lock().unwrap() = true;
    let breaker = consumer.breaker.clone();
    breaker.force_open(); // so that the test decides how long the circuit is open
    let (sender, queue) = mpsc::channel(10);
    let consumer = tokio::spawn(async move { consumer.run(queue).await });
    for message in ["a", "b", "c"] {
        sender.send(message.to_owned()).await.unwrap();
    }
    tokio::task::yield_now().await;
    assert_eq!(sender.capacity(), 10 - 3, "nothing was received");

    breaker.resume();
    breaker.reset();
    eventually(|| breaker.state() == State::Open).await;
    assert_eq!(sender.capacity(), 10 - 2, "the first message is kept, the others wait");
    assert_eq!(*mailer.requests.lock().unwrap(), ["a", "a"]);

    *mailer.down.lock().unwrap() = false;
    drop(sender);
    assert_eq!(consumer.await.unwrap(), [""; 0]);
    assert_eq!(*mailer.sent.lock().unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_message_that_the_service_refuses_is_set_aside_and_trips_nothing() {
    let (mailer, consumer) = Mailer::start().await;
    let breaker = consumer.breaker.clone();
    let (sender, queue) = mpsc::channel(10);
    for message in ["a", "nonsense", "nonsense", "nonsense", "b"] {
        sender.send(message.to_owned()).await.unwrap();
    }
    drop(sender);
    assert_eq!(consumer.run(queue).await, ["nonsense"; 3]);
    assert_eq!(*mailer.sent.lock().unwrap(), ["a", "b"]);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_message_that_fails_each_time_is_set_aside_after_ten_calls_and_the_next_one_is_sent() {
    let (mailer, mut consumer) = Mailer::start().await;
    let breaker = CircuitBreaker::builder("test").consecutive_failures(2);
    consumer.breaker = breaker.open_duration(Duration::from_millis(1)).build().unwrap();
    let (sender, queue) = mpsc::channel(10);
    for message in ["poison", "a"] {
        sender.send(message.to_owned()).await.unwrap();
    }
    drop(sender);
    let run = tokio::time::timeout(Duration::from_secs(20), consumer.run(queue));
    assert_eq!(run.await.expect("it ends"), ["poison"]);
    assert_eq!(*mailer.sent.lock().unwrap(), ["a"]);
    assert_eq!(mailer.requests.lock().unwrap().len(), 10 + 1);
}

#[tokio::test]
async fn a_message_that_comes_too_soon_for_the_service_is_sent_again() {
    let (mailer, consumer) = Mailer::start().await;
    *mailer.busy.lock().unwrap() = 1;
    let (sender, queue) = mpsc::channel(10);
    sender.send("a".to_owned()).await.unwrap();
    drop(sender);
    assert_eq!(consumer.run(queue).await, [""; 0]);
    assert_eq!(*mailer.sent.lock().unwrap(), ["a"]);
}

#[tokio::test]
async fn while_the_queue_is_empty_the_consumer_holds_no_probe_slot() {
    let (_, consumer) = Mailer::start().await;
    let breaker = consumer.breaker.clone();
    breaker.force_open();
    breaker.resume();
    let (sender, queue) = mpsc::channel::<String>(10);
    let consumer = tokio::spawn(async move { consumer.run(queue).await });
    for _ in 0..10 {
        tokio::task::yield_now().await; // the consumer asks
    }
    breaker.try_acquire().expect("the only slot is free").success();
    assert_eq!(breaker.state(), State::Closed);
    drop(sender);
    consumer.await.unwrap();
}
