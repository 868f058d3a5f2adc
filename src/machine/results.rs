//! A short sequence of results in one integer.

/// The results of a few calls in their order: a leading 1, followed by one bit for each call, which is
/// 1 if the call failed. The newest call is in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Results(u64);

impl Results {
    /// The representation of no results at all.
    pub(crate) const EMPTY: u64 = 1;

    /// Reads the representation that is described above.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Builds the results from whether each call failed, oldest first.
    #[cfg(test)]
    pub(crate) fn of(failed: &[bool]) -> Self {
        Self(failed.iter().fold(Self::EMPTY, |all, failed| all << 1 | u64::from(*failed)))
    }

    pub(crate) fn len(self) -> u32 {
        self.0.ilog2()
    }

    pub(crate) fn failures(self) -> u32 {
        self.0.count_ones() - 1
    }

    /// How many of the newest calls failed in a row.
    pub(crate) fn streak(self) -> u32 {
        self.0.trailing_ones().min(self.len())
    }

    /// One bit for each call, with the oldest call in the lowest bit.
    pub(crate) fn oldest_first(self) -> u64 {
        self.0.reverse_bits() >> self.0.leading_zeros() >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_is_the_failures_at_the_end() {
        let of = |all: &[bool]| {
            let results = Results::of(all);
            (results.len(), results.failures(), results.streak())
        };
        assert_eq!(of(&[]), (0, 0, 0));
        assert_eq!(of(&[true]), (1, 1, 1));
        assert_eq!(of(&[true, true]), (2, 2, 2));
        assert_eq!(of(&[true, true, false, true]), (4, 3, 1));
        assert_eq!(of(&[true, false]), (2, 1, 0));
    }
}
