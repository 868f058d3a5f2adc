//! [`retry_after`]: how long a server asks not to be called.

use std::time::{Duration, SystemTime};

use ::http::HeaderMap;
use httpdate::parse_http_date;

use crate::circuit::Outcome;
use crate::circuit::Permit;

/// Returns how long a server asks not to be called, according to its response headers or trailers.
///
/// This reads `Retry-After`
/// ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)) and, if that is
/// missing or malformed, `grpc-retry-pushback-ms`
/// ([gRFC A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback)). The classifiers
/// of this crate do this for every failure. The function is public for classifiers of your own, which pass
/// the result to [`Permit::failure_retry_after`] or return it in [`Outcome::FailureRetryAfter`].
///
/// A date is compared with the `Date` of the same response, so that a wrong clock on either side does no
/// harm. Without a `Date`, it is compared with the system clock. A date in the past yields zero. A number
/// that is too large saturates. A negative pushback yields `None`, because it asks not to retry and names
/// no time.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use http::HeaderMap;
/// use http::header::{DATE, RETRY_AFTER};
/// use tower_breaker::http::retry_after;
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(retry_after(&headers), None);
///
/// headers.insert(RETRY_AFTER, "120".parse()?);
/// assert_eq!(retry_after(&headers), Some(Duration::from_secs(120)));
///
/// headers.insert(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT".parse()?);
/// headers.insert(DATE, "Fri, 31 Dec 1999 23:59:50 GMT".parse()?);
/// assert_eq!(retry_after(&headers), Some(Duration::from_secs(9)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let now = || text("date").and_then(date).unwrap_or_else(SystemTime::now);
    let delay = text("retry-after").and_then(|text| delay_or_date(text, now));
    delay.or_else(|| text("grpc-retry-pushback-ms").and_then(digits).map(Duration::from_millis))
}

/// Reports an outcome and, if it is a failure of any kind, the retry-after of the headers or trailers that
/// it was read from.
pub(crate) fn settle(permit: Permit, outcome: Outcome, headers: Option<&HeaderMap>) {
    let wait = match outcome {
        Outcome::Failure | Outcome::SoftFailure => headers.and_then(retry_after),
        Outcome::FailureRetryAfter(_) | Outcome::Success | Outcome::Ignored => None,
    };
    permit.record_with_retry_after(outcome, wait);
}

/// Parses the value of `Retry-After`.
fn delay_or_date(text: &str, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let delay = digits(text).map(Duration::from_secs);
    delay.or_else(|| Some(date(text)?.duration_since(now()).unwrap_or(Duration::ZERO)))
}

fn date(text: &str) -> Option<SystemTime> {
    parse_http_date(text).ok()
}

/// Parses a number that consists of digits only. A number that is too large saturates.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use httpdate::fmt_http_date;
    use proptest::prelude::*;

    use super::*;

    const YEAR_9999: u64 = 253_402_300_800;

    fn after_epoch(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn read(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        retry_after(&headers(pairs))
    }

    #[test]
    fn seconds_consist_of_digits_and_saturate() {
        assert_eq!(read(&[("retry-after", "0")]), Some(Duration::ZERO));
        assert_eq!(read(&[("retry-after", "007")]), Some(Duration::from_secs(7)));
        let most = Some(Duration::from_secs(u64::MAX));
        assert_eq!(read(&[("retry-after", "18446744073709551616")]), most);
        for malformed in ["", "-1", "+1", "1.5", "1 2", "0x10", "١", "soon", "1s"] {
            assert_eq!(read(&[("retry-after", malformed)]), None, "{malformed:?}");
        }
    }

    #[test]
    fn all_three_forms_of_a_date_are_measured_from_the_date_of_the_server() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for value in [
            "Sun, 06 Nov 1994 08:49:47 GMT",
            "Sunday, 06-Nov-94 08:49:47 GMT",
            "Sun Nov  6 08:49:47 1994",
        ] {
            let wait = read(&[("retry-after", value), ("date", date)]);
            assert_eq!(wait, Some(Duration::from_secs(10)), "{value:?}");
        }
    }

    #[test]
    fn without_a_valid_date_of_the_server_a_date_is_measured_from_the_system_clock() {
        let later = SystemTime::now() + Duration::from_secs(3600);
        let later = fmt_http_date(later);
        for headers in [&[("retry-after", &*later)][..], &[("retry-after", &later), ("date", "?")]]
        {
            let wait = read(headers).unwrap();
            assert!(wait <= Duration::from_secs(3600), "{wait:?}");
            assert!(wait > Duration::from_secs(1800), "{wait:?}");
        }
    }

    #[test]
    fn a_date_in_the_past_is_zero() {
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(read(&[("retry-after", past)]), Some(Duration::ZERO));
    }

    #[test]
    fn a_grpc_pushback_is_in_milliseconds_and_a_negative_one_is_ignored() {
        let read = |value| read(&[("grpc-retry-pushback-ms", value)]);
        assert_eq!(read("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(read("99999999999999999999"), Some(Duration::from_millis(u64::MAX)));
        assert_eq!(read("-1"), None);
        assert_eq!(read("Sun, 06 Nov 2094 08:49:37 GMT"), None);
    }

    #[test]
    fn a_malformed_retry_after_does_not_hide_the_pushback() {
        let both = [("retry-after", "?"), ("grpc-retry-pushback-ms", "5")];
        assert_eq!(read(&both), Some(Duration::from_millis(5)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(retry in any::<Vec<u8>>(), date in any::<Vec<u8>>()) {
            let mut headers = HeaderMap::new();
            for (name, bytes) in [("retry-after", &retry), ("date", &date)] {
                if let Ok(value) = HeaderValue::from_bytes(bytes) {
                    headers.insert(name, value);
                }
            }
            let _ = retry_after(&headers);
        }

        #[test]
        fn text_that_resembles_a_date_does_not_panic(
            text in "(Mon|Sun|Sunday|Xyz),? [0-9]{2}[ -](Jan|Feb|Dec|Xyz)[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
        ) {
            let _ = delay_or_date(&text, || SystemTime::UNIX_EPOCH);
        }

        #[test]
        fn every_number_of_seconds_is_parsed(seconds: u64) {
            let wait = delay_or_date(&seconds.to_string(), || unreachable!("it is no date"));
            prop_assert_eq!(wait, Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn every_date_yields_the_difference_or_zero(at in 0..YEAR_9999, now in 0..YEAR_9999) {
            let text = fmt_http_date(after_epoch(at));
            let wait = delay_or_date(&text, || after_epoch(now));
            prop_assert_eq!(wait, Some(Duration::from_secs(at.saturating_sub(now))));
        }

        #[test]
        fn digits_are_parsed_and_saturate(text in "[0-9]{1,38}") {
            let number: u128 = text.parse().unwrap();
            prop_assert_eq!(digits(&text), Some(u64::try_from(number).unwrap_or(u64::MAX)));
        }
    }
}
