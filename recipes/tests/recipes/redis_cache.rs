#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/redis_cache.rs"]
mod recipe;

use redis::AsyncTypedCommands;
use tower_breaker::State;
use tower_breaker_recipes::RedisServer;

use self::recipe::Cache;
use crate::{breaker, wait_until_it_probes};

#[tokio::test]
async fn the_last_known_values_are_served_while_redis_is_down_and_new_ones_when_it_is_back() {
    let server = match RedisServer::start().await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "redis-server is not installed");
            return eprintln!("not run, because redis-server is not installed");
        }
        server => server.unwrap(),
    };
    let breaker = breaker();
    let cache = Cache::new(&server.url(), breaker.clone()).unwrap();
    set(&server, "greeting", "hello").await;
    assert_eq!(cache.get("greeting").await.as_deref(), Some("hello"));
    assert_eq!(cache.get("farewell").await, None);

    let port = server.kill();
    while breaker.state() == State::Closed {
        assert_eq!(cache.get("greeting").await.as_deref(), Some("hello"));
    }
    assert_eq!(cache.get("greeting").await.as_deref(), Some("hello"));
    assert_eq!(cache.get("farewell").await, None);

    let server = RedisServer::restart(port).await.unwrap();
    set(&server, "greeting", "good morning").await;
    // The client has to connect again, which takes up to a second. If a probe comes before that, the next one succeeds.
    for _ in 0..10 {
        wait_until_it_probes(&breaker).await;
        if cache.get("greeting").await.as_deref() == Some("good morning") {
            break;
        }
    }
    assert_eq!(cache.get("greeting").await.as_deref(), Some("good morning"));
    assert_eq!(breaker.state(), State::Closed);

    // A value of another type is the mistake of a caller.
    let mut connection = connect(&server).await;
    connection.lpush("list", "item").await.unwrap();
    for _ in 0..3 {
        assert_eq!(cache.get("list").await, None);
    }
    assert_eq!(breaker.state(), State::Closed);
}

async fn connect(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn set(server: &RedisServer, key: &str, value: &str) {
    connect(server).await.set(key, value).await.unwrap();
}
