//! What a status means.

use std::ops::RangeInclusive;

use tower_breaker::Ending;

/// What a range of statuses means.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    statuses: RangeInclusive<u16>,
    ending: Option<Ending>,
}

const ENDINGS: [Ending; 5] =
    [Ending::Success, Ending::Failure, Ending::SoftFailure, Ending::Ignored, Ending::Abandoned];

impl Outcome {
    /// Parses `404=ignored` or `500-599=failure`, for an argument.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not like 404=ignored or 500-599=failure".to_owned();
        let (statuses, name) = text.split_once('=').ok_or_else(wrong)?;
        let (first, last) = statuses.split_once('-').unwrap_or((statuses, statuses));
        let status = |text: &str| text.parse().ok().filter(|status| *status <= 999);
        let statuses = status(first).ok_or_else(wrong)?..=status(last).ok_or_else(wrong)?;
        let names = || ENDINGS.map(Ending::name).join(", ");
        let ending = ENDINGS.into_iter().find(|ending| ending.name() == name);
        match (ending, name) {
            (None, "rejected") => Ok(Self { statuses, ending }),
            (None, _) => Err(format!("{name:?} is none of {}, rejected", names())),
            (Some(_), _) => Ok(Self { statuses, ending }),
        }
    }
}

/// What all statuses mean.
pub(super) struct Outcomes(Vec<Outcome>);

impl Outcomes {
    /// These come after the defaults, and the last one that fits counts.
    pub(super) fn new(more: Vec<Outcome>) -> Self {
        let default = |statuses, ending| Outcome { statuses, ending: Some(ending) };
        let mut all = vec![
            default(0..=999, Ending::Success),
            default(0..=0, Ending::Abandoned),
            default(429..=429, Ending::SoftFailure),
            default(499..=499, Ending::Abandoned),
            default(500..=999, Ending::Failure),
        ];
        all.extend(more);
        Self(all)
    }

    /// Returns how a call with this status ended, or `None` if it was rejected.
    pub(super) fn of(&self, status: u16) -> Option<Ending> {
        let fits = self.0.iter().rev().find(|outcome| outcome.statuses.contains(&status));
        fits.and_then(|outcome| outcome.ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcome_that_fits_a_status_counts() {
        let more = ["404=ignored", "500-502=soft_failure", "501=success", "503=rejected"];
        let outcomes = Outcomes::new(more.map(|text| Outcome::parse(text).unwrap()).into());
        let expected = [
            (0, Some(Ending::Abandoned)),
            (200, Some(Ending::Success)),
            (404, Some(Ending::Ignored)),
            (429, Some(Ending::SoftFailure)),
            (499, Some(Ending::Abandoned)),
            (500, Some(Ending::SoftFailure)),
            (501, Some(Ending::Success)),
            (503, None),
            (504, Some(Ending::Failure)),
        ];
        for (status, ending) in expected {
            assert_eq!(outcomes.of(status), ending, "{status}");
        }
        for text in ["", "404", "404=nothing", "x=failure", "1000=failure"] {
            assert!(Outcome::parse(text).is_err(), "{text}");
        }
    }
}
