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
///     .success(GrpcCode::ResourceExhausted) // the quota of the caller
///     .ignored(GrpcCode::DeadlineExceeded); // callers choose deadlines that are too short
/// let layer = CircuitBreakerLayer::new(CircuitBreaker::new("routes")).classifier(classifier);
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcClassifier {
    /// The verdict on each code, indexed by its number.
    verdicts: [Verdict; 17],
}

/// An outcome in one byte, because a classifier is cloned for each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Success,
    Failure,
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
            GrpcCode::ResourceExhausted,
            GrpcCode::Internal,
            GrpcCode::Unavailable,
            GrpcCode::DataLoss,
        ]
        .into_iter()
        .fold(Self { verdicts: [Verdict::Success; 17] }, Self::failure)
    }

    /// Counts a code as a failure.
    #[must_use]
    pub fn failure(self, code: GrpcCode) -> Self {
        self.with(code, Verdict::Failure)
    }

    /// Counts a code as a success.
    #[must_use]
    pub fn success(self, code: GrpcCode) -> Self {
        self.with(code, Verdict::Success)
    }

    /// Ignores a code. The call is not counted, and a probe gives its slot back.
    #[must_use]
    pub fn ignored(self, code: GrpcCode) -> Self {
        self.with(code, Verdict::Ignored)
    }

    fn with(mut self, code: GrpcCode, verdict: Verdict) -> Self {
        self.verdicts[code as usize] = verdict;
        self
    }

    fn judge(&self, code: GrpcCode) -> Outcome {
        match self.verdicts[code as usize] {
            Verdict::Success => Outcome::Success,
            Verdict::Failure => Outcome::Failure,
            Verdict::Ignored => Outcome::Ignored,
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
                settle(permit, self.judge(code), Some(response.headers()));
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
        settle(permit, self.judge(code), trailers);
    }
}
