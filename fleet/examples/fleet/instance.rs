//! An instance: a process that calls the dependency through a circuit, and says what its circuit does.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_breaker::{Backoff, CircuitBreaker, EventKind, HalfOpen, State};
use tower_breaker_fleet::{Fleet, RedisStore};

use crate::Result;
use crate::dependency::{CALL, OK, PROBE};

/// An instance as the example sees it.
pub(crate) struct Instance {
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// `closed`, `open` or `half_open`, and a question mark if the circuit is suspected.
    pub(crate) state: String,
    /// What has happened since somebody looked.
    pub(crate) events: Vec<String>,
}

impl Instance {
    pub(crate) fn start(
        number: usize,
        rate: u32,
        dependency: SocketAddr,
        server: Option<&str>,
    ) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([number.to_string(), rate.to_string(), dependency.to_string()])
            .args(server)
            .stdin(Stdio::piped()) // it ends when this does
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let of_thread = seen.clone();
        thread::spawn(move || {
            for line in lines.map_while(std::result::Result::ok) {
                let mut seen = of_thread.lock().unwrap();
                match line.split_once(' ') {
                    Some(("state", state)) => seen.state = state.into(),
                    Some(("event", event)) => seen.events.push(event.into()),
                    _ => {}
                }
            }
        });
        Ok(Self { child, seen })
    }

    pub(crate) fn look(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap();
        Seen { state: seen.state.clone(), events: std::mem::take(&mut seen.events) }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs as an instance until the example ends.
pub(crate) fn run(
    number: &str,
    rate: u32,
    dependency: &str,
    server: Option<&String>,
) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let breaker = CircuitBreaker::builder("payments")
            .consecutive_failures(8)
            .open_duration(
                Backoff::exponential(Duration::from_secs(2), Duration::from_secs(4)).jitter(0.3),
            )
            .half_open(HalfOpen::consecutive_successes(2))
            .on_event(|event| match event.kind() {
                EventKind::Transition(transition) => println!("event {transition}"),
                EventKind::OperatorAction(_) => println!("event {event}"),
                _ => {}
            })
            .build()?;
        let fleet = match server {
            Some(server) => {
                let store = RedisStore::open(server.as_str())?;
                let fleet = Fleet::builder("example", store).instance(format!("instance-{number}"));
                let fleet = fleet.spawn()?;
                fleet.add(&breaker)?;
                Some(fleet)
            }
            None => None,
        };
        tokio::spawn(call(breaker.clone(), rate, dependency.to_owned()));
        let (mut end, mut byte) = (tokio::io::stdin(), [0]);
        let watch = async {
            loop {
                let snapshot = breaker.snapshot();
                let mark = if snapshot.suspected_for().is_some() { "?" } else { "" };
                println!("state {}{mark}", snapshot.state().name());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            _ = end.read(&mut byte) => {}
            () = watch => {}
        }
        drop(fleet);
        Ok(())
    })
}

async fn call(breaker: CircuitBreaker, rate: u32, dependency: String) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(dependency).await?;
    // Calls of different instances do not come at the same time.
    let period = Duration::from_secs(1) / rate;
    tokio::time::sleep(period * (std::process::id() % 16) / 16).await;
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        let Ok(permit) = breaker.try_acquire() else { continue };
        let is_probe = breaker.state() != State::Closed;
        connection.write_all(&[if is_probe { PROBE } else { CALL }]).await?;
        if connection.read_u8().await? == OK { permit.success() } else { permit.failure() }
    }
}
