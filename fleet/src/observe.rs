//! What a fleet says about itself: its status, its metrics and its log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What a [`Fleet`](crate::Fleet) has done so far. Returned by [`Fleet::status`](crate::Fleet::status).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether the last exchange with the store succeeded. Otherwise the circuits go on by themselves.
    pub is_connected: bool,
    /// How many instances there were at the last exchange that succeeded, this one included.
    pub instances: u64,
    /// How many circuits have been added and are alive.
    pub circuits: usize,
    /// How many exchanges succeeded.
    pub exchanges: u64,
    /// How many exchanges failed.
    pub failed_exchanges: u64,
    /// How many hints were dropped, because they came too fast, made no sense, or were about circuits that this
    /// instance does not have.
    pub dropped_hints: u64,
    /// How many times a circuit was suspected, or was so for longer.
    pub suspicions: u64,
}

#[derive(Debug)]
pub(crate) struct Observed {
    #[cfg_attr(not(any(feature = "metrics", feature = "tracing")), expect(dead_code))]
    fleet: Arc<str>,
    is_connected: AtomicBool,
    instances: AtomicU64,
    pub(crate) circuits: AtomicUsize,
    exchanges: AtomicU64,
    failed_exchanges: AtomicU64,
    dropped_hints: AtomicU64,
    suspicions: AtomicU64,
}

impl Observed {
    pub(crate) fn new(fleet: Arc<str>) -> Self {
        let this = Self {
            fleet,
            is_connected: AtomicBool::default(),
            instances: AtomicU64::default(),
            circuits: AtomicUsize::default(),
            exchanges: AtomicU64::default(),
            failed_exchanges: AtomicU64::default(),
            dropped_hints: AtomicU64::default(),
            suspicions: AtomicU64::default(),
        };
        this.show("circuit_breaker_fleet_connected", 0.0);
        this
    }

    pub(crate) fn status(&self) -> Status {
        let number = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Status {
            is_connected: self.is_connected.load(Ordering::Relaxed),
            instances: number(&self.instances),
            circuits: self.circuits.load(Ordering::Relaxed),
            exchanges: number(&self.exchanges),
            failed_exchanges: number(&self.failed_exchanges),
            dropped_hints: number(&self.dropped_hints),
            suspicions: number(&self.suspicions),
        }
    }

    pub(crate) fn exchanged(&self, instances: u64) {
        self.instances.store(instances, Ordering::Relaxed);
        self.show("circuit_breaker_fleet_instances", instances as f64);
        self.count("circuit_breaker_fleet_exchanges_total", &self.exchanges, 1);
        if !self.is_connected.swap(true, Ordering::Relaxed) {
            self.show("circuit_breaker_fleet_connected", 1.0);
            #[cfg(feature = "tracing")]
            tracing::info!(
                target: "tower_breaker_fleet",
                fleet = &*self.fleet,
                instances,
                "fleet {}: connected, {instances} instances",
                self.fleet,
            );
        }
    }

    #[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) {
        let Status { exchanges, failed_exchanges, .. } = self.status();
        let is_first = exchanges + failed_exchanges == 0;
        self.count("circuit_breaker_fleet_failed_exchanges_total", &self.failed_exchanges, 1);
        let was_connected = self.is_connected.swap(false, Ordering::Relaxed);
        if was_connected || is_first {
            self.show("circuit_breaker_fleet_connected", 0.0);
            #[cfg(feature = "tracing")]
            tracing::warn!(
                target: "tower_breaker_fleet",
                fleet = &*self.fleet,
                error = %error,
                "fleet {}: the store cannot be reached, so each circuit goes on by itself: {error}",
                self.fleet,
            );
        }
    }

    pub(crate) fn ended(&self) {
        self.is_connected.store(false, Ordering::Relaxed);
        self.show("circuit_breaker_fleet_connected", 0.0);
    }

    pub(crate) fn dropped_hints(&self, n: u64) {
        self.count("circuit_breaker_fleet_dropped_hints_total", &self.dropped_hints, n);
    }

    pub(crate) fn suspected(&self, n: usize) {
        if n > 0 {
            self.count("circuit_breaker_fleet_suspicions_total", &self.suspicions, n as u64);
        }
    }

    fn count(&self, metric: &'static str, counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        metrics::counter!(metric, "fleet" => self.fleet.to_string()).increment(n);
        #[cfg(not(feature = "metrics"))]
        let _ = metric;
    }

    fn show(&self, metric: &'static str, value: f64) {
        #[cfg(feature = "metrics")]
        metrics::gauge!(metric, "fleet" => self.fleet.to_string()).set(value);
        #[cfg(not(feature = "metrics"))]
        let _ = (metric, value);
    }
}
