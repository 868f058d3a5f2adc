//! Those who are told what happens, and how they are told.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::contain::contain;
use crate::event::{Event, EventKind, Interest, Listener, OperatorAction};
use crate::metrics::{Metrics, Service};
use crate::subscribe::Subscribers;
use crate::sync::{Mutex, lock};
#[cfg(feature = "tracing")]
use crate::tracing::Tracing;
use crate::transition::Transition;

/// A name that is shared, behind a pointer of one word: where a call is rejected, the name is moved
/// from hand to hand, and what takes two words passes through memory.
pub(crate) type Name = Arc<Arc<str>>;

/// The listeners of a breaker, and its name.
///
/// What changes the circuit is news: noted under its lock and told without any lock held, one at a
/// time and in the order in which it happened, also if a listener causes more or threads cause some
/// at once: whoever finds nobody telling tells everything that there is to tell. What single calls
/// do is told at once, by the thread that does it.
pub(crate) struct Listeners {
    name: Name,
    /// With how much each wants to hear of.
    all: Vec<(Interest, Arc<dyn Listener>)>,
    /// How much any of them wants to hear of,
    of_listeners: Option<Interest>,
    /// and how much with the metrics.
    interest: Option<Interest>,
    pub(crate) metrics: Metrics,
    pub(crate) subscribers: Subscribers,
    untold: Mutex<Untold>,
}

/// What is told in order.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Transition(Transition),
    OperatorAction(OperatorAction),
    ProbeTimedOut,
}

#[derive(Default)]
struct Untold {
    news: VecDeque<News>,
    somebody_tells: bool,
}

thread_local! {
    /// Whether this thread is in a listener. What that does itself is not told, or a listener that
    /// makes a call for every call would be told for ever.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

impl Listeners {
    pub(crate) fn new(name: Arc<str>, service: Service, all: Vec<Arc<dyn Listener>>) -> Self {
        #[cfg(feature = "tracing")]
        let all = std::iter::once(Arc::new(Tracing) as Arc<dyn Listener>).chain(all);
        let all: Vec<_> = all.into_iter().map(|listener| (listener.interest(), listener)).collect();
        let of_listeners = all.iter().map(|(interest, _)| *interest).max();
        let metrics = Metrics::new(service, &name);
        let interest = of_listeners.max(metrics.interest());
        let (subscribers, untold) = (Subscribers::default(), Mutex::default());
        Self { name: Arc::new(name), all, of_listeners, interest, metrics, subscribers, untold }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Whether somebody wants to hear of that much.
    #[inline]
    pub(crate) fn want(&self, interest: Interest) -> bool {
        self.interest >= Some(interest)
    }

    /// Whether anybody wants to hear the news.
    pub(crate) fn want_news(&self) -> bool {
        self.interest.is_some() || !self.subscribers.is_empty()
    }

    /// Notes something to be told. For the order to be right, with the circuit's lock held.
    pub(crate) fn note(&self, news: &News) {
        if !(matches!(news, News::OperatorAction(_)) && IS_TELLING.get()) {
            lock(&self.untold).news.push_back(news.clone());
        }
    }

    /// Tells what was noted, unless somebody does already.
    pub(crate) fn tell_news(&self) {
        self.metrics.publish();
        if std::mem::replace(&mut lock(&self.untold).somebody_tells, true) {
            return;
        }
        while let Some(news) = self.next() {
            self.tell_all(match &news {
                News::Transition(transition) => EventKind::Transition(transition),
                News::OperatorAction(action) => EventKind::OperatorAction(*action),
                News::ProbeTimedOut => EventKind::ProbeTimedOut,
            });
            if let News::Transition(transition) = news {
                self.subscribers.send(transition);
            }
        }
    }

    fn next(&self) -> Option<News> {
        let mut untold = lock(&self.untold);
        let next = untold.news.pop_front();
        untold.somebody_tells = next.is_some();
        next
    }

    /// Tells what a single call did.
    pub(crate) fn tell(&self, kind: EventKind<'_>) {
        self.metrics.on_event(kind);
        if self.of_listeners >= Some(kind.interest()) && !IS_TELLING.get() {
            self.tell_all(kind);
        }
    }

    fn tell_all(&self, kind: EventKind<'_>) {
        let event = Event::new(&self.name, kind);
        let was_telling = IS_TELLING.replace(true);
        for (_, listener) in self.all.iter().filter(|(interest, _)| *interest >= kind.interest()) {
            // A panic must neither fail the call that caused the event nor keep others from being
            // told.
            contain(|| listener.on_event(&event));
        }
        IS_TELLING.set(was_telling);
    }
}
