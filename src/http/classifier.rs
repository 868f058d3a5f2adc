//! [`HttpClassifier`].

use std::fmt;

use ::http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use super::body::{AtEndOfStream, ResponseBody};
use super::by_status::ByStatus;
use super::first::First;
use super::retry_after::settle;
use crate::circuit::{Outcome, Permit};
use crate::layer::Classifier;

/// Decides by status which HTTP responses are failures. See the [module](super) for the defaults.
///
/// The classifier is cloned for each call. A clone copies 128 bytes for the outcomes of the statuses, and
/// clones the predicate.
///
/// # Example
/// ```
/// use http::StatusCode;
/// use tower_breaker::http::HttpClassifier;
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
///
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("search"))
///     .classifier(HttpClassifier::new().soft_failure(StatusCode::TOO_MANY_REQUESTS));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy)]
pub struct HttpClassifier<P = NoPredicate, W = AtHead> {
    by_status: ByStatus,
    predicate: P,
    when: W,
    /// Only for calls that are settled at the end of the stream.
    slow_until: First,
}

/// The type of the predicate of an [`HttpClassifier`] on which [`head`](HttpClassifier::head) was not
/// called.
pub type NoPredicate = fn(StatusCode, &HeaderMap) -> Option<Outcome>;

/// Makes [`HttpClassifier`] settle a call as soon as the response head has arrived. The body is left
/// unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtHead;

impl HttpClassifier {
    /// Creates a classifier with the [defaults](super), which settles calls at the head.
    #[must_use]
    pub fn new() -> Self {
        Self {
            by_status: ByStatus::DEFAULT,
            predicate: |_, _| None,
            when: AtHead,
            slow_until: First::End,
        }
    }
}

impl Default for HttpClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, W> HttpClassifier<P, W> {
    /// Counts a status as a failure, for example the 404 of a load balancer that has lost its backends.
    #[must_use]
    pub fn failure(self, status: StatusCode) -> Self {
        self.with(status, Outcome::Failure)
    }

    /// Counts a status as a [soft failure](Outcome::SoftFailure): the server is overloaded, not broken. The
    /// typical example is 429. A `Retry-After` is honoured as on a failure.
    ///
    /// This has no effect for a status of 600 and above, which is always a failure.
    #[must_use]
    pub fn soft_failure(self, status: StatusCode) -> Self {
        self.with(status, Outcome::SoftFailure)
    }

    /// Counts a status as a success. Examples are 501 and 505, which say nothing about the health of the
    /// server.
    ///
    /// This has no effect for a status of 600 and above. Such a status is invalid
    /// ([RFC 9110, section 15](https://www.rfc-editor.org/rfc/rfc9110#section-15)) and always a failure.
    #[must_use]
    pub fn success(self, status: StatusCode) -> Self {
        self.with(status, Outcome::Success)
    }

    fn with(mut self, status: StatusCode, outcome: Outcome) -> Self {
        self.by_status = self.by_status.with(status, outcome);
        self
    }

    /// Asks `predicate` first, for cases that the status alone does not decide. If it returns `None`, the
    /// status decides. A later call replaces the predicate.
    ///
    /// # Example
    /// ```
    /// use http::{HeaderMap, StatusCode};
    /// use tower_breaker::Outcome;
    /// use tower_breaker::http::HttpClassifier;
    ///
    /// // The rate limit of the proxy is a failure, that of the server behind it is not.
    /// let classifier = HttpClassifier::new().head(|status: StatusCode, headers: &HeaderMap| {
    ///     let by_proxy = status == StatusCode::TOO_MANY_REQUESTS && headers.contains_key("via");
    ///     by_proxy.then_some(Outcome::Failure)
    /// });
    /// # let _ = classifier;
    /// ```
    #[must_use]
    pub fn head<Q>(self, predicate: Q) -> HttpClassifier<Q, W>
    where
        Q: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
    {
        let Self { by_status, when, slow_until, .. } = self;
        HttpClassifier { by_status, predicate, when, slow_until }
    }

    /// Settles a call whose head is a success at the end of its body, so that a body that ends with an
    /// error is a failure. See the [module](super#to-the-end-of-the-stream).
    #[must_use]
    pub fn at_end_of_stream(self) -> HttpClassifier<P, AtEndOfStream> {
        let Self { by_status, predicate, slow_until, .. } = self;
        HttpClassifier { by_status, predicate, when: AtEndOfStream, slow_until }
    }
}

impl<P> HttpClassifier<P, AtEndOfStream> {
    /// Fixes the duration of a call at a moment before the end of its body. The default is [`First::End`].
    ///
    /// A stream of tokens may rightly take minutes. It is slow if nothing comes, and the head and comments that
    /// keep the connection alive are nothing. This setting says what is something. The
    /// [`slow_call_duration_threshold`](crate::CircuitBreakerBuilder::slow_call_duration_threshold) then applies to
    /// the time from the admission of the call to this moment, and so do the durations that listeners and metrics
    /// see. The outcome is still decided at the end of the body, and that is when the call is counted.
    ///
    /// If the body ends, fails or is dropped before the moment has come, the call lasts until then. So a caller that
    /// waits for the first token for too long and gives up has made a slow call.
    ///
    /// This does not change for how long a probe may take, which is the
    /// [`probe_timeout`](crate::CircuitBreakerBuilder::probe_timeout) until the end of its body.
    ///
    /// # Example
    /// A language model that answers with server-sent events. A call is slow if the first one takes two seconds or
    /// longer:
    /// ```
    /// use std::time::Duration;
    ///
    /// use futures_util::stream;
    /// use http::{Request, Response};
    /// use http_body::Frame;
    /// use http_body_util::{BodyExt, StreamBody};
    /// use hyper::body::Bytes;
    /// use tokio::time::sleep;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::http::{First, HttpClassifier};
    /// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let breaker = CircuitBreaker::builder("model")
    ///     .slow_call_duration_threshold(Duration::from_secs(2))
    ///     .slow_call_rate_threshold(0.5)
    ///     .build()?;
    /// let classifier = HttpClassifier::new()
    ///     .at_end_of_stream()
    ///     .slow_until(First::FrameThat(|data| data.starts_with(b"data:")));
    ///
    /// // Sends a comment at once, the first token after three seconds, and the second one a minute later.
    /// let model = service_fn(|_: Request<()>| async {
    ///     let events = [(0, ": ping\n\n"), (3, "data: Hello\n\n"), (60, "data: world\n\n")];
    ///     let body = stream::unfold(events.into_iter(), |mut events| async {
    ///         let (after, event) = events.next()?;
    ///         sleep(Duration::from_secs(after)).await;
    ///         Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(event))), events))
    ///     });
    ///     Ok::<_, std::io::Error>(Response::new(StreamBody::new(Box::pin(body))))
    /// });
    ///
    /// let client = ServiceBuilder::new()
    ///     .layer(CircuitBreakerLayer::new(breaker.clone()).classifier(classifier))
    ///     .service(model);
    /// let response = client.oneshot(Request::new(())).await.unwrap();
    /// response.into_body().collect().await.unwrap();
    /// assert_eq!(breaker.snapshot().slow_calls(), 1);
    /// # Ok::<(), tower_breaker::ConfigError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn slow_until(self, first: First) -> Self {
        Self { slow_until: first, ..self }
    }
}

impl<P, W> HttpClassifier<P, W>
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    fn outcome<B>(&self, response: &Response<B>) -> Outcome {
        let status = response.status();
        let outcome = (self.predicate)(status, response.headers());
        outcome.unwrap_or_else(|| self.by_status.outcome(status))
    }
}

impl<B, E, P> Classifier<Response<B>, E> for HttpClassifier<P, AtHead>
where
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    type Response = Response<B>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        settle(permit, self.outcome(&response), Some(response.headers()));
        response
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

impl<B, E, P> Classifier<Response<B>, E> for HttpClassifier<P, AtEndOfStream>
where
    B: Body,
    P: Fn(StatusCode, &HeaderMap) -> Option<Outcome>,
{
    type Response = Response<ResponseBody<B>>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        match self.outcome(&response) {
            Outcome::Success => response
                .map(|body| ResponseBody::slow_until(self.slow_until, body, permit, self.when)),
            outcome => {
                settle(permit, outcome, Some(response.headers()));
                response.map(ResponseBody::from)
            }
        }
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

impl<P, W: fmt::Debug> fmt::Debug for HttpClassifier<P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClassifier")
            .field("by_status", &self.by_status)
            .field("when", &self.when)
            .field("slow_until", &self.slow_until)
            .finish_non_exhaustive()
    }
}
