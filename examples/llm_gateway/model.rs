//! The models: axum servers that stream tokens, or do not.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::serve::ListenerExt;
use futures_util::stream;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode, Uri};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// The length of an answer.
pub(crate) const TOKENS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Well,
    /// Sends its head at once, then comments, and never a token.
    Stalled,
    /// Sends its head at once, and the first token after 800 milliseconds.
    Slow,
    /// Answers 503 and asks not to be called for a second.
    Busy,
    /// Closes the connection after three tokens.
    BreaksOff,
    /// Accepts requests and does not answer.
    Hanging,
}

#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) uri: Uri,
    now: Arc<Mutex<Now>>,
}

struct Now {
    mode: Mode,
    asked: Vec<Instant>,
}

impl Model {
    /// Starts the server, which runs until the program ends.
    pub(crate) async fn start(name: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let uri = format!("http://{}/", listener.local_addr()?);
        let listener = listener.tap_io(send_at_once);
        let uri = uri.parse().expect("an address makes a valid URI");
        let now = Arc::new(Mutex::new(Now { mode: Mode::Well, asked: Vec::new() }));
        let model = Self { name, uri, now };
        let router = Router::new().fallback(answer).with_state(model.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(model)
    }

    pub(crate) fn enter(&self, mode: Mode) {
        self.now().mode = mode;
    }

    /// Returns when the model was asked.
    pub(crate) fn asked(&self) -> Vec<Instant> {
        self.now().asked.clone()
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().expect("nobody panics with the lock")
    }
}

/// Otherwise a token waits until the client has acknowledged the one before it.
pub(crate) fn send_at_once(stream: &mut TcpStream) {
    stream.set_nodelay(true).expect("this works on every platform");
}

async fn answer(State(model): State<Model>) -> Response<Body> {
    let mode = {
        let mut now = model.now();
        now.asked.push(Instant::now());
        now.mode
    };
    match mode {
        Mode::Hanging => return pending().await,
        Mode::Busy => {
            let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
            return response.header(RETRY_AFTER, 1).body(Body::empty()).expect("valid headers");
        }
        _ => {}
    }
    let events = stream::unfold(0, move |number| async move {
        sleep(pause(mode, number)).await;
        let event = match number {
            0 => Ok(": welcome\n\n".to_owned()),
            _ if mode == Mode::Stalled => Ok(": ping\n\n".to_owned()),
            4 if mode == Mode::BreaksOff => Err(io::Error::other("out of memory")),
            1..=TOKENS => Ok(format!("data: {} {number}\n\n", model.name)),
            _ => return None,
        };
        Some((event, number + 1))
    });
    let response = Response::builder().header(CONTENT_TYPE, "text/event-stream");
    response.body(Body::from_stream(Box::pin(events))).expect("valid headers")
}

/// Returns the pause before an event.
fn pause(mode: Mode, number: usize) -> Duration {
    Duration::from_millis(match (mode, number) {
        (_, 0) => 0,
        (Mode::Stalled, _) => 50,
        (Mode::Slow, 1) => 800,
        _ => 15,
    })
}
