//! The audit log: one line for every opening, writing, key use and re-seal. Who, what, which key; never a value.

use std::fmt;

use tracing::info;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Values were opened with a key.
    Open,
    /// A Secret was written.
    Write,
    /// A Secret was deleted.
    Delete,
    /// Somebody asked whether values open.
    Verify,
    /// Somebody had values sealed again.
    Reseal,
    /// A sealing key was made.
    MakeKey,
    /// A sealing key changed its state.
    ChangeKey,
    /// The private half of a key was unwrapped.
    UnwrapKey,
}

impl Action {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Verify => "verify",
            Self::Reseal => "reseal",
            Self::MakeKey => "make-key",
            Self::ChangeKey => "change-key",
            Self::UnwrapKey => "unwrap-key",
        }
    }
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What was done.
    pub action: Action,
    /// On whose behalf: `controller`, or what is known of a caller.
    pub actor: &'a str,
    /// Kind, namespace and name of the object; empty where there is none.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Ids of the keys in use.
    pub keys: &'a [String],
    /// `ok`, or the reason of the refusal.
    pub outcome: &'a str,
}

/// The target of these lines among the program's logs.
pub const TARGET: &str = "bulla::audit";

/// Writes a line.
pub fn record(entry: Entry<'_>) {
    let Entry { action, actor, kind, namespace, name, keys, outcome } = entry;
    let keys = Joined(keys);
    info!(target: TARGET, action = action.as_str(), actor, kind, namespace, name, %keys, outcome);
}

struct Joined<'a>(&'a [String]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(","))
    }
}
