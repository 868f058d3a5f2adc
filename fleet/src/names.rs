//! [`Names`]: what a circuit is called outside of its process.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A longer name is sent as a hash.
const LONGEST: usize = 200;

/// How the name of a circuit becomes a key.
pub(crate) enum Names {
    Plain,
    Hidden { has_secret: bool, key: [u8; 32] },
}

impl Names {
    pub(crate) fn hidden(secret: &[u8]) -> Self {
        let key = hash(&[b"tower-breaker-fleet", secret]);
        Self::Hidden { has_secret: !secret.is_empty(), key }
    }

    pub(crate) fn key(&self, name: &str) -> Arc<str> {
        match self {
            Self::Plain if name.len() <= LONGEST => name.into(),
            Self::Plain => hex(&hash(&[b"long", name.as_bytes()])),
            Self::Hidden { key, .. } => hex(&hash(&[key, name.as_bytes()])),
        }
    }
}

/// Hashes parts so that no two lists of parts are the same, and no hash can be continued to that of a longer name.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    Sha256::digest(hasher.finalize()).into()
}

/// Half of a hash is enough.
fn hex(hash: &[u8; 32]) -> Arc<str> {
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Does not print the secret.
impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Plain) { "Plain" } else { "Hidden" })
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn a_hidden_name_depends_on_the_secret_and_says_nothing_of_the_name() {
        let keys = [b"one", b"two"].map(|secret| Names::hidden(secret).key("payments"));
        assert_ne!(keys[0], keys[1]);
        assert_eq!(keys[0], Names::hidden(b"one").key("payments"));
        assert!(keys.iter().all(|key| key.len() == 32 && !key.contains("pay")));
        assert!(!format!("{:?}", Names::hidden(b"one")).contains("one"));
    }

    #[test]
    fn long_names_are_short_keys_and_differ() {
        let long = "x".repeat(10_000);
        let other = format!("{long}y");
        assert_eq!(Names::Plain.key(&long).len(), 32);
        assert_ne!(Names::Plain.key(&long), Names::Plain.key(&other));
        assert_eq!(&*Names::Plain.key("payments"), "payments");
    }
}
