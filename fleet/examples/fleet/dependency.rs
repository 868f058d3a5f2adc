//! The dependency: a server that answers each byte with one, for better or for worse.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use crate::Result;

pub(crate) const CALL: u8 = b'c';
pub(crate) const PROBE: u8 = b'p';
pub(crate) const OK: u8 = b'+';
const FAILED: u8 = b'-';

pub(crate) struct Dependency {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    is_healthy: AtomicBool,
    calls: Mutex<Vec<Call>>,
}

/// What the dependency has seen.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    pub(crate) is_probe: bool,
    pub(crate) failed: bool,
}

impl Dependency {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let shared =
            Arc::new(Shared { is_healthy: AtomicBool::new(true), calls: Mutex::default() });
        let of_listener = shared.clone();
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(std::result::Result::ok) {
                let shared = of_listener.clone();
                thread::spawn(move || {
                    let mut byte = [0];
                    while client.read_exact(&mut byte).is_ok() {
                        let answer = shared.answer(byte[0]);
                        if client.write_all(&[answer]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(Self { addr, shared })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn set_healthy(&self, is_healthy: bool) {
        self.shared.is_healthy.store(is_healthy, Ordering::Relaxed);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }
}

impl Shared {
    fn answer(&self, request: u8) -> u8 {
        let failed = !self.is_healthy.load(Ordering::Relaxed);
        let call = Call { at: Instant::now(), is_probe: request == PROBE, failed };
        self.calls.lock().unwrap().push(call);
        if failed { FAILED } else { OK }
    }
}
