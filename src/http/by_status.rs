//! [`ByStatus`]: the outcome of each status code.

use std::fmt;

use ::http::StatusCode;

use crate::circuit::Outcome;

const FIRST: u16 = 100;
const REQUEST_TIMEOUT: u16 = 408;
const SERVER_ERRORS: u16 = 500;
/// A status of this value or above is invalid, and RFC 9110, section 15 asks to treat it like a 5xx.
const INVALID: u16 = 600;

/// The outcome of each status code. Invalid ones are always failures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ByStatus {
    failures: StatusSet,
    soft_failures: StatusSet,
}

impl ByStatus {
    /// 408 and 5xx are failures, everything else is a success.
    pub(super) const DEFAULT: Self = {
        let mut failures = StatusSet::EMPTY.with(REQUEST_TIMEOUT, true);
        let mut code = SERVER_ERRORS;
        while code < INVALID {
            failures = failures.with(code, true);
            code += 1;
        }
        Self { failures, soft_failures: StatusSet::EMPTY }
    };

    pub(super) fn outcome(&self, status: StatusCode) -> Outcome {
        let code = status.as_u16();
        if code >= INVALID || self.failures.contains(code) {
            Outcome::Failure
        } else if self.soft_failures.contains(code) {
            Outcome::SoftFailure
        } else {
            Outcome::Success
        }
    }

    /// Returns the same outcomes, except that `status` is a success, a failure or a soft failure. This has
    /// no effect on an invalid status.
    pub(super) fn with(self, status: StatusCode, outcome: Outcome) -> Self {
        let code = status.as_u16();
        if code >= INVALID {
            return self;
        }
        Self {
            failures: self.failures.with(code, outcome == Outcome::Failure),
            soft_failures: self.soft_failures.with(code, outcome == Outcome::SoftFailure),
        }
    }
}

impl fmt::Debug for ByStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByStatus")
            .field("failures", &self.failures)
            .field("soft_failures", &self.soft_failures)
            .finish()
    }
}

/// A set of valid status codes, 100 to 599.
#[derive(Clone, Copy, PartialEq, Eq)]
struct StatusSet([u64; 8]);

const _: () = assert!((INVALID - FIRST) as u32 <= 8 * u64::BITS);

impl StatusSet {
    const EMPTY: Self = Self([0; 8]);

    fn contains(&self, code: u16) -> bool {
        let (word, bit) = word_and_bit(code);
        self.0[word] & bit != 0
    }

    const fn with(mut self, code: u16, is_member: bool) -> Self {
        let (word, bit) = word_and_bit(code);
        if is_member {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
        self
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((FIRST..INVALID).filter(|&code| self.contains(code))).finish()
    }
}

/// Returns the word and the bit of a valid code. A [`StatusCode`] is never below 100.
const fn word_and_bit(code: u16) -> (usize, u64) {
    let index = code - FIRST;
    ((index / 64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::SoftFailure)]
    }

    fn default(code: u16) -> Outcome {
        if code == 408 || code >= 500 { Outcome::Failure } else { Outcome::Success }
    }

    proptest! {
        #[test]
        fn the_last_setting_of_a_status_counts_unless_the_status_is_invalid(
            settings in prop::collection::vec((100..=999u16, outcome()), 0..100),
        ) {
            let mut by_status = ByStatus::DEFAULT;
            let mut model = BTreeMap::new();
            for (code, outcome) in settings {
                by_status = by_status.with(StatusCode::from_u16(code).unwrap(), outcome);
                model.insert(code, outcome);
            }
            model.retain(|&code, _| code < 600);
            for code in 100..=999 {
                let expected = model.get(&code).copied().unwrap_or(default(code));
                prop_assert_eq!(by_status.outcome(StatusCode::from_u16(code).unwrap()), expected);
            }
        }
    }

    #[test]
    fn debug_lists_the_codes() {
        let by_status = ByStatus::DEFAULT.with(StatusCode::TOO_MANY_REQUESTS, Outcome::SoftFailure);
        let text = format!("{by_status:?}");
        assert!(text.contains("failures: {408, 500, 501,"), "{text}");
        assert!(text.contains("soft_failures: {429}"), "{text}");
    }
}
