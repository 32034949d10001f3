//! What External Secrets writes on its objects, so that taking over from it writes nothing.

use std::collections::BTreeMap;

use sha3::{Digest as _, Sha3_224};
use zeroize::Zeroizing;

use crate::secret::{Plaintext, Values};

/// What every field manager of External Secrets begins with.
const MANAGER: &str = "externalsecrets.external-secrets.io/";
/// Longest name of a field manager that is used as it is, in bytes.
const LONGEST_MANAGER: usize = 63;

/// `reconcile.external-secrets.io/data-hash`: the SHA3-224 of the data as Go prints it.
///
/// It is a plain hash of secret values, which others can guess at: written for the sake of those who compare it.
#[must_use]
pub fn data_hash(values: &Values) -> String {
    pairs_hash(values.iter().map(|(key, value)| (key.as_str(), value)))
}

/// The same of keys and values that come from several places, in the order of the keys.
#[must_use]
pub fn pairs_hash<'a>(values: impl IntoIterator<Item = (&'a str, &'a Plaintext)>) -> String {
    let mut hash = Hash::new();
    hash.push(b"map[");
    for (index, (key, value)) in values.into_iter().enumerate() {
        hash.push(if index > 0 { b" " } else { b"" });
        hash.push(key.as_bytes());
        hash.push(b":[");
        for (index, byte) in value.expose().iter().enumerate() {
            hash.push(if index > 0 { b" " } else { b"" });
            hash.decimal(*byte);
        }
        hash.push(b"]");
    }
    hash.push(b"]");
    hash.finish()
}

/// The hash of a text, as in the label `reconcile.external-secrets.io/created-by`, whose text is `namespace/name`.
#[must_use]
pub fn text_hash(text: &str) -> String {
    let mut hash = Hash::new();
    hash.push(text.as_bytes());
    hash.finish()
}

/// `status.syncedResourceVersion`: the generation, and a hash of labels and annotations.
#[must_use]
pub fn synced_resource_version(
    generation: i64,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> String {
    let mut hash = Hash::new();
    for (name, map) in [("{annotations:map[", annotations), ("] labels:map[", labels)] {
        hash.push(name.as_bytes());
        for (index, (key, value)) in map.iter().enumerate() {
            hash.push(if index > 0 { b" " } else { b"" });
            hash.push(key.as_bytes());
            hash.push(b":");
            hash.push(value.as_bytes());
        }
    }
    hash.push(b"]}");
    format!("{generation}-{}", hash.finish())
}

/// The field manager that writes the target of the ExternalSecret `name`.
#[must_use]
pub fn field_manager(name: &str) -> String {
    if MANAGER.len() + name.len() > LONGEST_MANAGER {
        format!("{MANAGER}sha3/{}", text_hash(name))
    } else {
        format!("{MANAGER}{name}")
    }
}

/// A hash that is fed with pieces. They are collected in a buffer that is wiped.
struct Hash {
    digest: Sha3_224,
    buffer: Zeroizing<Vec<u8>>,
}

const BUFFER: usize = 1024;

impl Hash {
    fn new() -> Self {
        Self { digest: Sha3_224::new(), buffer: Zeroizing::new(Vec::with_capacity(BUFFER)) }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.digest.update(&*self.buffer);
            self.buffer.clear();
        }
        if bytes.len() > BUFFER {
            self.digest.update(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    fn decimal(&mut self, byte: u8) {
        let digits = [byte / 100, byte / 10 % 10, byte % 10].map(|digit| digit + b'0');
        let leading = usize::from(byte < 100) + usize::from(byte < 10);
        self.push(digits.get(leading..).unwrap_or_default());
    }

    fn finish(mut self) -> String {
        self.digest.update(&*self.buffer);
        self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
