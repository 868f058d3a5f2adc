//! [`RedisServer`].

use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// A `redis-server` of its own on a loopback port, which keeps nothing on disk. It ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    process: Child,
}

impl RedisServer {
    /// Starts a server on a free port and waits until it accepts connections.
    ///
    /// # Errors
    /// Fails with [`io::ErrorKind::NotFound`] if `redis-server` is not installed, and with
    /// [`io::ErrorKind::TimedOut`] if it does not accept connections within ten seconds.
    pub async fn start() -> io::Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        Self::start_on(port).await
    }

    async fn start_on(port: u16) -> io::Result<Self> {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { port, process };
        let accepts = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), accepts).await.map_err(io::Error::from)?;
        Ok(server)
    }

    /// Returns the address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends the server as a crash does, and returns its port.
    #[must_use]
    pub fn kill(self) -> u16 {
        self.port
    }

    /// Starts an empty server on the port of one that was killed.
    ///
    /// # Errors
    /// The same as [`start`](Self::start).
    pub async fn restart(port: u16) -> io::Result<Self> {
        Self::start_on(port).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
