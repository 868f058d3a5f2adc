//! A circuit breaker around code that does not use Tower: an async function, and blocking code.
//!
//! ```sh
//! cargo run --example no_service
//! ```
//!
//! Both connect to a loopback port. At first nothing listens there, and later something does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tower_breaker::{CircuitBreaker, CircuitBreakerError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The port is bound, so that no other process takes it, but nothing listens: connections are refused.
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let address = socket.local_addr()?;

    let database = breaker("database")?;
    let metrics = breaker("metrics")?;

    println!("nothing listens on the port");
    for _ in 0..5 {
        query(&database, address).await;
        send(&metrics, address);
    }

    println!("the port accepts connections");
    let _listener = socket.listen(16)?;
    // This is longer than the open period, so the next call is a probe.
    tokio::time::sleep(Duration::from_millis(600)).await;
    for _ in 0..2 {
        query(&database, address).await;
        send(&metrics, address);
    }
    Ok(())
}

fn breaker(name: &str) -> Result<CircuitBreaker, tower_breaker::ConfigError> {
    CircuitBreaker::builder(name)
        .consecutive_failures(3)
        .failure_rate_threshold(0.5) // setting a rule replaces the default rules, so both are set
        .open_duration(Duration::from_millis(500))
        .half_open(tower_breaker::HalfOpen::consecutive_successes(1))
        .on_transition(|transition| println!("   {transition}"))
        .build()
}

/// An async function. `call` runs a future if the circuit admits the call, and an `Err` is a failure.
async fn query(breaker: &CircuitBreaker, address: SocketAddr) {
    // The timeout is inside, so that a hang counts as a failure.
    let connect = async {
        let connect = TcpStream::connect(address);
        tokio::time::timeout(Duration::from_secs(1), connect).await?
    };
    match breaker.call(connect).await {
        Ok(_) => println!("   query:  connected"),
        Err(CircuitBreakerError::Rejected(rejected)) => println!("   query:  {rejected}"),
        Err(CircuitBreakerError::Inner(error)) => println!("   query:  {error}"),
    }
}

/// Blocking code, or code that decides by itself what is a failure. `try_acquire` returns a permit, and the
/// result is reported to the permit. This needs no async runtime.
fn send(breaker: &CircuitBreaker, address: SocketAddr) {
    let permit = match breaker.try_acquire() {
        Ok(permit) => permit,
        Err(rejected) => return println!("   send:   {rejected}"),
    };
    match std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        Ok(_) => {
            permit.success();
            println!("   send:   connected");
        }
        // This error is our own fault and says nothing about the other side, so it is not counted.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => permit.ignore(),
        Err(error) => {
            permit.failure();
            println!("   send:   {error}");
        }
    }
}
