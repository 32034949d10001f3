//! Private keys on their way: out of a cluster into a backup, to custodians, and back.
//!
//! | module | what it is |
//! | --- | --- |
//! | `opening` | files that hold private keys: plain, age-encrypted, or a backup with shares of its key |
//! | `key_secret`, `manifest` | a Secret that holds sealing keys, read and written |
//! | `sources` | key Secrets out of identity files, PEM and manifests |
//! | `shares` | a key split among custodians |
//! | `sealed` | keys encrypted to those who keep them |
//! | `cluster`, `place` | the key Secrets of a cluster: read, and put there |
//! | `inventory` | what is said about keys |
//!
//! Plaintext of keys is in buffers that are wiped, and never in a temporary file.

mod cluster;
mod inventory;
mod key_secret;
mod manifest;
mod opening;
mod place;
mod sealed;
mod shares;
mod sources;

pub(crate) use self::cluster::Cluster;
pub(crate) use self::inventory::{Inventory, Item};
pub(crate) use self::key_secret::KeySecret;
pub(crate) use self::manifest::{list, title};
pub(crate) use self::opening::{Document, identities_in, open, open_one, open_share};
pub(crate) use self::place::{Fate, Placed, Placement, place};
pub(crate) use self::sealed::{Sealed, armored, encrypt, is_post_quantum, to_any, to_custodians};
pub(crate) use self::shares::{Fingerprint, MOST, Share};
pub(crate) use self::sources::{Source, sources};
