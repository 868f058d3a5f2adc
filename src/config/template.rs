//! [`Template`]: the settings that all circuits of a registry have.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::builder::CircuitBreakerBuilder;
use super::error::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::machine::Rules;
use crate::observe::{Audience, RegistryObserver};

/// Validated settings. The circuits that are built from them share all that they can.
pub(crate) struct Template {
    settings: CircuitBreakerBuilder,
    rules: Arc<Rules>,
    audience: Arc<Audience>,
}

impl CircuitBreakerBuilder {
    /// Validates the settings, once for all circuits.
    pub(crate) fn into_template(self) -> Result<Template, ConfigError> {
        let rules = Arc::new(self.rules()?);
        let audience = Arc::new(Audience::new(self.listeners.clone()));
        Ok(Template { settings: self, rules, audience })
    }
}

impl Template {
    /// Starts the circuit of a key. It counts its calls in flight.
    pub(crate) fn start(&self, key: &impl Display) -> CircuitBreaker {
        let CircuitBreakerBuilder { name, series, .. } = &self.settings;
        let name = format!("{name}/{key}").into();
        let (rules, audience) = (self.rules.clone(), self.audience.clone());
        CircuitBreaker::start(name, series.clone(), rules, audience, true)
    }

    /// Creates the observer of a registry that has this template.
    pub(crate) fn observer_of_registry(&self, capacity: u64) -> RegistryObserver {
        let CircuitBreakerBuilder { name, series, .. } = &self.settings;
        RegistryObserver::new(name.clone(), series.clone(), self.audience.clone(), capacity)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
