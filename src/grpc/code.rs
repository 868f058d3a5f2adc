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
#[non_exhaustive]
pub enum GrpcCode {
    /// 0: The call succeeded.
    Ok = 0,
    /// 1: The operation was cancelled, usually by the caller.
    Cancelled = 1,
    /// 2: The server did not assign a code to the error.
    Unknown = 2,
    /// 3: The argument is invalid, whatever the state of the system.
    InvalidArgument = 3,
    /// 4: The deadline expired before the operation completed.
    DeadlineExceeded = 4,
    /// 5: The requested entity does not exist.
    NotFound = 5,
    /// 6: The entity to be created already exists.
    AlreadyExists = 6,
    /// 7: The caller is authenticated, but not allowed to do this.
    PermissionDenied = 7,
    /// 8: A quota or a resource is exhausted.
    ResourceExhausted = 8,
    /// 9: The system is not in the state that the operation requires.
    FailedPrecondition = 9,
    /// 10: The operation was aborted, for example by a transaction conflict.
    Aborted = 10,
    /// 11: The operation went past the valid range.
    OutOfRange = 11,
    /// 12: The operation is not implemented or not enabled.
    Unimplemented = 12,
    /// 13: An invariant of the server is broken.
    Internal = 13,
    /// 14: The service is currently unavailable.
    Unavailable = 14,
    /// 15: Data is lost or corrupted.
    DataLoss = 15,
    /// 16: The caller is not authenticated.
    Unauthenticated = 16,
}

impl From<i32> for GrpcCode {
    /// Converts a number. Any number that is not a code becomes [`Unknown`](GrpcCode::Unknown), as gRPC
    /// requires.
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
    /// Returns the code of a response head, if it has one: the status of a response that consists of
    /// trailers only, or the HTTP status of a proxy that does not speak gRPC.
    pub(super) fn of_head(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let not_ok = || (status != StatusCode::OK).then(|| Self::of_http(status));
        Self::of_trailers(headers).or_else(not_ok)
    }

    /// Returns the code in `grpc-status`. A malformed one is [`Unknown`](GrpcCode::Unknown).
    pub(super) fn of_trailers(trailers: &HeaderMap) -> Option<Self> {
        let text = trailers.get("grpc-status")?.to_str().ok();
        let number = text.and_then(digits).and_then(|number| i32::try_from(number).ok());
        Some(number.map_or(Self::Unknown, Self::from))
    }

    /// Maps the HTTP status of a response without `grpc-status`, by gRPC's "HTTP to gRPC Status Code
    /// Mapping".
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
    fn the_numbers_match_those_of_tonic() {
        for number in -1..=20 {
            let tonic = tonic::Code::from(number);
            assert_eq!(format!("{:?}", GrpcCode::from(number)), format!("{tonic:?}"));
            assert_eq!(GrpcCode::from(number) as i32, tonic as i32);
        }
    }

    #[test]
    fn a_malformed_status_is_unknown() {
        assert_eq!(GrpcCode::of_trailers(&HeaderMap::new()), None);
        assert_eq!(of_trailers(b"0"), Some(GrpcCode::Ok));
        assert_eq!(of_trailers(b"16"), Some(GrpcCode::Unauthenticated));
        for malformed in [&b""[..], b"-1", b"+0", b"17", b"OK", b"0 ", b"\xff", b"4294967296"] {
            assert_eq!(of_trailers(malformed), Some(GrpcCode::Unknown), "{malformed:?}");
        }
    }

    #[test]
    fn a_head_without_grpc_status_is_mapped_unless_it_is_200() {
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
    fn grpc_status_takes_precedence_over_the_http_status() {
        let headers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
        let code = GrpcCode::of_head(StatusCode::SERVICE_UNAVAILABLE, &headers);
        assert_eq!(code, Some(GrpcCode::Ok));
    }
}
