//! [`CircuitBreakerRegistryBuilder`].

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use crate::config::{CircuitBreakerBuilder, ConfigError, at_least_one, longer_than_zero};
use crate::keyed::CircuitBreakerRegistry;
use crate::machine::nanos;

/// Settings for a [`CircuitBreakerRegistry`]; from [`CircuitBreakerRegistry::builder`].
///
/// | setting | default |
/// |---|---|
/// | [`capacity`](Self::capacity) | 1024 circuits |
/// | [`idle_timeout`](Self::idle_timeout) | 10 min |
#[must_use = "a builder does nothing until `build`"]
pub struct CircuitBreakerRegistryBuilder<K> {
    template: CircuitBreakerBuilder,
    capacity: u32,
    idle_timeout: Duration,
    key: PhantomData<fn(K)>,
}

impl<K> CircuitBreakerRegistry<K> {
    /// A builder with the defaults. The `template` has the settings of all circuits, and the first
    /// part of their names.
    pub fn builder(template: CircuitBreakerBuilder) -> CircuitBreakerRegistryBuilder<K> {
        CircuitBreakerRegistryBuilder::new(template)
    }
}

impl<K> CircuitBreakerRegistryBuilder<K> {
    fn new(template: CircuitBreakerBuilder) -> Self {
        let idle_timeout = Duration::from_secs(600);
        Self { template, capacity: 1024, idle_timeout, key: PhantomData }
    }

    /// Keeps up to `n` circuits (at least 1).
    ///
    /// Choose it larger than the number of keys in use. A circuit takes about 2 KiB, and more with
    /// a long count window.
    pub fn capacity(mut self, n: u32) -> Self {
        self.capacity = n;
        self
    }

    /// Drops circuits that nobody has used for `d` (longer than zero): when they have not been used
    /// for at least `d`, and at the first new circuit after twice that time at the latest.
    pub fn idle_timeout(mut self, d: Duration) -> Self {
        self.idle_timeout = d;
        self
    }

    /// Builds the registry.
    ///
    /// # Errors
    /// A [`ConfigError`] for the first setting that is out of range, of the registry or the template.
    pub fn build(self) -> Result<CircuitBreakerRegistry<K>, ConfigError>
    where
        K: Eq + Hash,
    {
        let Self { template, capacity, idle_timeout, .. } = self;
        at_least_one("capacity", capacity)?;
        longer_than_zero("idle_timeout", idle_timeout)?;
        template.rules()?;
        Ok(CircuitBreakerRegistry::start(template, capacity as usize, nanos(idle_timeout)))
    }
}

impl<K> Clone for CircuitBreakerRegistryBuilder<K> {
    fn clone(&self) -> Self {
        Self { template: self.template.clone(), ..*self }
    }
}

impl<K> fmt::Debug for CircuitBreakerRegistryBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerRegistryBuilder")
            .field("template", &self.template)
            .field("capacity", &self.capacity)
            .field("idle_timeout", &self.idle_timeout)
            .finish()
    }
}
