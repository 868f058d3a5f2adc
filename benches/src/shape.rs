//! The ways in which a call goes through a service.

use std::future::Future;
use std::hint::black_box;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tower::{Service, ServiceExt};

/// How a benchmark calls a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `poll_ready`, `call` and one poll of the future, without a runtime.
    ByHand,
    /// `ready().await` and `call().await` in an async function on a tokio runtime.
    Async,
    /// `clone().oneshot().await` in an async function on a tokio runtime.
    Oneshot,
}

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().build().expect("it needs nothing from the system");
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::ByHand, Self::Async, Self::Oneshot];

    pub fn name(self) -> &'static str {
        match self {
            Self::ByHand => "by hand",
            Self::Async => "ready + call",
            Self::Oneshot => "clone + oneshot",
        }
    }

    /// Makes these calls one after the other, and returns how long they took together. A runtime is
    /// entered once for all of them, as a task that makes many calls would do.
    pub fn time<S: Service<u32> + Clone>(self, service: &mut S, calls: Range<u64>) -> Duration {
        let requests = calls.map(|n| black_box(n as u32));
        let begin = Instant::now();
        match self {
            Self::ByHand => requests.for_each(|n| call_by_hand(service, n)),
            Self::Async => block_on(async {
                for n in requests {
                    black_box(call(service, n).await.is_ok());
                }
            }),
            Self::Oneshot => block_on(async {
                for n in requests {
                    black_box(service.clone().oneshot(n).await.is_ok());
                }
            }),
        }
        begin.elapsed()
    }
}

/// One call in the first of these shapes.
#[inline(always)]
pub fn call_by_hand<S: Service<u32>>(service: &mut S, n: u32) {
    let mut cx = Context::from_waker(Waker::noop());
    let ready = service.poll_ready(&mut cx).is_ready();
    let done = pin!(service.call(n)).poll(&mut cx).is_ready();
    black_box((ready, done));
}

async fn call<S: Service<u32>>(service: &mut S, n: u32) -> Result<S::Response, S::Error> {
    service.ready().await?.call(n).await
}

fn block_on(future: impl Future<Output = ()>) {
    RUNTIME.with(|runtime| runtime.block_on(future));
}
