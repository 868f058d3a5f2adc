//! An inner service that the test controls. It insists on Tower's contract: a clone is not ready, and a
//! call without readiness panics.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;
use tower::Service;
use tower_test::mock::Spawn;

pub(crate) type Answer = Result<&'static str, &'static str>;

pub(crate) struct Backend {
    shared: Arc<Mutex<Shared>>,
    has_said_ready: bool,
}

/// Controls a [`Backend`].
#[derive(Clone)]
pub(crate) struct Control(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    not_ready: bool,
    error: Option<&'static str>,
    waiting: Vec<Waker>,
    readiness_polls: usize,
    calls: usize,
    unanswered: Vec<oneshot::Sender<Answer>>,
}

/// Creates a service that is ready and answers calls when [`Control::answer`] says so.
pub(crate) fn backend() -> (Backend, Control) {
    let shared = Arc::<Mutex<Shared>>::default();
    (Backend { shared: shared.clone(), has_said_ready: false }, Control(shared))
}

/// Puts a service into a task of its own, so that the test can poll it.
pub(crate) fn task<S>(service: S) -> Spawn<S> {
    Spawn::new(service)
}

impl Control {
    pub(crate) fn set_ready(&self, ready: bool) {
        let mut shared = self.0.lock().unwrap();
        shared.not_ready = !ready;
        shared.waiting.drain(..).for_each(Waker::wake);
    }

    /// Makes the next `poll_ready` fail.
    pub(crate) fn fail_readiness(&self, error: &'static str) {
        self.0.lock().unwrap().error = Some(error);
    }

    pub(crate) fn readiness_polls(&self) -> usize {
        self.0.lock().unwrap().readiness_polls
    }

    /// Returns how many calls have reached the service.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    /// Answers the oldest call that has not been answered.
    pub(crate) fn answer(&self, answer: Answer) {
        let call = self.0.lock().unwrap().unanswered.remove(0);
        // The caller may have gone.
        let _ = call.send(answer);
    }
}

impl Service<&'static str> for Backend {
    type Response = &'static str;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut shared = self.shared.lock().unwrap();
        shared.readiness_polls += 1;
        if let Some(error) = shared.error.take() {
            return Poll::Ready(Err(error));
        }
        if shared.not_ready {
            shared.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        self.has_said_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: &'static str) -> Self::Future {
        assert!(std::mem::take(&mut self.has_said_ready), "the inner service was not ready");
        let (answer, answered) = oneshot::channel();
        let mut shared = self.shared.lock().unwrap();
        shared.calls += 1;
        shared.unanswered.push(answer);
        Box::pin(async { answered.await.expect("the test answers or drops the call") })
    }
}

impl Clone for Backend {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), has_said_ready: false }
    }
}
