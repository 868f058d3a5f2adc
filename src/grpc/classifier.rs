//! [`GrpcClassifier`].

use ::http::{HeaderMap, Response};
use http_body::Body;

use super::code::GrpcCode;
use crate::circuit::{Outcome, Permit};
use crate::http::{EndOfStream, ResponseBody, settle};
use crate::layer::Classifier;

/// Decides by `grpc-status` which responses are failures. See the [module](super) for the defaults.
///
/// # Example
/// ```
/// use tower_breaker::grpc::{GrpcClassifier, GrpcCode};
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
///
/// let classifier = GrpcClassifier::new()
///     .failure(GrpcCode::Aborted)
///     .soft_failure(GrpcCode::Unavailable) // a load balancer sheds load with it
///     .success(GrpcCode::ResourceExhausted) // the quota of the caller
///     .ignored(GrpcCode::DeadlineExceeded); // callers choose deadlines that are too short
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("routes")).classifier(classifier);
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcClassifier {
    /// The outcome of each code, indexed by its number.
    outcomes: [CodeOutcome; 17],
}

/// An [`Outcome`] in one byte, because a classifier is cloned for each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeOutcome {
    Success,
    Failure,
    SoftFailure,
    Ignored,
}

impl GrpcClassifier {
    /// Creates a classifier with the [defaults](super).
    #[must_use]
    pub fn new() -> Self {
        [
            GrpcCode::Cancelled,
            GrpcCode::Unknown,
            GrpcCode::DeadlineExceeded,
            GrpcCode::Internal,
            GrpcCode::Unavailable,
            GrpcCode::DataLoss,
        ]
        .into_iter()
        .fold(Self { outcomes: [CodeOutcome::Success; 17] }, Self::failure)
        .soft_failure(GrpcCode::ResourceExhausted)
    }

    /// Counts a code as a failure.
    #[must_use]
    pub fn failure(self, code: GrpcCode) -> Self {
        self.with(code, CodeOutcome::Failure)
    }

    /// Counts a code as a [soft failure](Outcome::SoftFailure): the server is overloaded, not broken. A
    /// pushback is honoured as on a failure.
    #[must_use]
    pub fn soft_failure(self, code: GrpcCode) -> Self {
        self.with(code, CodeOutcome::SoftFailure)
    }

    /// Counts a code as a success.
    #[must_use]
    pub fn success(self, code: GrpcCode) -> Self {
        self.with(code, CodeOutcome::Success)
    }

    /// Ignores a code. The call is not counted, and a probe gives its slot back.
    #[must_use]
    pub fn ignored(self, code: GrpcCode) -> Self {
        self.with(code, CodeOutcome::Ignored)
    }

    fn with(mut self, code: GrpcCode, outcome: CodeOutcome) -> Self {
        self.outcomes[code as usize] = outcome;
        self
    }

    fn outcome(&self, code: GrpcCode) -> Outcome {
        match self.outcomes[code as usize] {
            CodeOutcome::Success => Outcome::Success,
            CodeOutcome::Failure => Outcome::Failure,
            CodeOutcome::SoftFailure => Outcome::SoftFailure,
            CodeOutcome::Ignored => Outcome::Ignored,
        }
    }
}

impl Default for GrpcClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Body, E> Classifier<Response<B>, E> for GrpcClassifier {
    type Response = Response<ResponseBody<B, Self>>;

    fn response(&self, response: Response<B>, permit: Permit) -> Self::Response {
        match GrpcCode::of_head(response.status(), response.headers()) {
            None => response.map(|body| ResponseBody::new(body, permit, *self)),
            Some(code) => {
                settle(permit, self.outcome(code), Some(response.headers()));
                response.map(ResponseBody::from)
            }
        }
    }

    fn error(&self, _: &E, permit: Permit) {
        permit.failure();
    }
}

/// Settles a call whose response head had no status.
impl EndOfStream for GrpcClassifier {
    fn end(self, trailers: Option<&HeaderMap>, permit: Permit) {
        let code = trailers.and_then(GrpcCode::of_trailers).unwrap_or(GrpcCode::Unknown);
        settle(permit, self.outcome(code), trailers);
    }
}
