//! Lets the processes of a fleet tell each other which circuits have opened.

mod circuits;
mod fleet;
mod names;
mod observe;
mod settings;
mod store;
mod task;

#[cfg(feature = "redis")]
pub use redis;

pub use self::fleet::Fleet;
pub use self::observe::Status;
pub use self::settings::{FleetBuilder, FleetError};
#[cfg(feature = "redis")]
pub use self::store::RedisStore;
pub use self::store::{Action, Answer, Exchange, Hint, MemoryLink, MemoryStore, Store, StoreError};
