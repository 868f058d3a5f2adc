//! Those who are told of transitions.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sync::{Mutex, lock};
use crate::transition::Transition;

pub(crate) type Listener = Arc<dyn Fn(&Transition) + Send + Sync>;

/// The listeners of a breaker. They are told without any lock held, one transition at a time and in
/// the order in which they happened, also if a listener causes another or threads cause some at
/// once: whoever finds nobody telling tells everything that there is to tell.
pub(crate) struct Listeners {
    all: Vec<Listener>,
    news: Mutex<News>,
}

#[derive(Default)]
struct News {
    untold: VecDeque<Transition>,
    somebody_tells: bool,
}

impl Listeners {
    pub(crate) fn new(all: Vec<Listener>) -> Self {
        Self { all, news: Mutex::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Notes a transition to be told. For the order to be right, with the circuit's lock held.
    pub(crate) fn note(&self, transition: Transition) {
        lock(&self.news).untold.push_back(transition);
    }

    /// Tells what was noted, unless somebody does already.
    pub(crate) fn tell(&self) {
        if std::mem::replace(&mut lock(&self.news).somebody_tells, true) {
            return;
        }
        while let Some(transition) = self.next() {
            for listener in &self.all {
                // One that panics must neither fail the call that caused the transition nor keep
                // others from being told. The panic hook has reported it.
                let _ = catch_unwind(AssertUnwindSafe(|| listener(&transition)));
            }
        }
    }

    fn next(&self) -> Option<Transition> {
        let mut news = lock(&self.news);
        let next = news.untold.pop_front();
        news.somebody_tells = next.is_some();
        next
    }
}
