//! A circuit breaker around things that are no Tower service: an async function, and blocking code.
//!
//! ```sh
//! cargo run --example no_service
//! ```
//!
//! Both connect to a loopback port where nobody listens at first, and somebody does later.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tower_breaker::{CircuitBreaker, CircuitBreakerError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Bound, so that nobody else gets the port, but not listening: connections are refused.
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let address = socket.local_addr()?;

    let database = breaker("database")?;
    let metrics = breaker("metrics")?;

    println!("nobody listens");
    for _ in 0..5 {
        query(&database, address).await;
        send(&metrics, address);
    }

    println!("somebody listens");
    let _listener = socket.listen(16)?;
    // Longer than the breakers are open, so that they let a call through to probe.
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
        .open_duration(Duration::from_millis(500))
        .half_open(tower_breaker::HalfOpen::consecutive_successes(1))
        .on_transition(|transition| println!("   {transition}"))
        .build()
}

/// An async function: `call` runs a future if the circuit admits it, and an `Err` is a failure.
async fn query(breaker: &CircuitBreaker, address: SocketAddr) {
    // The timeout belongs inside, so that what hangs has failed.
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

/// Blocking code, or any whose result takes some thought: `try_acquire` gives a permit, and the
/// permit is told how it went. It needs no async runtime.
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
        // Our own fault: it says nothing about the other side, so it is not counted.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => permit.ignore(),
        Err(error) => {
            permit.failure();
            println!("   send:   {error}");
        }
    }
}
