//! The programs of the pages in `src/docs/moving/`, before and after they used `tower-breaker`. Both do the same in an
//! outage, and the pages show them as they are here. What the pages say about the other crates is in `facts.rs`.

mod facts;
mod failsafe_after;
mod failsafe_before;
mod pages;
mod recloser_after;
mod recloser_before;
mod tower_resilience_after;
mod tower_resilience_before;

use std::time::Duration;

use tower_breaker_recipes::{Answer, Backend};

/// How long the circuit of a program is open at first.
const WAIT: Duration = Duration::from_secs(1);

/// What a program did in an outage of its server.
#[derive(Debug, PartialEq)]
struct Behaviour {
    /// How many calls failed before the first was not sent.
    failures_until_it_opened: usize,
    /// How many failed after the wait, with the server still down, before one was not sent again.
    failed_probes: usize,
}

async fn behaviour<P>(
    new: impl Fn(&str, Duration) -> P,
    price: impl AsyncFn(&P, &str) -> Result<String, String>,
) -> Behaviour {
    let server = Backend::start("5.00").await.unwrap();
    let prices = new(server.url(), WAIT);
    let failures_until_not_sent = async || {
        let before = server.hits();
        for failures in 0..100 {
            match price(&prices, "tea").await {
                Err(error) if error == "not sent" => {
                    assert_eq!(
                        server.hits() - before,
                        failures,
                        "a call that was not sent arrived"
                    );
                    return failures;
                }
                Err(error) => assert!(error.starts_with("failed: "), "{error}"),
                Ok(price) => panic!("a price of {price} in an outage"),
            }
        }
        panic!("the circuit has never opened");
    };

    // A 404 is no failure, and the circuit stays closed.
    server.set(Answer::Status(404));
    for _ in 0..10 {
        assert!(price(&prices, "tea").await.unwrap_err().starts_with("failed: "));
    }
    server.set(Answer::Status(200));
    for _ in 0..10 {
        assert_eq!(price(&prices, "tea").await.unwrap(), "5.00");
    }

    server.set(Answer::Status(500));
    let failures_until_it_opened = failures_until_not_sent().await;
    tokio::time::sleep(WAIT + Duration::from_millis(10)).await;
    let failed_probes = failures_until_not_sent().await;

    server.set(Answer::Status(200));
    tokio::time::sleep(2 * WAIT + Duration::from_millis(10)).await; // it has doubled, if there is a backoff
    for _ in 0..10 {
        assert_eq!(price(&prices, "tea").await.unwrap(), "5.00");
    }
    Behaviour { failures_until_it_opened, failed_probes }
}

macro_rules! behaviour {
    ($program:ident) => {
        behaviour($program::Prices::new, async |prices, item| prices.price(item).await)
    };
}

#[tokio::test]
async fn a_program_with_failsafe_does_the_same_with_tower_breaker() {
    let (before, after) = tokio::join!(behaviour!(failsafe_before), behaviour!(failsafe_after));
    assert_eq!(before, Behaviour { failures_until_it_opened: 3, failed_probes: 1 });
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_program_with_recloser_does_the_same_with_tower_breaker() {
    let (before, after) = tokio::join!(behaviour!(recloser_before), behaviour!(recloser_after));
    assert_eq!(before, Behaviour { failures_until_it_opened: 2, failed_probes: 3 });
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_program_with_tower_resilience_does_the_same_with_tower_breaker() {
    let (before, after) =
        tokio::join!(behaviour!(tower_resilience_before), behaviour!(tower_resilience_after));
    assert_eq!(before, Behaviour { failures_until_it_opened: 3, failed_probes: 1 });
    assert_eq!(after, before);
}
