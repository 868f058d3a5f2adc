//! The dependency: an axum server that misbehaves on demand.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{StatusCode, Uri};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::args::Mode;
use crate::cold::Cold;

/// How long a slow answer takes. That is within the timeout of the clients, and does not count as hung.
const SLOW_ANSWER: Duration = Duration::from_millis(100);

pub(crate) struct Backend {
    address: SocketAddr,
    behaviour: Behaviour,
    server: Option<Server>,
    /// The port while no server listens on it. It is bound, so that no other process takes it, but connections
    /// are refused.
    reserved: Option<TcpSocket>,
}

impl Backend {
    /// Reserves a free loopback port. The server starts with the first phase. The full load is `rate` requests
    /// per second.
    pub(crate) fn new(rate: u32) -> io::Result<Self> {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: socket.local_addr()?,
            behaviour: Behaviour::new(rate),
            server: None,
            reserved: Some(socket),
        })
    }

    pub(crate) fn uri(&self) -> Uri {
        format!("http://{}/", self.address).parse().expect("an address makes a valid URI")
    }

    /// Starts the next phase.
    pub(crate) async fn enter(&mut self, mode: Mode) -> io::Result<()> {
        if mode == Mode::Refuse {
            if let Some(server) = self.server.take() {
                server.stop().await;
                self.reserved = Some(bind(self.address)?);
            }
        }
        self.behaviour.enter(mode);
        if mode != Mode::Refuse {
            if let Some(socket) = self.reserved.take() {
                self.server = Some(Server::start(socket.listen(1024)?, self.behaviour.clone()));
            }
        }
        Ok(())
    }

    /// Returns how many requests reached the handler in each phase.
    pub(crate) fn reached(&self) -> Vec<u64> {
        self.behaviour.now().reached.clone()
    }

    /// Returns how often the backend fell over while it was cold.
    pub(crate) fn falls(&self) -> u32 {
        let now = self.behaviour.now();
        now.falls + now.cold.falls()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Without this, binding fails while the system remembers the old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Like `axum::serve`, except that `stop` closes all connections at once, as if the process had crashed.
struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(listener: TcpListener, behaviour: Behaviour) -> Self {
        let router = Router::new().route("/", get(answer)).with_state(behaviour);
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(serve(listener, router, stopped)) }
    }

    async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
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

async fn answer(State(behaviour): State<Behaviour>) -> (StatusCode, &'static str) {
    match behaviour.count() {
        Mode::Healthy | Mode::Refuse => {}
        Mode::Error => return (StatusCode::INTERNAL_SERVER_ERROR, "out of order\n"),
        // This lasts until the client gives up and closes the connection.
        Mode::Hang => std::future::pending().await,
        Mode::Slow => tokio::time::sleep(SLOW_ANSWER).await,
        Mode::Cold if behaviour.now().cold.answers() => {}
        Mode::Cold => {
            return (StatusCode::SERVICE_UNAVAILABLE, "too many requests for a cold cache\n");
        }
    }
    (StatusCode::OK, "hello\n")
}

/// How the handler behaves now, and how many requests it has received.
#[derive(Clone)]
struct Behaviour(Arc<Mutex<Now>>);

#[derive(Default)]
struct Now {
    rate: u32,
    mode: Mode,
    cold: Cold,
    /// How often it fell over in earlier phases.
    falls: u32,
    reached: Vec<u64>,
}

impl Behaviour {
    fn new(rate: u32) -> Self {
        Self(Arc::new(Mutex::new(Now { rate, ..Now::default() })))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }

    fn enter(&self, mode: Mode) {
        let mut now = self.now();
        now.mode = mode;
        now.falls += now.cold.falls();
        now.cold = Cold::new(now.rate);
        now.reached.push(0);
    }

    fn count(&self) -> Mode {
        let mut now = self.now();
        if let Some(reached) = now.reached.last_mut() {
            *reached += 1;
        }
        now.mode
    }
}
