#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/kinds_of_failure.rs"]
mod recipe;

use http::Request;
use http_body_util::Empty;
use tower::ServiceExt;
use tower_breaker::{Rejected, State};
use tower_breaker_recipes::{Answer, Backend};

use self::recipe::{HttpClient, breakers, client};
use crate::{dead_port, deaf_port};

async fn get(client: &HttpClient, url: &str) -> Result<u16, tower::BoxError> {
    let request = Request::get(url).body(Empty::new()).unwrap();
    Ok(client.clone().oneshot(request).await?.status().as_u16())
}

#[tokio::test]
async fn two_refused_connections_trip_the_one_and_say_nothing_to_the_other() {
    let [connections, answers] = breakers().unwrap();
    let client = client([connections.clone(), answers.clone()]);
    let (address, _port) = dead_port();
    for _ in 0..20 {
        get(&client, &format!("http://{address}/")).await.unwrap_err();
    }
    assert_eq!(connections.state(), State::Open);
    assert_eq!(answers.state(), State::Closed);
    assert_eq!(answers.snapshot().calls(), 0);
}

#[tokio::test]
async fn ten_bad_answers_trip_the_other_and_say_nothing_to_the_one() {
    let [connections, answers] = breakers().unwrap();
    let client = client([connections.clone(), answers.clone()]);
    let backend = Backend::start("search").await.unwrap();
    backend.set(Answer::Status(500));
    for _ in 0..10 {
        assert_eq!(get(&client, backend.url()).await.unwrap(), 500);
    }
    let error = get(&client, backend.url()).await.unwrap_err();
    assert_eq!(error.downcast::<Rejected>().unwrap().breaker(), "answers");
    assert_eq!(connections.state(), State::Closed);
    assert_eq!(connections.snapshot().consecutive_failures(), 0);
}

#[tokio::test]
async fn a_host_that_does_not_answer_to_connections_trips_the_one_and_says_nothing_to_the_other() {
    let [connections, answers] = breakers().unwrap();
    let client = client([connections.clone(), answers.clone()]);
    let (address, _port) = deaf_port().await;
    for _ in 0..2 {
        get(&client, &format!("http://{address}/")).await.unwrap_err();
    }
    assert_eq!(connections.state(), State::Open);
    assert_eq!(answers.snapshot().calls(), 0);
}

#[tokio::test]
async fn a_call_that_runs_out_of_time_does_not_end_a_streak_of_failed_connections() {
    let [connections, answers] = breakers().unwrap();
    let client = client([connections.clone(), answers]);
    let (address, _port) = dead_port();
    get(&client, &format!("http://{address}/")).await.unwrap_err();
    let backend = Backend::start("search").await.unwrap();
    backend.set(Answer::Silence);
    get(&client, backend.url()).await.unwrap_err();
    assert_eq!(connections.snapshot().consecutive_failures(), 1);
}
