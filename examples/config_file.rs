//! Builds circuit breakers from a file, and prints what they say about themselves.
//!
//! ```sh
//! cargo run --example config_file --features serde
//! ```
//!
//! The clock is paused and jumps ahead whenever the program waits, so the example runs at once.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tower_breaker::{CircuitBreaker, Config, Permit, State};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/circuits.toml");

/// Builds a breaker for each table of the file, under the name of the table.
fn load(text: &str) -> Result<BTreeMap<String, CircuitBreaker>, Box<dyn Error>> {
    let configs: BTreeMap<String, Config> = toml::from_str(text)?;
    let mut breakers = BTreeMap::new();
    for (name, config) in configs {
        let builder = config.builder(name.as_str()).on_transition(|change| println!("   {change}"));
        breakers.insert(name, builder.build()?);
    }
    Ok(breakers)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(FILE)?;
    let breakers = load(&text)?;
    println!("closed");
    show(&breakers).await;

    println!("after two failures");
    for breaker in breakers.values() {
        (0..2).for_each(|_| fail(breaker));
    }
    show(&breakers).await;

    println!("after failures until they open");
    for breaker in breakers.values() {
        while breaker.state() == State::Closed {
            fail(breaker);
        }
    }
    show(&breakers).await;

    println!("with a probe each, as soon as the open period has elapsed");
    let mut probes = Vec::new();
    for breaker in breakers.values() {
        probes.push(breaker.acquire().await);
    }
    show(&breakers).await;

    probes.into_iter().for_each(Permit::success);

    println!("with a mistake in the file");
    let wrong = text.replace("failure_rate_threshold = 0.2", "failure_rate_threshold = 20");
    let error = load(&wrong).expect_err("a rate is at most 1");
    println!("{error}");
    Ok(())
}

fn fail(breaker: &CircuitBreaker) {
    breaker.try_acquire().expect("it is closed").failure();
}

/// Prints all breakers, half a second later, so that their ages are not zero.
async fn show(breakers: &BTreeMap<String, CircuitBreaker>) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (name, breaker) in breakers {
        println!("   {name}: {}", breaker.snapshot());
    }
}
