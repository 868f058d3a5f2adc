//! [`GrpcCode`].

use ::http::{HeaderMap, StatusCode};

use crate::http::digits;

/// A [status code of gRPC](https://grpc.io/docs/guides/status-codes/).
///
/// # Example
/// ```
/// use tower_breaker::grpc::GrpcCode;
///
/// assert_eq!(GrpcCode::from(14), GrpcCode::Unavailable);
/// assert_eq!(GrpcCode::from(tonic::Code::NotFound as i32), GrpcCode::NotFound);
/// assert_eq!(GrpcCode::from(99), GrpcCode::Unknown);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum GrpcCode {
    /// 0: it worked.
    Ok = 0,
    /// 1: the operation was cancelled, typically by the caller.
    Cancelled = 1,
    /// 2: an error that nobody gave a code.
    Unknown = 2,
    /// 3: the argument is wrong in any state of the system.
    InvalidArgument = 3,
    /// 4: the deadline passed before the operation was done.
    DeadlineExceeded = 4,
    /// 5: there is no such entity.
    NotFound = 5,
    /// 6: the entity is there already.
    AlreadyExists = 6,
    /// 7: the caller is known and may not do this.
    PermissionDenied = 7,
    /// 8: a quota or a whole resource is used up.
    ResourceExhausted = 8,
    /// 9: the system is not in the state that the operation needs.
    FailedPrecondition = 9,
    /// 10: a conflict, such as that of two transactions.
    Aborted = 10,
    /// 11: past the valid range.
    OutOfRange = 11,
    /// 12: not implemented, or not enabled.
    Unimplemented = 12,
    /// 13: an invariant is broken.
    Internal = 13,
    /// 14: not available at present.
    Unavailable = 14,
    /// 15: data are lost or corrupt.
    DataLoss = 15,
    /// 16: the caller is not known.
    Unauthenticated = 16,
}

impl From<i32> for GrpcCode {
    /// A number that is no code is [`Unknown`](GrpcCode::Unknown), as gRPC demands.
    fn from(code: i32) -> Self {
        match code {
            0 => Self::Ok,
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }
}

impl GrpcCode {
    /// The code that a head gives, if it does: that of a response of trailers only, or that of a
    /// proxy that speaks no gRPC.
    pub(super) fn of_head(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let not_ok = || (status != StatusCode::OK).then(|| Self::of_http(status));
        Self::of_trailers(headers).or_else(not_ok)
    }

    /// `grpc-status`; one that is malformed is [`Unknown`](GrpcCode::Unknown).
    pub(super) fn of_trailers(trailers: &HeaderMap) -> Option<Self> {
        let text = trailers.get("grpc-status")?.to_str().ok();
        let number = text.and_then(digits).and_then(|number| i32::try_from(number).ok());
        Some(number.map_or(Self::Unknown, Self::from))
    }

    /// gRPC's "HTTP to gRPC Status Code Mapping", for responses without `grpc-status`.
    fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 431 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn of_trailers(status: &[u8]) -> Option<GrpcCode> {
        let status = HeaderValue::from_bytes(status).unwrap();
        GrpcCode::of_trailers(&HeaderMap::from_iter([("grpc-status".parse().unwrap(), status)]))
    }

    #[test]
    fn the_numbers_are_those_of_tonic() {
        for number in -1..=20 {
            let tonic = tonic::Code::from(number);
            assert_eq!(format!("{:?}", GrpcCode::from(number)), format!("{tonic:?}"));
            assert_eq!(GrpcCode::from(number) as i32, tonic as i32);
        }
    }

    #[test]
    fn a_status_is_read_and_a_malformed_one_is_unknown() {
        assert_eq!(GrpcCode::of_trailers(&HeaderMap::new()), None);
        assert_eq!(of_trailers(b"0"), Some(GrpcCode::Ok));
        assert_eq!(of_trailers(b"16"), Some(GrpcCode::Unauthenticated));
        for malformed in [&b""[..], b"-1", b"+0", b"17", b"OK", b"0 ", b"\xff", b"4294967296"] {
            assert_eq!(of_trailers(malformed), Some(GrpcCode::Unknown), "{malformed:?}");
        }
    }

    #[test]
    fn a_head_without_a_status_is_mapped_unless_it_is_200() {
        let of_head =
            |status| GrpcCode::of_head(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
        assert_eq!(of_head(200), None);
        let mapped = [
            (400, GrpcCode::Internal),
            (401, GrpcCode::Unauthenticated),
            (403, GrpcCode::PermissionDenied),
            (404, GrpcCode::Unimplemented),
            (429, GrpcCode::Unavailable),
            (431, GrpcCode::Internal),
            (502, GrpcCode::Unavailable),
            (503, GrpcCode::Unavailable),
            (504, GrpcCode::Unavailable),
            (204, GrpcCode::Unknown),
            (302, GrpcCode::Unknown),
            (500, GrpcCode::Unknown),
        ];
        for (status, code) in mapped {
            assert_eq!(of_head(status), Some(code), "{status}");
        }
    }

    #[test]
    fn the_status_of_a_head_comes_before_that_of_http() {
        let headers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
        let code = GrpcCode::of_head(StatusCode::SERVICE_UNAVAILABLE, &headers);
        assert_eq!(code, Some(GrpcCode::Ok));
    }
}
