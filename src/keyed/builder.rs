//! [`CircuitBreakerRegistryBuilder`].

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use crate::config::{CircuitBreakerBuilder, ConfigError, at_least_one, longer_than_zero};
use crate::keyed::CircuitBreakerRegistry;
use crate::machine::nanos;

/// Builds a [`CircuitBreakerRegistry`]. Created by [`CircuitBreakerRegistry::builder`].
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
    /// Returns a builder with the defaults.
    ///
    /// Every circuit of the registry gets the settings and the listeners of the `template`. The name of
    /// a circuit is `template/key`.
    pub fn builder(template: CircuitBreakerBuilder) -> CircuitBreakerRegistryBuilder<K> {
        CircuitBreakerRegistryBuilder::new(template)
    }
}

impl<K> CircuitBreakerRegistryBuilder<K> {
    fn new(template: CircuitBreakerBuilder) -> Self {
        let idle_timeout = Duration::from_secs(600);
        Self { template, capacity: 1024, idle_timeout, key: PhantomData }
    }

    /// Sets how many circuits the registry keeps at most: at least 1, 1024 by default.
    ///
    /// Choose a capacity larger than the number of keys in use. A circuit takes about
    /// [600 bytes](crate::keyed#cost) of memory, and more once it has failed. Another 40 bytes or so are reserved for each
    /// circuit when the registry is built.
    pub fn capacity(mut self, n: u32) -> Self {
        self.capacity = n;
        self
    }

    /// Sets how long a circuit may stay unused before the registry drops it: longer than zero, 10 minutes
    /// by default.
    ///
    /// Unused circuits are found by sweeps. A sweep begins when a new circuit is created and at least `d`
    /// has passed since the end of the last one. It looks at up to 64 circuits for each new circuit, so that no
    /// call has to wait until all of them have been looked at. With up to 64 circuits, it ends at once.
    ///
    /// A circuit is dropped if it was not used between two sweeps. So it stays for at least `d` after its
    /// last use, and is dropped at the latest by the second sweep that begins after that.
    /// [`sweep`](CircuitBreakerRegistry::sweep) does the same without new circuits.
    pub fn idle_timeout(mut self, d: Duration) -> Self {
        self.idle_timeout = d;
        self
    }

    /// Builds the registry.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] for the first setting that is out of range. It may be a setting of the
    /// registry or of the template.
    pub fn build(self) -> Result<CircuitBreakerRegistry<K>, ConfigError>
    where
        K: Eq + Hash,
    {
        let Self { template, capacity, idle_timeout, .. } = self;
        at_least_one("capacity", capacity)?;
        longer_than_zero("idle_timeout", idle_timeout)?;
        Ok(CircuitBreakerRegistry::start(
            template.into_template()?,
            capacity as usize,
            nanos(idle_timeout),
        ))
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
