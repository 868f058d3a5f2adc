//! Which errors of a database should a circuit breaker count? Not those of my own pool, surely.
//!
//! `cargo run -p tower-breaker-recipes --example pool`
//!
//! A full pool says that this program has too many queries at a time, so its timeout does not count. A row that is not
//! there or not unique shows that the database is well. A query without an answer has failed after a time limit, which
//! begins when it has a connection. This is with sqlx and SQLite, and its rules fit PostgreSQL, too.

use std::{io::ErrorKind, time::Duration};

use sqlx::Error;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, Outcome};

/// Runs a query on a connection of the pool, if the circuit admits it.
pub async fn query<T>(
    breaker: &CircuitBreaker,
    pool: &SqlitePool,
    query: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, Error>,
) -> Result<T, CircuitBreakerError<Error>> {
    let query = async {
        let mut connection = pool.acquire().await?;
        let result = tokio::time::timeout(Duration::from_secs(1), query(&mut connection)).await;
        result.unwrap_or_else(|_| {
            // In the pool, the connection would still be busy. The database may carry out the query later.
            drop(connection.detach());
            Err(Error::Io(ErrorKind::TimedOut.into()))
        })
    };
    breaker.call_with(query, |result| outcome(pool, result)).await
}

fn outcome<T>(pool: &SqlitePool, result: &Result<T, Error>) -> Outcome {
    let Err(error) = result else { return Outcome::Success };
    match error {
        // All connections are in use. If there is room for one that could not be opened, the database is down: sqlx
        // tries to connect until the pool's timeout ends, and returns this error, too.
        Error::PoolTimedOut if pool.size() >= pool.options().get_max_connections() => {
            Outcome::Ignored
        }
        Error::PoolClosed | Error::Configuration(_) => Outcome::Ignored, // nobody was asked
        Error::Database(error) => match error.code().as_deref().map(is_trouble) {
            Some(true) => Outcome::Failure,
            _ => Outcome::Success,
        },
        Error::PoolTimedOut | Error::Io(_) | Error::Tls(_) | Error::Protocol(_) => Outcome::Failure,
        Error::WorkerCrashed => Outcome::Failure,
        _ => Outcome::Success, // the database has answered, for example with no row
    }
}

/// Whether the code of an error says that the database is in trouble, and not the query.
fn is_trouble(code: &str) -> bool {
    if code.len() == 5 {
        // PostgreSQL: connection, resources, operator intervention, system, internal.
        return ["08", "53", "57", "58", "XX"].iter().any(|class| code.starts_with(class));
    }
    // SQLite, whose extended codes have the kind in the lowest byte: internal, busy, locked, out of memory, I/O error,
    // corrupt, full, cannot open.
    let code = code.parse().map(|code: u32| code & 0xff);
    code.is_ok_and(|code| [2, 5, 6, 7, 10, 11, 13, 14].contains(&code))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = SqlitePoolOptions::new().max_connections(1);
    let options = options.acquire_timeout(Duration::from_millis(100));
    let pool = options.connect("sqlite::memory:").await?;
    let breaker = CircuitBreaker::builder("database").consecutive_failures(1).build()?;
    let select = async |it: &mut SqliteConnection| sqlx::query("SELECT 1").execute(it).await;
    let mistake = async |it: &mut SqliteConnection| sqlx::query("SELEKT").execute(it).await;

    let connection = pool.acquire().await?; // somebody uses the only one
    println!("{:?}", query(&breaker, &pool, select).await);
    drop(connection);
    println!("{:?}", query(&breaker, &pool, mistake).await);
    println!("{}", breaker.snapshot());
    Ok(())
}
