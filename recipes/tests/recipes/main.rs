//! Runs the code of each recipe against servers on loopback ports that fail, hang or disappear.
//!
//! A file here includes the recipe of the same name, so that what is tested is what people copy.

mod circuit_per_route;
mod consumer;
mod failover;
mod gateway;
mod grpc;
mod health;
mod hedge;
mod index;
mod kinds_of_failure;
mod pool;
mod redis_cache;
mod reqwest_middleware;
mod shutdown;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tower_breaker::{CircuitBreaker, HalfOpen};

/// Trips after two failures in a row, waits for two seconds, and closes after one successful probe. The wait is long enough
/// for a busy machine to see it.
fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("test")
        .consecutive_failures(2)
        .open_duration(Duration::from_secs(2))
        .half_open(HalfOpen::consecutive_successes(1))
        .build()
        .unwrap()
}

/// Waits until an open circuit would admit a call.
async fn wait_until_it_probes(breaker: &CircuitBreaker) {
    while let Some(wait) = breaker.snapshot().retry_after().filter(|wait| !wait.is_zero()) {
        tokio::time::sleep(wait).await;
    }
}

/// Waits until something holds. What never holds fails the test.
async fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "this never holds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port that is bound, so that no other process takes it, and on which nothing listens.
fn dead_port() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}
