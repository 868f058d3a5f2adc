//! [`Row`]: a circuit as it is shown, in JSON and on the page.

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::numbers::Found;
use crate::breaker::CircuitBreaker;
use crate::config::Config;
use crate::machine::State;
use crate::observe::{LastFailure, Transition};
use crate::snapshot::Snapshot;

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) number: u64,
    #[serde(serialize_with = "as_text")]
    pub(super) name: CircuitBreaker,
    pub(super) registry: Option<String>,
    pub(super) sentence: String,
    pub(super) snapshot: Snapshot,
    pub(super) rejections_per_second: Option<f64>,
    pub(super) last_failure: Option<LastFailure>,
    pub(super) history: Vec<Past>,
}

/// A transition of the past.
#[derive(Serialize)]
pub(super) struct Past {
    pub(super) from: State,
    pub(super) to: State,
    pub(super) ago_seconds: f64,
}

/// All that is known about a circuit.
#[derive(Serialize)]
pub(super) struct Detail {
    #[serde(flatten)]
    pub(super) row: Row,
    pub(super) settings: Config,
    pub(super) transitions: Vec<Transition>,
}

fn as_text<S: Serializer>(breaker: &CircuitBreaker, serializer: S) -> Result<S::Ok, S::Error> {
    breaker.name().serialize(serializer)
}

impl Row {
    pub(super) fn new(found: Found) -> Self {
        let Found { number, breaker, registry, rejections_per_second } = found;
        let snapshot = breaker.snapshot();
        let history = breaker.history().iter().map(Past::new).collect();
        let sentence = snapshot.to_string();
        let last_failure = breaker.last_failure();
        Self {
            number,
            name: breaker,
            registry: registry.map(|name| name.to_string()),
            sentence,
            snapshot,
            rejections_per_second,
            last_failure,
            history,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.name.name()
    }

    /// Returns the name without that of the registry, which is shown below it.
    pub(super) fn short_name(&self) -> &str {
        let registry = self.registry.as_deref();
        let key =
            registry.and_then(|registry| self.name().strip_prefix(registry)?.strip_prefix('/'));
        key.unwrap_or(self.name())
    }
}

impl Past {
    fn new(transition: &Transition) -> Self {
        let ago = Instant::now().saturating_duration_since(transition.at());
        Self { from: transition.from(), to: transition.to(), ago_seconds: ago.as_secs_f64() }
    }
}

impl Detail {
    pub(super) fn new(found: Found) -> Self {
        let breaker = found.breaker.clone();
        let (settings, transitions) = (Config::of(&breaker), breaker.history());
        Self { row: Row::new(found), settings, transitions }
    }
}
