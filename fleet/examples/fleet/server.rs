//! A server of the example's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::Result;

pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Returns `None` if there is no such program.
    pub(crate) fn start() -> Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let spawned = ["redis-server", "valkey-server"].iter().find_map(|program| {
            Command::new(program)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no"])
                .stdout(Stdio::null())
                .spawn()
                .ok()
        });
        let Some(child) = spawned else { return Ok(None) };
        let server = Self { child, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Some(server));
            }
            sleep(Duration::from_millis(50));
        }
        Err("the server does not listen".into())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Stops the process, so that connections stay and nothing answers.
    pub(crate) fn pause(&self) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", "STOP", &pid]).status()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
