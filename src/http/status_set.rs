//! A set of status codes.

use std::fmt;

use ::http::StatusCode;

const FIRST: u16 = 100;
const REQUEST_TIMEOUT: u16 = 408;
const SERVER_ERRORS: u16 = 500;
/// A status of this value or above is invalid, and RFC 9110, section 15 asks to treat it like a 5xx.
const INVALID: u16 = 600;

/// A set of valid status codes, 100 to 599. It always contains all invalid ones as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusSet([u64; 8]);

const _: () = assert!((INVALID - FIRST) as u32 <= 8 * u64::BITS);

impl StatusSet {
    /// 408, 5xx and all invalid codes.
    pub(super) const DEFAULT_FAILURES: Self = {
        let mut words = [0; 8];
        let (word, bit) = word_and_bit(REQUEST_TIMEOUT);
        words[word] |= bit;
        let mut code = SERVER_ERRORS;
        while code < INVALID {
            let (word, bit) = word_and_bit(code);
            words[word] |= bit;
            code += 1;
        }
        Self(words)
    };

    pub(super) fn contains(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        if code >= INVALID {
            return true;
        }
        let (word, bit) = word_and_bit(code);
        self.0[word] & bit != 0
    }

    /// Adds a status code or removes it. This has no effect on invalid ones.
    pub(super) fn set(&mut self, status: StatusCode, is_member: bool) {
        let code = status.as_u16();
        if code >= INVALID {
            return;
        }
        let (word, bit) = word_and_bit(code);
        if is_member {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = (FIRST..INVALID).filter_map(|code| StatusCode::from_u16(code).ok());
        f.debug_set().entries(codes.filter(|&status| self.contains(status))).finish()
    }
}

/// Returns the word and the bit of a valid code. A [`StatusCode`] is never below 100.
const fn word_and_bit(code: u16) -> (usize, u64) {
    let index = code - FIRST;
    ((index / 64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_failures_are_408_the_5xx_and_all_invalid_codes() {
        for code in 100..=999 {
            let status = StatusCode::from_u16(code).unwrap();
            let expected = code == 408 || code >= 500;
            assert_eq!(StatusSet::DEFAULT_FAILURES.contains(status), expected, "{code}");
        }
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set(changes in prop::collection::vec((100..=999u16, any::<bool>()), 0..100)) {
            let mut set = StatusSet::DEFAULT_FAILURES;
            let mut model: BTreeSet<u16> = (500..=599).chain([408]).collect();
            for (code, is_member) in changes {
                set.set(StatusCode::from_u16(code).unwrap(), is_member);
                match code {
                    600.. => {}
                    _ if is_member => drop(model.insert(code)),
                    _ => drop(model.remove(&code)),
                }
            }
            prop_assert_eq!(format!("{set:?}"), format!("{model:?}"));
            for code in 100..=999 {
                let contains = set.contains(StatusCode::from_u16(code).unwrap());
                prop_assert_eq!(contains, code >= 600 || model.contains(&code));
            }
        }
    }
}
