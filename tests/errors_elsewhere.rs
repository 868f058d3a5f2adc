//! How the error of a call goes on into the error types that applications use.

use std::error::Error;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, CircuitBreakerService, Classifier,
    Outcome, Permit, Rejected, State,
};

fn open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("payments");
    breaker.trip();
    breaker
}

async fn rejected() -> Result<u32, CircuitBreakerError<io::Error>> {
    open().call(async { Ok(1) }).await
}

async fn failed() -> Result<u32, CircuitBreakerError<io::Error>> {
    let breaker = CircuitBreaker::new("payments");
    breaker.call(async { Err(io::ErrorKind::TimedOut.into()) }).await
}

#[tokio::test]
async fn a_question_mark_turns_it_into_a_boxed_error_with_or_without_send_and_sync() {
    async fn boxed() -> Result<u32, BoxError> {
        Ok(rejected().await?)
    }
    async fn not_send() -> Result<u32, Box<dyn Error>> {
        Ok(failed().await?)
    }
    assert!(boxed().await.unwrap_err().is::<Rejected>());
    assert!(not_send().await.unwrap_err().is::<io::Error>());
}

#[tokio::test]
async fn anyhow_and_eyre_take_either_variant_and_find_it_again() {
    async fn anyhow() -> anyhow::Result<u32> {
        rejected().await.map_err(|error| match error {
            CircuitBreakerError::Rejected(rejected) => rejected.into(),
            CircuitBreakerError::Inner(error) => error.into(),
        })
    }
    async fn eyre() -> eyre::Result<u32> {
        failed().await.map_err(|error| match error {
            CircuitBreakerError::Rejected(rejected) => rejected.into(),
            CircuitBreakerError::Inner(error) => error.into(),
        })
    }
    assert!(anyhow().await.unwrap_err().is::<Rejected>());
    assert!(eyre().await.unwrap_err().is::<io::Error>());
}

#[tokio::test]
async fn an_enum_of_thiserror_has_a_variant_for_each() {
    #[derive(Debug, thiserror::Error)]
    enum AppError {
        #[error("try again later")]
        Unavailable(#[source] Rejected),
        #[error("the payment failed")]
        Failed(#[from] io::Error),
    }

    impl From<CircuitBreakerError<io::Error>> for AppError {
        fn from(error: CircuitBreakerError<io::Error>) -> Self {
            match error {
                CircuitBreakerError::Rejected(rejected) => Self::Unavailable(rejected),
                CircuitBreakerError::Inner(error) => Self::Failed(error),
            }
        }
    }

    async fn pay(result: Result<u32, CircuitBreakerError<io::Error>>) -> Result<u32, AppError> {
        Ok(result?)
    }
    assert!(matches!(pay(rejected().await).await, Err(AppError::Unavailable(_))));
    assert!(matches!(pay(failed().await).await, Err(AppError::Failed(_))));
}

#[tokio::test]
async fn the_inner_error_can_be_taken_out_and_converted() {
    assert_eq!(failed().await.unwrap_err().into_inner().unwrap().kind(), io::ErrorKind::TimedOut);
    assert!(rejected().await.unwrap_err().into_inner().is_none());
    let text = |result: Result<u32, CircuitBreakerError<io::Error>>| {
        result.unwrap_err().map_inner(|error| error.kind().to_string())
    };
    assert_eq!(text(failed().await), CircuitBreakerError::Inner("timed out".to_owned()));
    assert!(text(rejected().await).rejected().is_some());
}

#[tokio::test]
async fn the_recommended_stack_compiles_in_a_spawned_task() {
    let client = ServiceBuilder::new()
        .map_err(CircuitBreakerError::<BoxError>::into_boxed)
        .layer(CircuitBreakerLayer::new(open()))
        .timeout(Duration::from_secs(1))
        .service(service_fn(|n: u32| async move { Ok::<_, io::Error>(n) }));
    let error = tokio::spawn(async move { client.oneshot(1).await }).await.unwrap().unwrap_err();
    assert!(error.is::<Rejected>());
}

#[test]
fn retry_after_seconds_are_whole_rounded_up_and_at_least_one() {
    let seconds = |wait: Duration| {
        let breaker = CircuitBreaker::builder("seconds").open_duration(wait).build().unwrap();
        breaker.trip();
        let rejected = breaker.try_acquire().unwrap_err();
        rejected.retry_after_seconds()
    };
    assert_eq!(seconds(Duration::from_secs(60)), Some(60));
    assert_eq!(seconds(Duration::from_secs_f64(60.9)), Some(61));
    let breaker = CircuitBreaker::builder("soon").open_duration(Duration::from_millis(2)).build();
    let breaker = breaker.unwrap();
    breaker.trip();
    if let Err(rejected) = breaker.try_acquire() {
        assert_eq!(rejected.retry_after_seconds(), Some(1));
    }
    breaker.force_open();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after_seconds(), None);
}

#[tokio::test]
async fn a_classifier_can_be_shared_and_chosen_at_run_time() {
    type Verdict = dyn Fn(Result<&u32, &io::Error>) -> Outcome + Send + Sync;
    let lenient: Arc<Verdict> = Arc::new(|_| Outcome::Ignored);
    let strict: Arc<dyn Classifier<u32, io::Error, Response = u32> + Send + Sync> =
        Arc::new(|_: Result<&u32, &io::Error>| Outcome::Failure);
    let inner = service_fn(|n: u32| async move { Ok::<_, io::Error>(n) });
    let breaker = CircuitBreaker::builder("shared").consecutive_failures(1).build().unwrap();
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let service = ServiceBuilder::new().layer(layer.clone().classifier(lenient)).service(inner);
    service.oneshot(1).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
    let service = ServiceBuilder::new().layer(layer.classifier(strict)).service(inner);
    service.oneshot(1).await.unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_service_is_made_without_a_layer() {
    let inner = service_fn(|n: u32| async move { Ok::<_, io::Error>(n) });
    let service = CircuitBreakerService::new(inner, CircuitBreaker::new("direct"));
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
}

#[test]
fn handles_and_permits_may_cross_a_caught_panic() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<CircuitBreaker>();
    is_unwind_safe::<Permit>();
    is_unwind_safe::<Rejected>();
}
