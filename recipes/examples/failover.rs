//! How do I ask the next provider if one fails, without mixing two answers?
//!
//! `cargo run -p tower-breaker-recipes --example failover`
//!
//! Until the first byte of an answer has come, another provider may be asked instead. After that, never: the caller
//! already has a part of the answer. If the rest does not come, the caller has to see it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_breaker::http::{HttpClassifier, ResponseBody};
use tower_breaker::{CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, ConfigError};
use tower_breaker_recipes::{Answer, Backend};

/// How long to wait for the head, and then for the first byte.
const PATIENCE: Duration = Duration::from_millis(500);

pub struct Provider {
    uri: Uri,
    client: BoxCloneSyncService<Request<Empty<Bytes>>, Response<ResponseBody<Incoming>>, BoxError>,
}

impl Provider {
    pub fn new(name: &str, uri: Uri) -> Result<Self, ConfigError> {
        // A body that does not begin is dropped after `PATIENCE`. With this setting, that is a failure.
        let breaker = CircuitBreaker::builder(name).abandoned_after(PATIENCE * 9 / 10).build()?;
        let classifier = HttpClassifier::new().at_end_of_stream(); // a body that breaks off is a failure
        let client = ServiceBuilder::new()
            .map_err(CircuitBreakerError::<BoxError>::into_boxed)
            .layer(CircuitBreakerLayer::new(breaker).classifier(classifier))
            .timeout(PATIENCE) // inside, so that a provider that hangs has failed
            .service(Client::builder(TokioExecutor::new()).build_http());
        Ok(Self { uri, client: BoxCloneSyncService::new(client) })
    }

    /// Asks the provider, and returns the answer once its first byte has come.
    async fn ask(&self) -> Result<Response<Body>, BoxError> {
        let request = Request::get(&self.uri).body(Empty::new())?;
        let (head, mut body) = self.client.clone().oneshot(request).await?.into_parts();
        if head.status.is_server_error() {
            return Err(format!("{} answered {}", self.uri, head.status).into());
        }
        let first = timeout(PATIENCE, body.frame()).await?.transpose()?;
        let first = stream::iter(first.and_then(|frame| frame.into_data().ok()).map(Ok));
        Ok(Response::from_parts(head, Body::from_stream(first.chain(body.into_data_stream()))))
    }
}

/// Asks one provider after the other until one begins to answer. An open circuit costs no time.
pub async fn ask(providers: &[Provider]) -> Result<Response<Body>, BoxError> {
    let mut answer = Err("there is no provider".into());
    for provider in providers {
        answer = provider.ask().await;
        if answer.is_ok() {
            break;
        }
    }
    answer
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (north, south) = (Backend::start("north").await?, Backend::start("south").await?);
    let first = Provider::new("north", north.url().parse()?)?;
    let providers = [first, Provider::new("south", south.url().parse()?)?];
    for answer in [Answer::Status(200), Answer::Status(500), Answer::Silence, Answer::BreaksOff] {
        north.set(answer);
        let body = ask(&providers).await?.into_body().collect().await;
        println!("north answers with {answer:?}: {:?}", body.map(|body| body.to_bytes()));
    }
    Ok(())
}
