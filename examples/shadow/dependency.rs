//! The dependency: an axum server that misbehaves now and then.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{StatusCode, Uri};
use tokio::net::TcpListener;

use crate::clock::shortened;

/// How long an overloaded server takes to answer.
const OVERLOADED: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Healthy,
    /// Every answer takes three seconds and is a 503.
    Overloaded,
    /// Every third answer is a 500, as if one of three instances were broken.
    Flaky,
}

#[derive(Clone)]
pub(crate) struct Dependency {
    now: Arc<Mutex<Now>>,
    uri: Uri,
}

struct Now {
    mode: Mode,
    requests: u64,
}

impl Dependency {
    /// Starts the server, which runs until the program ends.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let uri = format!("http://{}/", listener.local_addr()?);
        let dependency = Self {
            now: Arc::new(Mutex::new(Now { mode: Mode::Healthy, requests: 0 })),
            uri: uri.parse().expect("an address makes a valid URI"),
        };
        let router = Router::new().route("/", get(answer)).with_state(dependency.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(dependency)
    }

    pub(crate) fn uri(&self) -> Uri {
        self.uri.clone()
    }

    pub(crate) fn enter(&self, mode: Mode) {
        self.now.lock().expect("nothing panics while it holds the lock").mode = mode;
    }

    /// Returns the mode and the number of this request.
    fn count(&self) -> (Mode, u64) {
        let mut now = self.now.lock().expect("nothing panics while it holds the lock");
        now.requests += 1;
        (now.mode, now.requests)
    }
}

async fn answer(State(dependency): State<Dependency>) -> StatusCode {
    match dependency.count() {
        (Mode::Overloaded, _) => {
            tokio::time::sleep(shortened(OVERLOADED)).await;
            StatusCode::SERVICE_UNAVAILABLE
        }
        (Mode::Flaky, request) if request % 3 == 0 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    }
}
