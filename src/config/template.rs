//! [`Template`]: the settings that all circuits of a registry have.

use std::fmt::{self, Display};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::builder::CircuitBreakerBuilder;
use super::error::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::machine::Rules;
use crate::observe::{Audience, Changes, RegistryObserver};

/// Validated settings. The circuits that are built from them share all that they can.
pub(crate) struct Template {
    /// The settings that the registry was built with. Only the name and what belongs to it is used later on.
    settings: CircuitBreakerBuilder,
    current: ArcSwap<Current>,
    audience: Arc<Audience>,
}

/// The rules that new circuits have. Circuits are [changed](Template::reconfigure) to them one by one.
pub(crate) struct Current {
    rules: Arc<Rules>,
    /// The share of rejections that are enforced, if the last change has set it. Otherwise each circuit keeps its own.
    enforcement: Option<f64>,
}

impl CircuitBreakerBuilder {
    /// Validates the settings, once for all circuits.
    pub(crate) fn into_template(self) -> Result<Template, ConfigError> {
        let current = Current { rules: Arc::new(self.rules()?), enforcement: None };
        let audience = Arc::new(Audience::new(self.listeners.clone()));
        Ok(Template { settings: self, current: ArcSwap::from_pointee(current), audience })
    }
}

impl Template {
    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Starts the circuit of a key with these rules. It counts its calls in flight.
    pub(crate) fn start(&self, key: &impl Display, with: &Current) -> CircuitBreaker {
        let CircuitBreakerBuilder { name, series, .. } = &self.settings;
        let name = format!("{name}/{key}").into();
        let (rules, audience) = (with.rules.clone(), self.audience.clone());
        CircuitBreaker::start(name, series.clone(), rules, audience, true)
    }

    /// Changes the rules that new circuits have. The caller has to [apply](Self::apply) them to the others.
    pub(crate) fn reconfigure(&self, settings: &CircuitBreakerBuilder) -> Result<(), ConfigError> {
        let (rules, enforcement) = (settings.rules()?, settings.enforcement);
        self.current.rcu(|before| {
            let enforcement_of_new = enforcement.unwrap_or(before.rules.enforcement);
            let rules = Arc::new(Rules { enforcement: enforcement_of_new, ..rules });
            Current { rules, enforcement }
        });
        Ok(())
    }

    /// Changes a circuit that was started with rules that may not be the current ones any more.
    pub(crate) fn apply(&self, breaker: &CircuitBreaker, mut applied: Option<Arc<Current>>) {
        // Again if they have changed meanwhile, so that the last change is the last for every circuit.
        loop {
            let current = self.current();
            if applied.is_some_and(|applied| Arc::ptr_eq(&applied, &current)) {
                return;
            }
            breaker.circuit().reconfigure(current.rules.clone(), current.enforcement);
            applied = Some(current);
        }
    }

    #[cfg(feature = "admin")]
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    #[cfg(feature = "admin")]
    pub(crate) fn watch(&self, watcher: std::sync::Weak<dyn crate::observe::Watcher>) {
        self.audience.watch(watcher);
    }

    pub(crate) fn changes(&self) -> &Arc<Changes> {
        self.audience.changes()
    }

    /// Creates the observer of a registry that has this template.
    pub(crate) fn observer_of_registry(&self, capacity: u64) -> RegistryObserver {
        let CircuitBreakerBuilder { name, series, .. } = &self.settings;
        RegistryObserver::new(name.clone(), series.clone(), self.audience.clone(), capacity)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("name", &self.settings.name)
            .field("rules", &self.current().rules)
            .finish_non_exhaustive()
    }
}
