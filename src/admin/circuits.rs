//! [`Circuits`]: what a service shows, and who follows it.

use std::sync::{Arc, Mutex};

use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::numbers::Numbers;
use super::source::Source;
use crate::circuit::Name;
use crate::circuit::sync::lock;
use crate::observe::{Event, EventKind, Operator, Transition, Watcher};

/// How many clients may follow at the same time.
const STREAMS: usize = 16;

/// How many events are kept for a slow client.
const KEPT: usize = 256;

pub(super) struct Circuits {
    sources: Vec<Source>,
    pub(super) numbers: Numbers,
    streams: Arc<Semaphore>,
    /// There once somebody has followed, until the streams are ended.
    watching: Mutex<Option<Watching>>,
}

struct Watching {
    sender: Sender<Happened>,
    /// The circuits hold them weakly.
    _watchers: Vec<Arc<dyn Watcher>>,
}

/// What has happened, and to which circuit.
#[derive(Clone)]
pub(super) struct Happened {
    pub(super) circuit: Name,
    pub(super) what: What,
}

#[derive(Clone)]
pub(super) enum What {
    Transition(Transition),
    Operated { action: String, operator: Option<Operator> },
    Missed(u64),
}

impl Circuits {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self {
            sources,
            numbers: Numbers::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            watching: Mutex::default(),
        }
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Follows what happens from now on, if there is a place left. The place is free once the permit is dropped.
    pub(super) fn follow(&self) -> Option<(Receiver<Happened>, OwnedSemaphorePermit)> {
        let mut watching = lock(&self.watching);
        let permit = self.streams.clone().try_acquire_owned().ok()?;
        let watching = watching.get_or_insert_with(|| Watching::start(&self.sources));
        Some((watching.sender.subscribe(), permit))
    }

    /// Ends all streams once they have passed on what has happened so far. There is no place for others any more.
    pub(super) fn end_streams(&self) {
        let mut watching = lock(&self.watching);
        self.streams.close();
        let last = watching.take();
        drop(watching);
        // The streams end because nobody can send any more.
        drop(last);
    }
}

impl Watching {
    fn start(sources: &[Source]) -> Self {
        let (sender, _) = channel(KEPT);
        let watch = |source: &Source| {
            let only = match source {
                Source::Breaker(breaker) => Some(breaker.shared_name().clone()),
                #[cfg(feature = "keyed")]
                Source::Registry(_) => None,
            };
            let watcher: Arc<dyn Watcher> = Arc::new(Follower { only, sender: sender.clone() });
            source.watch(Arc::downgrade(&watcher));
            watcher
        };
        Self { _watchers: sources.iter().map(watch).collect(), sender }
    }
}

struct Follower {
    /// The only circuit to follow. Without it, a handle to a circuit of a registry would show all of them.
    only: Option<Name>,
    sender: Sender<Happened>,
}

impl Watcher for Follower {
    fn on_event(&self, circuit: &Name, event: &Event<'_>) {
        let is_other = self.only.as_ref().is_some_and(|only| !Arc::ptr_eq(only, circuit));
        if is_other || self.sender.receiver_count() == 0 {
            return;
        }
        let operated =
            |action: String| What::Operated { action, operator: event.operator().cloned() };
        let what = match event.kind() {
            EventKind::Transition(transition) => What::Transition(transition.clone()),
            EventKind::OperatorAction(action) => operated(action.to_string()),
            EventKind::Reconfigured(reconfiguration) => operated(reconfiguration.to_string()),
            EventKind::Lagged { missed } => What::Missed(missed),
            _ => return,
        };
        // An error says that nobody follows any more.
        let _ = self.sender.send(Happened { circuit: circuit.clone(), what });
    }
}
