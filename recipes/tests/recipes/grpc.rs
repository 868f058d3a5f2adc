#[allow(dead_code, reason = "the recipe has a `main`")]
#[path = "../../examples/grpc.rs"]
mod recipe;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_breaker::State;

use self::recipe::{FrontEnd, client, serve};
use crate::{breaker, wait_until_it_probes};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that answers with this code, and counts its calls.
#[derive(Clone, Default)]
struct BackEnd {
    code: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Health for BackEnd {
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match Code::from_i32(self.code.load(Ordering::Relaxed) as i32) {
            Code::Ok => Ok(Response::new(HealthCheckResponse { status: 1 })),
            code => Err(Status::new(code, "as the test says")),
        }
    }

    type WatchStream = tonic::codegen::BoxStream<HealthCheckResponse>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        unreachable!("nobody watches")
    }
}

async fn caller(uri: String) -> HealthClient<Channel> {
    HealthClient::new(Endpoint::from_shared(uri).unwrap().connect().await.unwrap())
}

#[tokio::test]
async fn callers_of_the_front_end_learn_at_once_that_its_back_end_is_down_and_for_how_long() {
    let (back_end, breaker) = (BackEnd::default(), breaker());
    let upstream = client(serve(back_end.clone()).await.unwrap(), breaker.clone()).unwrap();
    let mut caller = caller(serve(FrontEnd(upstream)).await.unwrap()).await;
    let mut check = async || caller.check(HealthCheckRequest::default()).await;
    check().await.unwrap();

    back_end.code.store(Code::Unavailable as usize, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(check().await.unwrap_err().message(), "as the test says");
    }
    let status = check().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let wait = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert!(wait.parse::<u32>().unwrap() <= 2000, "{wait}");
    assert_eq!(back_end.calls.load(Ordering::Relaxed), 3);

    back_end.code.store(Code::Ok as usize, Ordering::Relaxed);
    wait_until_it_probes(&breaker).await;
    check().await.unwrap();
}

#[tokio::test]
async fn what_a_healthy_server_refuses_trips_nothing() {
    let (back_end, breaker) = (BackEnd::default(), breaker());
    back_end.code.store(Code::NotFound as usize, Ordering::Relaxed);
    let mut client = client(serve(back_end).await.unwrap(), breaker.clone()).unwrap();
    for _ in 0..3 {
        let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
    assert_eq!(breaker.state(), State::Closed);
}
