//! Circuit breakers from a file, and what they say of themselves.
//!
//! ```sh
//! cargo run --example config_file --features serde
//! ```
//!
//! The clock is paused and jumps to whatever is waited for next, so that nobody has to wait.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tower_breaker::{CircuitBreaker, Config, Permit, State};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/circuits.toml");

/// The breakers by the names of their tables.
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

    println!("with a probe each, as soon as the wait is over");
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

/// Half a second later, so that it is not all zeros.
async fn show(breakers: &BTreeMap<String, CircuitBreaker>) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (name, breaker) in breakers {
        println!("   {name}: {}", breaker.snapshot());
    }
}
