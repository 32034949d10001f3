//! What each key is needed for: in the files of a repository, and in all of its history.
//!
//! | module | what it is |
//! | --- | --- |
//! | `values` | the sealed values of a text, also where they stand outside a SealedSecret |
//! | `tree` | files, and what each key opens in them |
//! | `proof` | whether values open with the keys that they name |
//! | `exposure` | everything that was ever sealed to a key, with its commits |
//!
//! A native value names its keys, so this needs no key. kubeseal's values do not: they are attributed by opening them
//! with private keys, or by what the status of the object says that holds the same ciphertext in a cluster; the rest is
//! counted as unknown.

mod exposure;
mod proof;
mod tree;
mod values;

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::LazyLock;

pub(crate) use self::exposure::{Exposed, Exposure, When, exposure};
pub(crate) use self::proof::refuted;
pub(crate) use self::tree::{Audit, FileUse, KeyUse, Known, Refuted, repository};
pub(crate) use self::values::{loose, may_hold_values};

/// Names a ciphertext: enough to find it again among those of one repository, and no way back.
pub(crate) fn fingerprint(sealed: &str) -> u64 {
    hash(sealed)
}

/// Keyed afresh in every process: nobody can make two values look like one.
fn hash(of: impl Hash) -> u64 {
    static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYED.hash_one(of)
}
