//! Private keys on their way: out of a cluster into a backup, to custodians, and back.
//!
//! | module | what it is |
//! | --- | --- |
//! | `opening` | files that hold private keys: plain, age-encrypted, or a backup with shares of its key |
//! | `key_secret` | a Secret that holds sealing keys, read and written as a manifest |
//! | `shares` | a key split among custodians |
//!
//! Plaintext of keys is in buffers that are wiped, and never in a temporary file.

mod key_secret;
mod opening;
mod shares;

pub(crate) use self::key_secret::{Key, KeySecret};
pub(crate) use self::opening::{Document, Kept, identities_in, open};
