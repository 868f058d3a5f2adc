//! A service with many dependencies, and the page on which operators see them.
//!
//! ```sh
//! cargo run --all-features --example admin
//! cargo run --all-features --example admin -- --seconds 60
//! ```
//!
//! It calls simulated dependencies. `payments` is down for half a minute out of each minute, `search` fails now and then,
//! `reports` has become slow, and one of the hosts of `crawler` in fifty does not answer. `recommendations` is in shadow
//! mode, and operators hold `legacy-import` open and `exchange-rates` closed. It prints the address of the page and runs
//! until Ctrl-C. The page is served on a loopback port, where everybody on this machine can operate the circuits: see the
//! documentation of `tower_breaker::admin` for who may use it.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use tokio::time::{Instant, sleep};
use tower_breaker::admin::AdminService;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{CircuitBreaker, ConfigError, Operator, OperatorAction};

/// Whether a call to a dependency fails, by the seconds since the beginning and the number of the call.
type Fails = fn(seconds: u64, call: u64) -> bool;

const CALLS_PER_SECOND: u64 = 20;

/// Calls a dependency again and again.
async fn call(breaker: CircuitBreaker, fails: Fails) {
    let began = Instant::now();
    for n in 0.. {
        if let Ok(permit) = breaker.try_acquire() {
            let slow = breaker.name() == "reports" && n % 3 == 0;
            sleep(Duration::from_millis(if slow { 150 } else { 5 })).await;
            if fails(began.elapsed().as_secs(), n) {
                permit.describe_failure("connection refused");
                permit.failure();
            } else {
                permit.success();
            }
        }
        sleep(Duration::from_millis(1000 / CALLS_PER_SECOND)).await;
    }
}

/// Calls two hundred hosts, one in fifty of which does not answer.
async fn crawl(hosts: CircuitBreakerRegistry<String>) {
    for n in 0_u64.. {
        let host = n * 7 % 200;
        if let Ok(permit) = hosts.try_acquire(&format!("host-{host}.example.com")) {
            if host % 50 == 3 {
                permit.describe_failure("no answer within 5s");
                permit.failure();
            } else {
                permit.success();
            }
        }
        sleep(Duration::from_millis(3)).await;
    }
}

fn breakers() -> Result<Vec<(CircuitBreaker, Fails)>, ConfigError> {
    let usual = |name: &str| {
        CircuitBreaker::builder(name).consecutive_failures(5).failure_rate_threshold(0.5)
    };
    let slow = usual("reports")
        .slow_call_duration_threshold(Duration::from_millis(100))
        .slow_call_rate_threshold(0.5);
    let legacy = usual("legacy-import").build()?;
    legacy.operate(OperatorAction::ForceOpen, Operator::new("alice", "moves to a new host"))?;
    let rates = usual("exchange-rates").build()?;
    rates.operate(OperatorAction::ForceClosed, Operator::new("bob", "yesterday's rates do"))?;
    Ok(vec![
        (usual("accounts").build()?, |_, _| false),
        (usual("payments").build()?, |seconds, _| seconds % 60 < 30 && seconds > 2),
        (usual("search").build()?, |_, n| n % 4 == 0),
        (usual("mail").build()?, |_, n| n % 97 == 0),
        (slow.build()?, |_, _| false),
        (usual("recommendations").enforcement(0.0).build()?, |_, n| n % 10 < 7),
        (legacy, |_, _| true),
        (rates, |_, n| n % 10 < 8),
    ])
}

async fn run(seconds: Option<u64>) -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let template = CircuitBreaker::builder("crawler").consecutive_failures(3);
    let hosts = CircuitBreakerRegistry::builder(template).capacity(1000).build()?;

    let mut admin = AdminService::new()
        .registry(&hosts)
        .operations(true)
        .actor(|_| "somebody on this machine".into());
    for (breaker, fails) in breakers()? {
        admin = admin.breaker(&breaker);
        tokio::spawn(call(breaker, fails));
    }
    tokio::spawn(crawl(hosts));

    let app = Router::new().nest_service("/circuits", admin);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/circuits/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    match seconds {
        Some(seconds) => sleep(Duration::from_secs(seconds)).await,
        None => tokio::signal::ctrl_c().await?,
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = match &arguments[..] {
        [] => None,
        [flag, seconds] if flag == "--seconds" && seconds.parse::<u64>().is_ok() => {
            seconds.parse().ok()
        }
        _ => {
            eprintln!("usage: admin [--seconds <number>]");
            return ExitCode::from(2);
        }
    };
    match run(seconds).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the example could not run: {error}");
            ExitCode::FAILURE
        }
    }
}
