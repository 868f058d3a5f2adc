//! [`Proxy`]: a network between some instances and the server that can be cut or slow.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct Network {
    /// Nothing gets through, and nobody is told: neither an answer nor the end of a connection.
    is_cut: AtomicBool,
    delay_ms: AtomicU64,
    is_over: AtomicBool,
}

pub(crate) struct Proxy {
    network: Arc<Network>,
    addr: SocketAddr,
}

impl Proxy {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let network = Arc::new(Network::default());
        let of_listener = network.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of_listener.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(server) else { continue };
                let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (there, back) = (of_listener.clone(), of_listener.clone());
                thread::spawn(move || there.carry(client, server));
                thread::spawn(move || back.carry(pair.1, pair.0));
            }
        });
        Self { network, addr }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.addr)
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.network.is_cut.store(is_cut, Ordering::Relaxed);
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.network.delay_ms.store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Network {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut bytes = [0; 4096];
        while !self.is_over.load(Ordering::Relaxed) {
            if self.is_cut.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            let n = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    continue;
                }
                Err(_) => break,
            };
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed)));
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr); // lets the listener notice
    }
}
