//! Servers on loopback ports for the recipes of `tower-breaker` to call. They break when they are told to.
//!
//! The recipes are in `examples/`, and `README.md` lists them. You need nothing from here to use one.

mod redis_server;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

pub use self::redis_server::RedisServer;

/// How a [`Backend`] answers.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// With this status and the name of the server.
    Status(u16),
    /// Not at all. The connection stays open.
    Silence,
    /// With 200 and the beginning of a body. Then it closes the connection.
    BreaksOff,
}

/// An HTTP server that answers every request in the same way, and counts the requests.
#[derive(Debug, Clone)]
pub struct Backend {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    answer: Mutex<Answer>,
    hits: AtomicUsize,
}

impl Backend {
    /// Starts a server that answers with 200.
    pub async fn start(name: &'static str) -> io::Result<Self> {
        let answer = Mutex::new(Answer::Status(200));
        let shared = Arc::new(Shared { name, answer, hits: AtomicUsize::new(0) });
        let url = serve(Router::new().fallback(answer_request).with_state(shared.clone())).await?;
        Ok(Self { url, shared })
    }

    /// Returns the address, with a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes how the server answers from now on.
    pub fn set(&self, answer: Answer) {
        *self.shared.answer.lock().expect("no panic with the lock held") = answer;
    }

    /// Returns how many requests have arrived.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::Relaxed)
    }
}

async fn answer_request(State(shared): State<Arc<Shared>>) -> Response {
    shared.hits.fetch_add(1, Ordering::Relaxed);
    let answer = *shared.answer.lock().expect("no panic with the lock held");
    match answer {
        Answer::Status(status) => {
            (StatusCode::from_u16(status).expect("a valid status"), shared.name).into_response()
        }
        Answer::Silence => std::future::pending().await,
        Answer::BreaksOff => {
            let beginning = stream::iter([Ok::<_, io::Error>("half of ")]);
            // The pause lets the server send the beginning before it closes the connection.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Err(io::Error::other("broken off"))
            });
            Body::from_stream(beginning.chain(end)).into_response()
        }
    }
}

/// Serves a router on a loopback port until the program ends. Returns its address, with a slash at the end.
pub async fn serve(router: Router) -> io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
