//! What a `POST` does.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::breaker::CircuitBreaker;
use crate::config::{Config, ConfigError, force_duration};
use crate::machine::OperatorAction;
use crate::observe::Operator;

const LONGEST_BODY: usize = 64 << 10;
const LONGEST_REASON: usize = 1000;

/// The body of an action without an argument.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Force {
    #[serde(default, rename = "for", deserialize_with = "force_duration")]
    duration: Option<Duration>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enforcement {
    share: f64,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    reason: String,
    #[serde(flatten)]
    settings: Config,
}

/// Operates the circuit.
pub(super) async fn operate(
    breaker: &CircuitBreaker,
    action: &str,
    actor: String,
    body: Body,
) -> Result<(), Error> {
    let plain = match action {
        "trip" => OperatorAction::Trip,
        "reset" => OperatorAction::Reset,
        "resume" => OperatorAction::Resume,
        "force_open" | "force_closed" => {
            let Force { duration, reason } = read(body).await?;
            let action = match (action, duration) {
                ("force_open", None) => OperatorAction::ForceOpen,
                ("force_open", Some(duration)) => OperatorAction::ForceOpenFor { duration },
                (_, None) => OperatorAction::ForceClosed,
                (_, Some(duration)) => OperatorAction::ForceClosedFor { duration },
            };
            return breaker.operate(action, operator(actor, reason)?).map_err(wrong_setting);
        }
        "enforcement" => {
            let Enforcement { share, reason } = read(body).await?;
            let operator = operator(actor, reason)?;
            let action = OperatorAction::SetEnforcement { share };
            return breaker.operate(action, operator).map_err(wrong_setting);
        }
        "reconfigure" => {
            let Settings { reason, settings } = read(body).await?;
            let operator = operator(actor, reason)?;
            let changed = breaker.reconfigure_by(settings.builder(""), operator);
            return changed.map(|_| ()).map_err(wrong_setting);
        }
        _ => return Err(Error::new(StatusCode::NOT_FOUND, "there is no such action")),
    };
    let Plain { reason } = read(body).await?;
    breaker.operate(plain, operator(actor, reason)?).map_err(wrong_setting)
}

fn operator(actor: String, reason: String) -> Result<Operator, Error> {
    if reason.len() > LONGEST_REASON {
        return Err(Error::bad_request("the `reason` is longer than 1000 bytes"));
    }
    Ok(Operator::new(actor, reason))
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn wrong_setting(error: ConfigError) -> Error {
    Error::bad_request(error.to_string())
}

/// Reads a body. An empty one is an empty object.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Error> {
    let bytes = to_bytes(body, LONGEST_BODY).await.map_err(|_| {
        let error = "the body is longer than 64 KiB, or it broke off";
        Error::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    })?;
    let bytes = if bytes.is_empty() { b"{}" } else { &bytes[..] };
    match Json::from_bytes(bytes) {
        Ok(Json(value)) => Ok(value),
        Err(error) => Err(Error::bad_request(error.body_text())),
    }
}

/// Returns the first 200 bytes of who acts.
pub(super) fn shortened(mut actor: String) -> String {
    let mut end = actor.len().min(200);
    while !actor.is_char_boundary(end) {
        end -= 1;
    }
    actor.truncate(end);
    actor
}
