//! Servers of the tests.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};

use tower_breaker_fleet::redis;

use crate::{SOON, wait};

/// So many servers run at a time. Each has up to eight processes around it, and the machine may have two cores.
const MOST_SERVERS: usize = 3;

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// The right to run a server.
struct Turn;

impl Turn {
    fn take() -> Self {
        let (running, changed) = &RUNNING;
        let running = running.lock().unwrap();
        *changed.wait_while(running, |running| *running >= MOST_SERVERS).unwrap() += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.0.lock().unwrap() -= 1;
        RUNNING.1.notify_one();
    }
}

/// A server without any data on disk. It ends with this.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _turn: Turn,
}

impl Server {
    pub(crate) fn start() -> Self {
        let turn = Turn::take();
        loop {
            let port = free_port();
            let mut child = spawn(port);
            // Another server may have taken the port first.
            if is_up(port, &mut child) {
                return Self { child, port, _turn: turn };
            }
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    /// A connection of the test itself.
    pub(crate) fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same address, empty.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.port);
        assert!(is_up(self.port, &mut self.child), "the port is taken");
    }

    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(status.success());
    }
}

fn spawn(port: u16) -> Child {
    let programs = ["redis-server", "valkey-server"];
    let spawned = programs.iter().find_map(|program| {
        Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .ok()
    });
    spawned.unwrap_or_else(|| {
        panic!("these tests need `redis-server` or `valkey-server`: apt-get install redis-server")
    })
}

/// Waits until this server listens. Returns false if it has ended, because it did not get its port.
fn is_up(port: u16, child: &mut Child) -> bool {
    let process = format!("process_id:{}\r\n", child.id());
    let url = format!("redis://127.0.0.1:{port}/");
    let mut has_ended = false;
    wait(SOON, "the server listens", || {
        has_ended = child.try_wait().unwrap().is_some();
        let connection = redis::Client::open(&*url).unwrap().get_connection();
        let info =
            connection.and_then(|mut it| redis::cmd("INFO").arg("server").query::<String>(&mut it));
        has_ended || info.is_ok_and(|info| info.contains(&process))
    });
    !has_ended
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // also one that is paused
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
