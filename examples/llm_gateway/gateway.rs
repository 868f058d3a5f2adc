//! The gateway. Copy from this file.

use std::future::ready;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract;
use axum::serve::ListenerExt;
use futures_util::stream::{self, StreamExt};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_breaker::http::{First, HttpClassifier, ResponseBody};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, ConfigError, HalfOpen, Rejected,
    SlidingWindow, State, Transition,
};

use crate::model::{Model, send_at_once};

/// How long the gateway waits for the first token of one model before it asks the next.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1200);
/// A model that takes so long to its first token is slow.
pub(crate) const SLOW: Duration = Duration::from_millis(500);
/// A model that has not sent a head after this time hangs.
const HUNG: Duration = Duration::from_millis(400);

pub(crate) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

pub(crate) fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Creates the breaker of a model.
fn breaker(
    name: &str,
    on_transition: impl Fn(&Transition) + Send + Sync + 'static,
) -> Result<CircuitBreaker, ConfigError> {
    CircuitBreaker::builder(name)
        // The window is short, because the demonstration is.
        .sliding_window(SlidingWindow::count(10))
        .minimum_calls(5)
        // Calls are slow by the time until their first token: see `Upstream::new`. The gateway drops an answer whose
        // first token does not come, and this is a slow call as well.
        .slow_call_duration_threshold(SLOW)
        .slow_call_rate_threshold(0.5)
        .consecutive_failures(5)
        // Calls whose head does not come count before they end.
        .hung_after(HUNG)
        // One answer with `Retry-After` opens the circuit for as long as the model asks.
        .trip_on_retry_after(true)
        .open_duration(Duration::from_millis(500))
        .half_open(HalfOpen::consecutive_successes(1))
        .on_transition(on_transition)
        .build()
}

/// A model as the gateway sees it.
struct Upstream {
    name: &'static str,
    uri: Uri,
    breaker: CircuitBreaker,
    client: BoxCloneSyncService<Request<Empty<Bytes>>, Response<ResponseBody<Incoming>>, BoxError>,
}

impl Upstream {
    fn new(model: &Model, breaker: CircuitBreaker, http_client: HttpClient) -> Self {
        let classifier = HttpClassifier::new()
            .soft_failure(StatusCode::TOO_MANY_REQUESTS)
            // An answer that breaks off is a failure,
            .at_end_of_stream()
            // and neither its length nor the comments before it say how fast the model is.
            .slow_until(First::FrameThat(has_token));
        let client = ServiceBuilder::new()
            .map_err(CircuitBreakerError::<BoxError>::into_boxed)
            .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(classifier))
            // Until the head. It is inside the breaker, so that a model that does not answer has failed.
            .timeout(PATIENCE)
            .service(http_client);
        let client = BoxCloneSyncService::new(client);
        Self { name: model.name, uri: model.uri.clone(), breaker, client }
    }

    /// Asks the model, and returns its answer once the first token has come.
    async fn ask(&self) -> Result<Response<Body>, BoxError> {
        let deadline = Instant::now() + PATIENCE;
        let request = Request::get(&self.uri).body(Empty::new())?;
        let response = self.client.clone().oneshot(request).await?;
        if !response.status().is_success() {
            return Err(format!("{} answered {}", self.name, response.status()).into());
        }
        let mut body = response.into_body();
        let first = timeout_at(deadline, first_token(&mut body)).await??;
        // From here on, the caller has a part of the answer. If the rest does not come, the caller has to know.
        let answer = stream::once(ready(Ok(first))).chain(body.into_data_stream());
        let response = Response::builder().header(CONTENT_TYPE, "text/event-stream");
        Ok(response.body(Body::from_stream(answer))?)
    }
}

/// Returns whether the data of a frame contains a token. A frame may begin with a comment.
fn has_token(data: &[u8]) -> bool {
    data.windows(5).any(|bytes| bytes == b"data:")
}

/// Reads a body up to the frame with the first token, and returns this frame.
async fn first_token<B>(body: &mut B) -> Result<Bytes, BoxError>
where
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if has_token(&data) => return Ok(data),
            _ => {} // comments, which are only for the gateway
        }
    }
    Err("the model has answered nothing".into())
}

/// Checks a model by asking it, as a caller would. It has to be as fast as is expected of it.
async fn check(client: HttpClient, uri: Uri) -> Result<(), BoxError> {
    timeout(SLOW, async {
        let response = client.get(uri).await?;
        match response.status() {
            StatusCode::OK => first_token(&mut response.into_body()).await.map(drop),
            status => Err(format!("answered {status}").into()),
        }
    })
    .await?
}

#[derive(Clone)]
pub(crate) struct Gateway {
    /// In the order in which they are asked.
    upstreams: Arc<[Upstream]>,
    checks: Arc<AtomicUsize>,
}

impl Gateway {
    pub(crate) fn new(
        models: &[Model],
        on_transition: impl Fn(&Transition) + Clone + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let checks = Arc::new(AtomicUsize::new(0));
        let http_client = http_client();
        let upstream = |model: &Model| {
            let breaker = breaker(model.name, on_transition.clone())?;
            // While the circuit is not closed, these checks are its probes, so that no caller has to be one.
            tokio::spawn(breaker.probe_with({
                let (client, uri) = (http_client.clone(), model.uri.clone());
                let checks = checks.clone();
                move || {
                    checks.fetch_add(1, Ordering::Relaxed);
                    check(client.clone(), uri.clone())
                }
            }));
            Ok(Upstream::new(model, breaker, http_client.clone()))
        };
        let upstreams = models.iter().map(upstream).collect::<Result<_, _>>()?;
        Ok(Self { upstreams, checks })
    }

    /// Starts the server, which runs until the program ends.
    pub(crate) async fn start(self) -> io::Result<Uri> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let uri = format!("http://{}/", listener.local_addr()?);
        let listener = listener.tap_io(send_at_once);
        let router = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(uri.parse().expect("an address makes a valid URI"))
    }

    /// Returns how many checks have been made.
    pub(crate) fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.upstreams.iter().map(|upstream| upstream.breaker.state()).collect()
    }
}

/// Asks one model after the other until one begins to answer.
async fn answer(extract::State(gateway): extract::State<Gateway>) -> Response<Body> {
    let mut retry_after = 1;
    for upstream in &*gateway.upstreams {
        match upstream.ask().await {
            Ok(response) => return response,
            Err(error) => {
                let rejected = error.downcast_ref::<Rejected>();
                let seconds = rejected.and_then(Rejected::retry_after_seconds);
                retry_after = seconds.map_or(retry_after, |seconds| seconds.min(retry_after));
            }
        }
    }
    let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
    response.header(RETRY_AFTER, retry_after).body(Body::empty()).expect("valid headers")
}
