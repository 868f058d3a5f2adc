//! Server-sent events.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{Method, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::circuits::{Circuits, Happened, What};
use super::error::Error;
use crate::observe::{Operator, Transition};

/// How often something is sent, so that a connection that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers with a stream of what happens from now on.
pub(super) fn stream(circuits: &Arc<Circuits>, method: &Method) -> Response {
    if method == Method::HEAD {
        return Sse::new(Nothing).into_response();
    }
    match circuits.follow() {
        Some((receiver, permit)) => {
            let follower = Follower { circuits: circuits.clone(), receiver, _permit: permit };
            let first = Event::default().comment("").retry(Duration::from_secs(3));
            Sse::new(Events(Box::pin(async { Some((first, follower)) }))).into_response()
        }
        None => {
            let error = "too many clients follow the events already, or the service shuts down";
            let error = Error::new(StatusCode::SERVICE_UNAVAILABLE, error);
            ([(RETRY_AFTER, "10")], error).into_response()
        }
    }
}

struct Nothing;

impl Stream for Nothing {
    type Item = Result<Event, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

/// A client.
struct Follower {
    circuits: Arc<Circuits>,
    receiver: Receiver<Happened>,
    /// Its place, which is free once the stream is dropped.
    _permit: OwnedSemaphorePermit,
}

/// The future gives the next event, and the follower back.
struct Events(Pin<Box<Next>>);

type Next = dyn Future<Output = Option<(Event, Follower)>> + Send;

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.0.as_mut().poll(cx)).map(|(event, follower)| {
            self.0 = Box::pin(follower.next());
            Ok(event)
        }))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Transition {
        number: Option<u64>,
        transition: &'a Transition,
    },
    Operator {
        number: Option<u64>,
        breaker: &'a str,
        action: &'a str,
        actor: Option<&'a str>,
        reason: Option<&'a str>,
    },
    Lagged {
        missed: u64,
    },
}

impl Follower {
    /// Waits for the next event. Returns `None` once nothing can happen any more.
    async fn next(mut self) -> Option<(Event, Self)> {
        let event = match timeout(HEARTBEAT, self.receiver.recv()).await {
            Err(_) => Event::default().comment(""),
            Ok(Ok(happened)) => self.event(&happened),
            Ok(Err(RecvError::Lagged(missed))) => event("lagged", &Data::Lagged { missed }),
            Ok(Err(RecvError::Closed)) => return None,
        };
        Some((event, self))
    }

    fn event(&self, Happened { circuit, what }: &Happened) -> Event {
        let number = self.circuits.numbers.of(circuit);
        match what {
            What::Transition(transition) => {
                event("transition", &Data::Transition { number, transition })
            }
            What::Operated { action, operator } => {
                let operator = operator.as_ref();
                event(
                    "operator",
                    &Data::Operator {
                        number,
                        breaker: circuit,
                        action,
                        actor: operator.map(Operator::actor),
                        reason: operator.map(Operator::reason),
                    },
                )
            }
            What::Missed(missed) => event("lagged", &Data::Lagged { missed: *missed }),
        }
    }
}

fn event(name: &str, data: &Data<'_>) -> Event {
    let event = Event::default().event(name);
    event.json_data(data).expect("maps with keys of text can be written")
}
