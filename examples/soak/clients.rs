//! The clients. Each makes one call after the other, and aborts some of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Body;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tower::{BoxError, Service, ServiceExt};
use tower_breaker::Permit;

use crate::call::{Call, Injected};
use crate::dice::Dice;
use crate::findings::Check;
use crate::ledger::Ledger;
use crate::protected::Protected;
use crate::settings::{PROBE_TIMEOUT, TIMEOUT};
use crate::stacks::Caller;
use crate::watch::{Req, Watched};

/// What all clients share.
#[derive(Default)]
pub(crate) struct Scene {
    /// Whether clients misbehave: they abort calls, keep permits for too long, and so on.
    pub(crate) wild: AtomicBool,
    pub(crate) over: AtomicBool,
    pub(crate) made: AtomicU64,
    pub(crate) aborted: AtomicU64,
    pub(crate) panicked: AtomicU64,
    /// The duration of the longest call, in milliseconds.
    pub(crate) longest: AtomicU64,
}

/// The longest time that a call may take. Two attempts with a timeout each, another timeout for the body, and
/// what misbehaving clients add take half of it. The rest is for a busy machine.
const LONGEST_CALL: Duration = Duration::from_secs(5);

/// How long a client waits for readiness. With backpressure, a service may not become ready while there are
/// faults.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a misbehaving client keeps a permit.
const TOO_LONG: Duration = PROBE_TIMEOUT.saturating_mul(2);

pub(crate) async fn client(
    scene: Arc<Scene>,
    caller: Caller,
    ledger: Arc<Ledger>,
    uri: Uri,
    mut dice: Dice,
) {
    let mut calls = JoinSet::new();
    while !scene.over.load(Ordering::Relaxed) {
        let wild = scene.wild.load(Ordering::Relaxed);
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri.clone();
        let started = Instant::now();
        let (caller, own, manner) = (caller.clone(), ledger.clone(), dice.number(0..100));
        // The call runs in a task of its own, because it may panic.
        let call = calls.spawn(async move {
            let manner = if wild { manner } else { 99 };
            timeout(LONGEST_CALL, make(caller, &own, request, manner)).await
        });
        if wild && dice.chance(10) {
            tokio::time::sleep(dice.millis(0..40)).await;
            call.abort();
        }
        let result = calls.join_next().await.expect("a call was spawned");
        scene.made.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(Ok(())) => {}
            Ok(Err(_)) => ledger.find(Check::Stuck, "a call did not end in time"),
            Err(error) => match error.try_into_panic() {
                Ok(panic) if panic.is::<Injected>() => {
                    scene.panicked.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => ledger.find(Check::Panics, "a panic was not caused on purpose"),
                Err(_) => {
                    scene.aborted.fetch_add(1, Ordering::Relaxed);
                }
            },
        }
        scene.longest.fetch_max(started.elapsed().as_millis() as u64, Ordering::Relaxed);
        // Without faults no call may be late. A longer pause makes sure that load alone does not delay calls.
        let pause = dice.millis(5..50);
        tokio::time::sleep(if wild { pause } else { 4 * pause }).await;
    }
}

/// Makes a call. `manner`, below 100, decides how the client behaves.
async fn make(caller: Caller, ledger: &Arc<Ledger>, request: Req, manner: u64) {
    match caller {
        Caller::Service(mut service) => {
            let Ok(Ok(service)) = timeout(PATIENCE, service.ready()).await else { return };
            match manner {
                0..2 => return,
                // Stays ready without a call until its probe slot has expired.
                2..4 => tokio::time::sleep(TOO_LONG).await,
                _ => {}
            }
            if let Ok(response) = service.call(request).await {
                let _ = read(response.into_body(), manner).await;
            }
        }
        Caller::Call(protected) => {
            let (call, breaker) = (Call::new(ledger), ledger.breaker().clone());
            let future = Box::pin(breaker.call(send(protected, request, manner)));
            let result = Watched::new(call.clone(), future).await;
            if result.is_err_and(|error| error.rejected().is_some()) {
                call.rejected();
            }
        }
        Caller::Permit(protected) => {
            let call = Call::new(ledger);
            if let Ok(permit) = call.during(|| ledger.breaker().try_acquire()) {
                Admitted { call, permit: Some(permit) }.make(protected, request, manner).await;
            }
        }
    }
}

/// Sends a request and reads the whole response.
async fn send(mut protected: Protected, request: Req, manner: u64) -> Result<(), BoxError> {
    let response = timeout(TIMEOUT, protected.call(request)).await??;
    let is_error = response.status().is_server_error();
    read(response.into_body(), manner).await?;
    if is_error { Err("a server error".into()) } else { Ok(()) }
}

async fn read<B: Body + Unpin>(mut body: B, manner: u64) -> Result<(), BoxError>
where
    B::Error: Into<BoxError>,
{
    match manner {
        4..10 => drop(timeout(TIMEOUT, body.frame()).await?),
        10..16 => tokio::time::sleep(TOO_LONG).await,
        _ => drop(timeout(TIMEOUT, body.collect()).await?.map_err(Into::into)?),
    }
    Ok(())
}

/// A call that was admitted with a permit.
struct Admitted {
    call: Arc<Call>,
    permit: Option<Permit>,
}

impl Admitted {
    async fn make(mut self, protected: Protected, request: Req, manner: u64) {
        // `Watched` lets the protected service find the record of the call.
        let sent = Box::pin(send(protected, request, manner));
        let sent = Watched::new(self.call.clone(), sent).await;
        let Some(permit) = self.permit.take() else { return };
        self.call.during(|| match (sent, manner) {
            (_, 16..24) => permit.ignore(),
            (_, 24..40) => drop(permit),
            (Ok(()), _) => permit.success(),
            (Err(_), 40..50) => permit.failure_retry_after(TOO_LONG),
            (Err(_), _) => permit.failure(),
        });
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let permit = self.permit.take();
        self.call.during(|| drop(permit));
    }
}
