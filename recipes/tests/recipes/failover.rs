#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/failover.rs"]
mod recipe;

use http::Response;
use http_body_util::BodyExt;
use tower::BoxError;
use tower_breaker_recipes::{Answer, Backend};

use self::recipe::{Provider, ask};

async fn two_backends() -> (Backend, Backend, [Provider; 2]) {
    let (first, second) =
        (Backend::start("first").await.unwrap(), Backend::start("second").await.unwrap());
    let provider = |name, backend: &Backend| Provider::new(name, backend.url().parse().unwrap());
    let providers = [provider("first", &first).unwrap(), provider("second", &second).unwrap()];
    (first, second, providers)
}

async fn text(response: Response<axum::body::Body>) -> Result<String, BoxError> {
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().into())?)
}

#[tokio::test]
async fn a_healthy_provider_answers_alone() {
    let (_, second, providers) = two_backends().await;
    assert_eq!(text(ask(&providers).await.unwrap()).await.unwrap(), "first");
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn the_next_provider_answers_for_one_that_fails_or_hangs() {
    let (first, _, providers) = two_backends().await;
    for answer in [Answer::Status(500), Answer::Silence] {
        first.set(answer);
        assert_eq!(text(ask(&providers).await.unwrap()).await.unwrap(), "second");
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_continued_by_another_provider() {
    let (first, second, providers) = two_backends().await;
    first.set(Answer::BreaksOff);
    text(ask(&providers).await.unwrap()).await.unwrap_err();
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn answers_that_break_off_trip_the_circuit_and_then_the_next_provider_is_asked() {
    let (first, _, providers) = two_backends().await;
    first.set(Answer::BreaksOff);
    for _ in 0..5 {
        text(ask(&providers).await.unwrap()).await.unwrap_err();
    }
    assert_eq!(text(ask(&providers).await.unwrap()).await.unwrap(), "second");
    assert_eq!(first.hits(), 5);
}

#[tokio::test]
async fn the_error_of_the_last_provider_is_returned() {
    let (first, second, providers) = two_backends().await;
    first.set(Answer::Status(500));
    second.set(Answer::Status(502));
    let error = ask(&providers).await.unwrap_err().to_string();
    assert!(error.ends_with("answered 502 Bad Gateway"), "{error}");
}
