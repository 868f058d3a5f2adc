//! [`Error`]: why a request is not answered.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A status, and a sentence for people.
pub(super) struct Error {
    status: StatusCode,
    error: String,
}

#[derive(Serialize)]
struct Told {
    error: String,
}

impl Error {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such circuit, or it exists no more")
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn text(&self) -> &str {
        &self.error
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status, Json(Told { error: self.error })).into_response()
    }
}
