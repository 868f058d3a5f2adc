//! The dependency: an axum server on a loopback port that misbehaves in many ways.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use futures_util::stream;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode, Uri};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower::BoxError;

use crate::call::Injected;
use crate::ledger::Ledgers;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Error,
    /// Answers 503 with a retry-after of one second.
    Overload,
    /// Never answers. The client gives up and closes the connection.
    Hang,
    Slow,
    /// Sends the body in small pieces.
    Trickle,
    /// Closes the connection in the middle of the body.
    BreakOff,
    /// Stops sending in the middle of the body.
    Stall,
    Panic,
}

pub(crate) const FAULTS: [Fault; 8] = [
    Fault::Error,
    Fault::Overload,
    Fault::Hang,
    Fault::Slow,
    Fault::Trickle,
    Fault::BreakOff,
    Fault::Stall,
    Fault::Panic,
];

pub(crate) struct Backend {
    address: SocketAddr,
    handler: Handler,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// The port while no server listens on it. It is bound, so that no other process takes it, but connections
    /// are refused.
    reserved: Option<TcpSocket>,
}

#[derive(Clone)]
struct Handler {
    fault: Arc<Mutex<Fault>>,
    ledgers: Ledgers,
}

impl Backend {
    pub(crate) fn new(ledgers: Ledgers) -> io::Result<Self> {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let fault = Arc::new(Mutex::new(Fault::None));
        Ok(Self {
            address: socket.local_addr()?,
            handler: Handler { fault, ledgers },
            server: None,
            reserved: Some(socket),
        })
    }

    pub(crate) fn uri(&self) -> Uri {
        format!("http://{}/", self.address).parse().expect("an address makes a valid URI")
    }

    pub(crate) fn misbehave(&self, fault: Fault) {
        *self.handler.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Closes all connections, as if the process had crashed. From now on, connections are refused.
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        if let Some((stop, task)) = self.server.take() {
            drop(stop);
            let _ = task.await;
            self.reserved = Some(bind(self.address)?);
        }
        Ok(())
    }

    pub(crate) fn start(&mut self) -> io::Result<()> {
        if let Some(socket) = self.reserved.take() {
            let router = Router::new().route("/", get(answer)).with_state(self.handler.clone());
            let (stop, stopped) = oneshot::channel();
            self.server = Some((stop, tokio::spawn(serve(socket.listen(4096)?, router, stopped))));
        }
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Without this, binding fails while the system remembers the old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let service = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let io = TokioIo::new(stream);
                    connections.spawn(http1::Builder::new().serve_connection(io, service.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn answer(State(handler): State<Handler>, request: Request<Body>) -> Response<Body> {
    handler.ledgers.arrived(request.headers());
    let mut response = Response::new(Body::from("hello\n"));
    let fault = *handler.fault.lock().unwrap_or_else(PoisonError::into_inner);
    match fault {
        Fault::None => {}
        Fault::Error => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        Fault::Overload => {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        Fault::Hang => std::future::pending().await,
        Fault::Slow => tokio::time::sleep(Duration::from_millis(60)).await,
        Fault::Trickle => *response.body_mut() = body(8, End::Good),
        Fault::BreakOff => *response.body_mut() = body(2, End::Broken),
        Fault::Stall => *response.body_mut() = body(2, End::Never),
        Fault::Panic => std::panic::resume_unwind(Box::new(Injected)),
    }
    response
}

#[derive(Clone, Copy)]
enum End {
    Good,
    Broken,
    Never,
}

/// Returns a body of so many pieces that ends like this.
fn body(pieces: u32, end: End) -> Body {
    Body::from_stream(stream::unfold(pieces, move |left| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        match (left, end) {
            (1.., _) => Some((Ok("piece\n"), left - 1)),
            (0, End::Good) => None,
            (0, End::Broken) => Some((Err(BoxError::from("broken off")), 0)),
            (0, End::Never) => std::future::pending().await,
        }
    }))
}
