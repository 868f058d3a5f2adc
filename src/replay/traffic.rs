//! [`Traffic`]: what can be replayed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::trace::Trace;
use crate::observe::Ending;

/// What can be replayed: a [`Trace`], a [`Scenario`](super::Scenario), or a reference to one.
///
/// This trait cannot be implemented outside of this crate.
pub trait Traffic: Private {}

impl<T: Private> Traffic for T {}

/// Keeps others from implementing [`Traffic`].
pub trait Private {
    fn workload(&self) -> Workload<'_>;
}

/// Calls, and what is known about them.
pub struct Workload<'a> {
    /// What the traffic is called in messages.
    pub(super) name: Cow<'a, str>,
    pub(super) calls: Cow<'a, [Call]>,
    /// When the dependency is broken, if that is known. Otherwise it is seen from the calls.
    pub(super) incident: Option<Range<Duration>>,
    /// What decides how calls end, if they do not end as it was recorded.
    pub(super) queue: Option<Queue>,
}

impl Workload<'_> {
    /// Lets all calls end as they do if none is shed.
    pub(super) fn serve_all(&mut self) {
        if let Some(queue) = &mut self.queue {
            self.calls.to_mut().iter_mut().for_each(|call| queue.serve(call));
        }
    }

    /// Returns the numbers of the calls of each key, the keys in the order in which they come first.
    pub(super) fn by_key(&self) -> Vec<(Arc<str>, Vec<usize>)> {
        let mut keys: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
        let mut index_of = HashMap::new();
        let mut last = None;
        for (number, call) in self.calls.iter().enumerate() {
            // Often the key is that of the call before.
            let index = match last {
                Some((key, index)) if Arc::ptr_eq(key, &call.key) => index,
                _ => *index_of.entry(&*call.key).or_insert_with(|| {
                    keys.push((call.key.clone(), Vec::new()));
                    keys.len() - 1
                }),
            };
            keys[index].1.push(number);
            last = Some((&call.key, index));
        }
        keys
    }
}

impl fmt::Debug for Workload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A dependency that serves one call after the other.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    /// How long it serves each call.
    pub(super) service: Duration,
    /// After how long a caller gives up. Its call is served all the same.
    pub(super) timeout: Duration,
    /// When nothing is served.
    pub(super) stalled: Range<Duration>,
    /// When everything in the queue will have been served.
    pub(super) busy_until: Duration,
}

impl Queue {
    /// Lets the call end as it would if it were made now. Returns when it would have been served.
    pub(super) fn try_on(&self, call: &mut Call) -> Duration {
        let mut start = call.at.max(self.busy_until);
        if self.stalled.contains(&start) {
            start = self.stalled.end;
        }
        let served = start + self.service;
        let is_in_time = served - call.at <= self.timeout;
        call.ending = Some(if is_in_time { Ending::Success } else { Ending::Failure });
        call.duration = (served - call.at).min(self.timeout);
        served
    }

    /// The call is made.
    pub(super) fn serve(&mut self, call: &mut Call) {
        self.busy_until = self.try_on(call);
    }
}

impl Private for Trace {
    fn workload(&self) -> Workload<'_> {
        Workload { name: "the trace".into(), calls: self.calls(), incident: None, queue: None }
    }
}

impl<T: Private + ?Sized> Private for &T {
    fn workload(&self) -> Workload<'_> {
        (**self).workload()
    }
}
