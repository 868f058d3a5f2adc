//! [`FleetBuilder`]: the settings of a fleet, and their validation.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::names::Names;
use crate::store::Store;

/// The longest time to live. A store may forget what is older.
pub(crate) const LONGEST_TIME_TO_LIVE: Duration = Duration::from_secs(600);

/// The settings of a [`Fleet`]. Create a builder with [`Fleet::builder`].
///
/// | setting | default |
/// |---|---|
/// | [`time_to_live`](Self::time_to_live) | 10 s |
/// | [`quorum_share`](Self::quorum_share) | 0.1, and two votes at least |
/// | [`timeout`](Self::timeout) | 1 s, or a quarter of the time to live if that is shorter |
/// | [`instance`](Self::instance) | drawn at random |
/// | [`hide_names`](Self::hide_names) | names are sent as they are |
#[derive(Debug)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct FleetBuilder<S> {
    name: Arc<str>,
    store: S,
    time_to_live: Duration,
    quorum_share: f64,
    timeout: Option<Duration>,
    instance: Option<Arc<str>>,
    names: Names,
}

/// The settings after validation.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) name: Arc<str>,
    pub(crate) time_to_live: Duration,
    pub(crate) quorum_share: f64,
    pub(crate) timeout: Duration,
    pub(crate) instance: Arc<str>,
    pub(crate) names: Names,
}

impl<S: Store> FleetBuilder<S> {
    pub(crate) fn new(name: Arc<str>, store: S) -> Self {
        Self {
            name,
            store,
            time_to_live: Duration::from_secs(10),
            quorum_share: 0.1,
            timeout: None,
            instance: None,
            names: Names::Plain,
        }
    }

    /// Sets for how long a vote and a suspicion last (1 s to 10 min, by default 10 s).
    ///
    /// It bounds what a fleet can do wrong: whatever others say and however they vanish, an instance is back to its plain
    /// local behaviour after this time if the server is lost, and after twice this time otherwise, because a vote can be
    /// read just before it expires. An instance renews its votes, and looks at those of the others, every quarter of
    /// it. So a shorter time means more exchanges. All instances should have the same.
    pub fn time_to_live(mut self, d: Duration) -> Self {
        self.time_to_live = d;
        self
    }

    /// Sets which share of the instances (0 < share <= 1, by default 0.1) has to vote before a circuit of the others is
    /// suspected. However small it is, two votes are needed.
    ///
    /// A small share is quick: where few instances make many calls, these are all that see an outage early. It needs few who
    /// lie or are broken to make a circuit suspected, which costs little, because only its own failures open it.
    ///
    /// The instances are those that have made an exchange within their time to live.
    pub fn quorum_share(mut self, share: f64) -> Self {
        self.quorum_share = share;
        self
    }

    /// Sets how long an exchange with the store may take (10 ms to the time to live). By default that is 1 s, or a quarter
    /// of the time to live if that is shorter. No call ever waits for an exchange.
    pub fn timeout(mut self, d: Duration) -> Self {
        self.timeout = Some(d);
        self
    }

    /// Sets the name of this instance, of 1 to 64 letters, digits, `-`, `_` and `.`. By default, it is drawn at random.
    ///
    /// Two instances of one name have one vote. A name that stays the same across restarts keeps a process that restarts
    /// all the time from counting as many.
    pub fn instance(mut self, name: impl Into<Arc<str>>) -> Self {
        self.instance = Some(name.into());
        self
    }

    /// Sends a hash of each circuit's name instead of the name, for names that must not leave the process. All instances
    /// of the fleet need the same secret (not empty).
    ///
    /// Whoever knows the secret can try names. Without it, all that the server sees is which circuits are the same.
    pub fn hide_names(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.names = Names::hidden(secret.as_ref());
        self
    }

    /// Starts the task of the fleet on the current tokio runtime. It ends when the [`Fleet`] is dropped.
    ///
    /// Nothing waits for the store: it may be down now and come up later.
    ///
    /// # Errors
    /// Returns an error for the first setting that is out of range, or if there is no runtime.
    pub fn spawn(self) -> Result<Fleet, FleetError> {
        let settings = Settings {
            timeout: self.timeout.unwrap_or(Duration::from_secs(1).min(self.time_to_live / 4)),
            instance: self
                .instance
                .unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)).into()),
            name: self.name,
            time_to_live: self.time_to_live,
            quorum_share: self.quorum_share,
            names: self.names,
        };
        settings.check()?;
        Fleet::spawn(settings, self.store)
    }
}

impl Settings {
    fn check(&self) -> Result<(), FleetError> {
        check_name("name", &self.name)?;
        check_name("instance", &self.instance)?;
        let Self { time_to_live, quorum_share, timeout, .. } = self;
        let invalid =
            |setting, value: String, allowed| Err(FleetError::Setting { setting, value, allowed });
        if !(Duration::from_secs(1)..=LONGEST_TIME_TO_LIVE).contains(time_to_live) {
            return invalid("time_to_live", format!("{time_to_live:?}"), "1 s to 10 min");
        }
        // Written so that NaN is an error too.
        if !(*quorum_share > 0.0 && *quorum_share <= 1.0) {
            let allowed = "a share greater than 0 and at most 1";
            return invalid("quorum_share", quorum_share.to_string(), allowed);
        }
        if !(Duration::from_millis(10)..=*time_to_live).contains(timeout) {
            return invalid("timeout", format!("{timeout:?}"), "10 ms to the time to live");
        }
        if matches!(self.names, Names::Hidden { has_secret: false, .. }) {
            return invalid("hide_names", "an empty secret".into(), "a secret that is not empty");
        }
        Ok(())
    }
}

/// These names are part of keys.
fn check_name(setting: &'static str, name: &str) -> Result<(), FleetError> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(is_valid) {
        return Ok(());
    }
    let value: String = name.chars().take(80).collect();
    let allowed = "1 to 64 letters, digits, `-`, `_` and `.`";
    Err(FleetError::Setting { setting, value: format!("{value:?}"), allowed })
}

/// A fleet could not be started, or a circuit not added to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetError {
    /// A setting is out of range.
    Setting {
        /// The name of the setting, which is that of its method in [`FleetBuilder`]. `name` is the name of the fleet.
        setting: &'static str,
        /// The invalid value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// There is no tokio runtime on this thread.
    NoRuntime,
    /// The fleet has as many circuits as it can have.
    Full {
        /// How many that are.
        capacity: usize,
    },
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { setting, value, allowed } => {
                write!(f, "invalid `{setting}`: {value} (allowed: {allowed})")
            }
            Self::NoRuntime => {
                f.write_str("a fleet is spawned on a tokio runtime, and there is none")
            }
            Self::Full { capacity } => {
                write!(f, "the fleet is full: it has {capacity} circuits already")
            }
        }
    }
}

impl Error for FleetError {}
