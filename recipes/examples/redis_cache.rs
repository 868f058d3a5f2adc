//! Redis is only a cache. How does my service go on without it, and without waiting for it?
//!
//! `cargo run -p tower-breaker-recipes --example redis_cache` (needs `redis-server`)
//!
//! A small local cache answers what Redis does not. While the circuit is open, nobody waits for Redis.

use std::collections::HashMap;
use std::{io, sync::Mutex, time::Duration};

use redis::AsyncTypedCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::time::timeout;
use tower_breaker::{CircuitBreaker, Outcome};
use tower_breaker_recipes::RedisServer;

const PATIENCE: Duration = Duration::from_millis(100);

pub struct Cache {
    breaker: CircuitBreaker,
    redis: ConnectionManager,
    /// What Redis has answered. With many keys, use a cache of bounded size, such as moka.
    last_known: Mutex<HashMap<String, String>>,
}

impl Cache {
    pub fn new(url: &str, breaker: CircuitBreaker) -> redis::RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            // With fewer attempts, the first probe after an outage gets the error of the last one.
            .set_number_of_retries(usize::MAX)
            .set_max_delay(Duration::from_secs(1));
        // Lazy, so that the service starts without Redis as well.
        let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)?;
        Ok(Self { breaker, redis, last_known: Mutex::default() })
    }

    /// Returns the value of a key in Redis, or the last known one if Redis does not answer.
    pub async fn get(&self, key: &str) -> Option<String> {
        let mut redis = self.redis.clone();
        // A command waits for the connection, so the timeout has to be around it.
        let get = async { timeout(PATIENCE, redis.get(key)).await.map_err(io::Error::from)? };
        let answer = self.breaker.call_with(get, outcome).await;
        let mut last_known = self.last_known.lock().expect("no panic with the lock held");
        match answer {
            Ok(Some(value)) => {
                last_known.insert(key.to_owned(), value.clone());
                Some(value)
            }
            Ok(None) => last_known.remove(key).and(None),
            Err(_) => last_known.get(key).cloned(),
        }
    }
}

/// A key of another type shows that Redis is well. All else is a failure: no connection, a timeout, `LOADING`.
fn outcome<T>(result: &redis::RedisResult<T>) -> Outcome {
    match result {
        Err(error) if error.code() == Some("WRONGTYPE") => Outcome::Success,
        Err(_) => Outcome::Failure,
        Ok(_) => Outcome::Success,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = RedisServer::start().await?;
    let breaker = CircuitBreaker::builder("redis")
        .consecutive_failures(3)
        .open_duration(Duration::from_millis(500))
        .on_transition(|transition| println!("{transition}"))
        .build()?;
    let cache = Cache::new(&server.url(), breaker)?;
    cache.redis.clone().set("greeting", "hello").await?;
    println!("{:?}", cache.get("greeting").await);
    drop(server);
    for _ in 0..5 {
        println!("{:?}", cache.get("greeting").await);
    }
    Ok(())
}
