//! [`Report`].

use super::time::Nanos;

/// How a call ended.
///
/// What a variant holds is at most one number, so that a report is passed in two registers. With any other
/// type in a variant, a healthy call takes 16 instructions more (`cargo bench --bench instructions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Report {
    Success,
    Failure,
    /// A failure for which the callee asked not to be called again for this long.
    FailureRetryAfter(Nanos),
    /// The callee is overloaded, not broken. Zero if it did not ask for anything.
    SoftFailure {
        retry_after: Nanos,
    },
    Ignored,
    /// The call was dropped without a result, which says nothing about the dependency.
    Abandoned,
    /// The call was dropped without a result. It has failed if it took as long as the rules say.
    GivenUp,
}

impl Report {
    pub(crate) fn retry_after(self) -> Nanos {
        match self {
            Self::FailureRetryAfter(retry_after) | Self::SoftFailure { retry_after } => retry_after,
            _ => 0,
        }
    }
}
