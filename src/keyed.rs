//! One circuit for each key, such as a host: features `keyed` and, for hosts, `http`.

mod builder;
#[cfg(feature = "http")]
mod host;
mod layer;
mod pick;
mod registry;
mod service;

pub use self::builder::CircuitBreakerRegistryBuilder;
#[cfg(feature = "http")]
pub use self::host::ByHost;
pub use self::layer::KeyedLayer;
pub use self::pick::PickCircuit;
pub use self::registry::CircuitBreakerRegistry;
pub use self::service::KeyedService;
