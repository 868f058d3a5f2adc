//! The callers, who read what the gateway streams.

use std::time::Duration;

use http::Uri;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::BoxError;

use crate::MODELS;
use crate::gateway::HttpClient;
use crate::model::TOKENS;

/// What a caller got.
pub(crate) struct Answer {
    pub(crate) asked: Instant,
    /// The time until the first token, or until the gateway said that there is none.
    pub(crate) waited: Duration,
    pub(crate) end: End,
    /// How many tokens each model has sent.
    pub(crate) tokens: [usize; MODELS.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All tokens have come.
    Whole,
    /// The connection was closed in the middle of the answer.
    BrokeOff,
    /// The gateway had no model that answers.
    Refused,
}

impl Answer {
    /// Returns the number of the model, if a single one sent the tokens.
    pub(crate) fn model(&self) -> Option<usize> {
        let mut senders = (0..MODELS.len()).filter(|model| self.tokens[*model] > 0);
        senders.next().filter(|_| senders.next().is_none())
    }
}

/// Asks the gateway, and reads the answer to its end.
pub(crate) async fn call(client: HttpClient, gateway: Uri) -> Result<Answer, BoxError> {
    let asked = Instant::now();
    let response = client.get(gateway).await?;
    let is_refused = !response.status().is_success();
    let (mut body, mut text) = (response.into_body(), Vec::new());
    let (mut waited, mut has_failed) = (None, false);
    while let Some(frame) = body.frame().await {
        waited.get_or_insert_with(|| asked.elapsed());
        match frame {
            Ok(frame) => text.extend(frame.into_data().unwrap_or_default()),
            Err(_) => has_failed = true,
        }
    }
    let text = String::from_utf8(text)?;
    let tokens = MODELS.map(|model| text.matches(&format!("data: {model} ")).count());
    let end = match tokens.iter().sum::<usize>() {
        _ if is_refused => End::Refused,
        TOKENS if !has_failed => End::Whole,
        _ => End::BrokeOff,
    };
    Ok(Answer { asked, waited: waited.unwrap_or_else(|| asked.elapsed()), end, tokens })
}
