//! Servers on loopback sockets that are healthy, fail, do not answer, refuse connections, or close them in
//! the middle of a body.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves HTTP/1 and HTTP/2.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// A server that answers every request as the test says, and counts the requests.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    hits: AtomicUsize,
    behaviour: Mutex<Behaviour>,
}

#[derive(Clone, Copy)]
enum Behaviour {
    Status(StatusCode),
    /// Answers 503 with this `Retry-After`.
    Busy(&'static str),
    /// Never answers.
    Silence,
}

impl Backend {
    /// Starts a server that answers 200.
    pub(crate) async fn start() -> Self {
        let behaviour = Mutex::new(Behaviour::Status(StatusCode::OK));
        let shared = Arc::new(Shared { hits: AtomicUsize::new(0), behaviour });
        let router = Router::new().fallback(Self::answer).with_state(shared.clone());
        Self { address: serve(router).await, shared }
    }

    async fn answer(State(shared): State<Arc<Shared>>) -> Response {
        shared.hits.fetch_add(1, Ordering::Relaxed);
        let behaviour = *shared.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Status(status) => (status, "body").into_response(),
            Behaviour::Busy(seconds) => {
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds)]).into_response()
            }
            Behaviour::Silence => std::future::pending().await,
        }
    }

    fn behaves(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn answers(&self, status: StatusCode) {
        self.behaves(Behaviour::Status(status));
    }

    pub(crate) fn is_busy_for(&self, retry_after: &'static str) {
        self.behaves(Behaviour::Busy(retry_after));
    }

    pub(crate) fn falls_silent(&self) {
        self.behaves(Behaviour::Silence);
    }

    pub(crate) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// An address where connections are refused. The port is bound, so no other process gets it.
pub(crate) struct DeadPort {
    pub(crate) address: SocketAddr,
    socket: TcpSocket,
}

impl DeadPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { address: socket.local_addr().unwrap(), socket }
    }

    /// Starts to listen.
    pub(crate) fn come_to_life(self) -> TcpListener {
        self.socket.listen(8).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// An HTTP/1 server that sends a 200 and the first half of a body. It closes the connection when the test
/// says so, once for each response.
#[derive(Clone)]
pub(crate) struct HalfBody {
    pub(crate) address: SocketAddr,
    end: Arc<Notify>,
}

/// How a connection is closed in the middle of a body.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// With a FIN, as when the process exits.
    Closed,
    /// With a RST, as when the machine has restarted.
    Reset,
}

impl HalfBody {
    pub(crate) async fn start(framing: &'static str, end: End) -> Self {
        let (listener, address) = listen().await;
        let server = Self { address, end: Arc::default() };
        let end_of_body = server.end.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, framing, end, end_of_body.clone()));
            }
        });
        server
    }

    /// Closes the connection of one response.
    pub(crate) fn close(&self) {
        self.end.notify_one();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

async fn converse(
    mut stream: TcpStream,
    framing: &'static str,
    end: End,
    end_of_body: Arc<Notify>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}").as_bytes()).await?;
    end_of_body.notified().await;
    match end {
        End::Closed => stream.shutdown().await,
        End::Reset => stream.set_zero_linger(),
    }
}

/// The head of a response with a length, and half of the body.
pub(crate) const LENGTH: &str = "content-length: 8\r\n\r\nhalf";
/// The head of a chunked response, and its first chunk.
pub(crate) const CHUNKED: &str = "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
/// The first half of both bodies.
pub(crate) const HALF: Bytes = Bytes::from_static(b"half");
