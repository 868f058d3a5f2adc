//! An inner service that does what the test says, and that holds its callers to Tower's contract:
//! a clone is not ready, and a call without readiness panics.

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

/// The test's end of a [`Backend`].
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

/// Ready from the start; calls are answered by [`Control::answer`].
pub(crate) fn backend() -> (Backend, Control) {
    let shared = Arc::<Mutex<Shared>>::default();
    (Backend { shared: shared.clone(), has_said_ready: false }, Control(shared))
}

/// A service in a task of its own, to be polled by hand.
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

    /// How many calls have reached the service.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    /// Answers the oldest call that has no answer.
    pub(crate) fn answer(&self, answer: Answer) {
        let call = self.0.lock().unwrap().unanswered.remove(0);
        // Whoever asked may have gone.
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
