//! Which errors of a database should a circuit breaker count? Not those of my own pool, surely.
//!
//! `cargo run -p tower-breaker-recipes --example pool`
//!
//! A full pool says that this program has too many queries at a time, so its timeout does not count. A row that is not
//! there or not unique shows that the database is well. This is with sqlx and SQLite, and its rules fit PostgreSQL, too.

use std::time::Duration;

use sqlx::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, Outcome};

/// Runs a query if the circuit admits it. The query takes its connection from the pool.
pub async fn query<T>(
    breaker: &CircuitBreaker,
    pool: &SqlitePool,
    query: impl Future<Output = Result<T, Error>>,
) -> Result<T, CircuitBreakerError<Error>> {
    let classify = |result: &Result<T, Error>| match result {
        Ok(_) => Outcome::Success,
        Err(error) => outcome(pool, error),
    };
    breaker.call_with(query, classify).await
}

fn outcome(pool: &SqlitePool, error: &Error) -> Outcome {
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
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(100))
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await?;
    let breaker = CircuitBreaker::builder("database").consecutive_failures(1).build()?;

    let connection = pool.acquire().await?; // somebody uses the only one
    println!("{:?}", query(&breaker, &pool, sqlx::query("SELECT 1").execute(&pool)).await);
    drop(connection);
    println!("{:?}", query(&breaker, &pool, sqlx::query("SELEKT").execute(&pool)).await);
    println!("{}", breaker.snapshot());
    Ok(())
}
