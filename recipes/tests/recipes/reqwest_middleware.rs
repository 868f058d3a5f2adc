#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/reqwest_middleware.rs"]
mod recipe;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Error, Middleware, Next, Result};
use tower_breaker::State;
use tower_breaker_recipes::{Answer, Backend};

use self::recipe::{Breaker, rejected};
use crate::{breaker, dead_port, wait_until_it_probes};

/// A middleware that fails before it sends anything.
struct NoToken;

#[async_trait::async_trait]
impl Middleware for NoToken {
    async fn handle(&self, _: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        Err(Error::middleware(std::io::Error::other("no token")))
    }
}

#[tokio::test]
async fn an_outage_of_the_server_opens_the_circuit_and_its_recovery_closes_it() {
    let (backend, breaker) = (Backend::start("catalogue").await.unwrap(), breaker());
    let client = ClientBuilder::new(reqwest::Client::new()).with(Breaker(breaker.clone())).build();
    let get = async || client.get(backend.url()).send().await;

    backend.set(Answer::Status(500));
    for _ in 0..2 {
        assert_eq!(get().await.unwrap().status(), 500);
    }
    let error = get().await.unwrap_err();
    assert_eq!(rejected(&error).unwrap().breaker(), "test");
    assert_eq!(backend.hits(), 2);

    backend.set(Answer::Status(200));
    wait_until_it_probes(&breaker).await;
    assert_eq!(get().await.unwrap().status(), 200);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn refused_connections_count_and_failures_of_other_middleware_do_not() {
    let (breaker, (address, _port)) = (breaker(), dead_port());
    let client = ClientBuilder::new(reqwest::Client::new()).with(Breaker(breaker.clone()));
    let client = client.with(NoToken).build();
    for _ in 0..3 {
        let error = client.get(format!("http://{address}/")).send().await.unwrap_err();
        assert!(rejected(&error).is_none());
    }
    assert_eq!(breaker.state(), State::Closed);

    let client = ClientBuilder::new(reqwest::Client::new()).with(Breaker(breaker.clone())).build();
    for _ in 0..2 {
        client.get(format!("http://{address}/")).send().await.unwrap_err();
    }
    assert_eq!(breaker.state(), State::Open);
}
