//! [`RedisStore`].

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use redis::{
    Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisError, Script, Value,
};
use tokio::sync::{Mutex, Notify, mpsc};

use super::{Action, Answer, Exchange, Hint, Store, StoreError};
use crate::settings::LONGEST_TIME_TO_LIVE;

/// Hints that are kept while the fleet is busy. More are dropped and counted.
const HINTS: usize = 64;

/// A longer key than any that a fleet makes.
const LONGEST_KEY: usize = 512;

static VOTES: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("votes.lua")));

/// Votes on a server that speaks the protocol of Redis: Redis from version 6 on, or Valkey.
///
/// An exchange is one script, which the server runs at once. Each circuit for which somebody votes is a sorted set of
/// instances, by when their votes expire, with a time to live. One more is the set of the instances. The scripts read the
/// server's clock and no other one. All keys begin with `tower-breaker:{name of the fleet}:`, so a cluster keeps those of
/// one fleet on one node.
///
/// Hints come by a channel of the same name, over the same connection. That needs version 3 of the protocol, which this
/// store asks for whatever the URL says. [`without_hints`](Self::without_hints) does without, for proxies that do not know
/// it.
///
/// The user needs the commands `EVALSHA`, `SCRIPT LOAD`, `TIME`, `PEXPIRE`, `PUBLISH`, `SUBSCRIBE` and those of sorted
/// sets, for keys `tower-breaker:*` and the channel. Whoever has them can vote as anybody.
///
/// # Connection
///
/// The connection is made when the fleet first needs it, and again after it was lost. TLS, authentication, Unix sockets
/// and the number of the database are part of the URL, as the crate [`redis`] has them. For TLS, depend on that crate
/// with one of its features, such as `tokio-rustls-comp` with `tls-rustls-webpki-roots`, and use `rediss://`.
///
/// # Example
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker_fleet::{Fleet, RedisStore};
///
/// let store = RedisStore::open("redis://:secret@votes.example:6379/")?;
/// let fleet = Fleet::builder("shop", store).spawn()?;
/// fleet.add(&CircuitBreaker::new("payments"))?;
/// # Ok(())
/// # }
/// ```
pub struct RedisStore {
    client: Client,
    has_hints: bool,
    connection: Mutex<Option<MultiplexedConnection>>,
    sender: Arc<Sender>,
    hints: Mutex<mpsc::Receiver<String>>,
}

/// Takes the server's messages, without ever waiting.
struct Sender {
    hints: mpsc::Sender<String>,
    dropped: AtomicU64,
    has_dropped: Notify,
}

impl RedisStore {
    /// Creates a store for the server at this URL, or with this connection info. Nothing is connected yet.
    ///
    /// # Errors
    /// Returns an error if the URL is not valid, or asks for TLS that was not built in.
    pub fn open(server: impl IntoConnectionInfo) -> Result<Self, RedisError> {
        let info = server.into_connection_info()?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Ok(Self::with(Client::open(info.set_redis_settings(settings))?, true))
    }

    /// Creates a store that does not ask the server for hints, so that version 2 of the protocol is enough.
    ///
    /// Instances then notice a quorum when they next look, which is every quarter of their time to live.
    ///
    /// # Errors
    /// The same as [`open`](Self::open).
    pub fn without_hints(server: impl IntoConnectionInfo) -> Result<Self, RedisError> {
        Ok(Self::with(Client::open(server)?, false))
    }

    fn with(client: Client, has_hints: bool) -> Self {
        let (sender, hints) = mpsc::channel(HINTS);
        let sender =
            Sender { hints: sender, dropped: AtomicU64::new(0), has_dropped: Notify::new() };
        Self {
            client,
            has_hints,
            connection: Mutex::default(),
            sender: Arc::new(sender),
            hints: Mutex::new(hints),
        }
    }

    /// Not by the crate's connection manager: it keeps all messages that have not been taken yet, however many they are,
    /// and connects again at the moment when the server is back, in all instances at once.
    async fn connect(&self, exchange: &Exchange) -> Result<MultiplexedConnection, RedisError> {
        // The fleet gives up earlier by itself.
        let timeout = Some(exchange.time_to_live);
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(timeout)
            .set_response_timeout(timeout);
        if self.has_hints {
            let sender = self.sender.clone();
            config = config.set_push_sender(move |info: PushInfo| -> Result<(), ()> {
                sender.take(info);
                Ok(())
            });
        }
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        if self.has_hints {
            connection.subscribe(channel(&exchange.fleet)).await?;
        }
        Ok(connection)
    }
}

/// Lets the server run the script.
async fn run(
    exchange: &Exchange,
    connection: &mut MultiplexedConnection,
) -> Result<Vec<u64>, RedisError> {
    let Exchange { fleet, instance, time_to_live, quorum_share, circuits } = exchange;
    let mut call = VOTES.key(format!("{}:instances", channel(fleet)));
    call.arg(&**instance)
        .arg(millis(*time_to_live))
        .arg(millis(LONGEST_TIME_TO_LIVE))
        .arg(*quorum_share)
        .arg(channel(fleet));
    for (key, action) in circuits {
        let action = match action {
            Action::Vote => "vote",
            Action::Withdraw => "withdraw",
            Action::Read => "read",
        };
        call.key(format!("{}:votes:{key}", channel(fleet))).arg(action).arg(&**key);
    }
    call.invoke_async(connection).await
}

impl Store for RedisStore {
    async fn exchange(&self, exchange: &Exchange) -> Result<Answer, StoreError> {
        let mut current = self.connection.lock().await;
        // Taken, so that a connection is not used again after an error or when this is dropped halfway.
        let kept = match current.take() {
            None => None,
            Some(mut connection) => match run(exchange, &mut connection).await {
                // It was lost since the last exchange, so the server may well be there.
                Err(error) if error.is_unrecoverable_error() => None,
                counts => Some((counts, connection)),
            },
        };
        let (counts, connection) = match kept {
            Some(kept) => kept,
            None => {
                let mut connection = self.connect(exchange).await.map_err(StoreError::new)?;
                (run(exchange, &mut connection).await, connection)
            }
        };
        let counts = counts.map_err(StoreError::new)?;
        let (instances, others) = match counts.split_first() {
            Some((instances, others)) if others.len() == exchange.circuits.len() => {
                (*instances, others)
            }
            _ => return Err(StoreError::new("the server has answered something else")),
        };
        *current = Some(connection);
        Ok(Answer { instances, others: others.to_vec() })
    }

    async fn hint(&self, _: &str) -> Hint {
        let mut hints = self.hints.lock().await;
        loop {
            match self.sender.dropped.swap(0, Ordering::Relaxed) {
                0 => {}
                n => return Hint::Dropped(n),
            }
            tokio::select! {
                Some(key) = hints.recv() => return Hint::Look(key),
                () = self.sender.has_dropped.notified() => {}
            }
        }
    }
}

impl Sender {
    fn take(&self, info: PushInfo) {
        let PushInfo { kind: PushKind::Message, data } = info else { return };
        let key = match data.into_iter().nth(1) {
            Some(Value::BulkString(key)) if key.len() <= LONGEST_KEY => String::from_utf8(key).ok(),
            _ => None,
        };
        if key.is_none_or(|key| self.hints.try_send(key).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.has_dropped.notify_one();
        }
    }
}

/// The beginning of all keys, and the channel. In a cluster, what is in braces decides about the node.
fn channel(fleet: &str) -> String {
    format!("tower-breaker:{{{fleet}}}")
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Does not print the URL, which may contain a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("has_hints", &self.has_hints).finish_non_exhaustive()
    }
}
