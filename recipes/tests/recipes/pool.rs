#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/pool.rs"]
mod recipe;

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, Error, Executor};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, State};

use self::recipe::query;
use crate::{breaker, wait_until_it_probes};

/// A database in a file of its own.
struct Database {
    folder: std::path::PathBuf,
    options: SqliteConnectOptions,
}

impl Database {
    async fn create(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("tower-breaker-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.join("users.db"))
            .create_if_missing(true)
            .busy_timeout(Duration::from_millis(50));
        let this = Self { folder, options };
        let pool = this.pool(1).await;
        pool.execute("CREATE TABLE users (name TEXT UNIQUE)").await.unwrap();
        pool.execute("INSERT INTO users VALUES ('ada')").await.unwrap();
        pool.close().await;
        this
    }

    async fn pool(&self, connections: u32) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_millis(200))
            .connect_with(self.options.clone())
            .await
            .unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn insert(
    breaker: &CircuitBreaker,
    pool: &SqlitePool,
    name: &str,
) -> Result<(), CircuitBreakerError<Error>> {
    let insert = sqlx::query("INSERT INTO users VALUES (?)").bind(name.to_owned());
    query(breaker, pool, async |connection| insert.execute(connection).await).await.map(drop)
}

#[tokio::test]
async fn a_full_pool_does_not_trip_the_circuit() {
    let database = Database::create("full").await;
    let (breaker, pool) = (breaker(), database.pool(1).await);
    let _used = pool.acquire().await.unwrap();
    for _ in 0..3 {
        let error = insert(&breaker, &pool, "bob").await.unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(Error::PoolTimedOut)), "{error}");
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().consecutive_failures(), 0);
}

#[tokio::test]
async fn mistakes_of_queries_do_not_trip_the_circuit() {
    let database = Database::create("mistakes").await;
    let (breaker, pool) = (breaker(), database.pool(1).await);
    for _ in 0..3 {
        insert(&breaker, &pool, "ada").await.unwrap_err(); // not unique
        let mistake = sqlx::query("SELEKT");
        query(&breaker, &pool, async |it| mistake.execute(it).await).await.unwrap_err();
        let none = sqlx::query("SELECT name FROM users WHERE name = 'bob'");
        let error = query(&breaker, &pool, async |it| none.fetch_one(it).await)
            .await
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, CircuitBreakerError::Inner(Error::RowNotFound)), "{error}");
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_database_that_is_locked_by_somebody_trips_the_circuit_until_it_is_free() {
    let database = Database::create("locked").await;
    let (breaker, pool) = (breaker(), database.pool(2).await);
    let mut other = sqlx::SqliteConnection::connect_with(&database.options).await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    for _ in 0..2 {
        let error = insert(&breaker, &pool, "bob").await.unwrap_err();
        assert!(error.rejected().is_none(), "{error}");
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(insert(&breaker, &pool, "bob").await.unwrap_err().rejected().is_some());

    other.execute("COMMIT").await.unwrap();
    wait_until_it_probes(&breaker).await;
    insert(&breaker, &pool, "bob").await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_database_that_hangs_trips_the_circuit_although_it_keeps_all_connections_busy() {
    let mut database = Database::create("hanging").await;
    database.options = database.options.clone().busy_timeout(Duration::from_secs(600));
    let (breaker, pool) = (breaker(), database.pool(1).await);
    let mut other = sqlx::SqliteConnection::connect_with(&database.options).await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    let _second = {
        // Two at a time, so that one of them finds the pool full.
        let (breaker, pool) = (breaker.clone(), pool.clone());
        tokio::spawn(async move { insert(&breaker, &pool, "cyd").await })
    };
    let calls = async {
        while breaker.state() == State::Closed {
            let error = insert(&breaker, &pool, "bob").await.unwrap_err();
            assert!(error.rejected().is_none(), "{error}");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), calls).await.expect("it trips");
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_trips_the_circuit() {
    let options = SqliteConnectOptions::new().filename("/no/such/folder/users.db");
    let pool = SqlitePoolOptions::new().connect_lazy_with(options);
    let breaker = breaker();
    for _ in 0..2 {
        insert(&breaker, &pool, "bob").await.unwrap_err();
    }
    assert_eq!(breaker.state(), State::Open);
}
