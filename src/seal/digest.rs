//! Keyed digests: whether a Secret still holds what was written, without keeping what was written.
//!
//! Never a plain hash: anybody who may read a status could then guess short values. HMAC-SHA256 (RFC 2104) under a key
//! derived from a sealing key; the id of that key is part of the digest so that it can be checked after a rotation.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{KeyError, KeyId};

/// A key that makes digests.
pub struct DigestKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl DigestKey {
    pub(super) const fn new(id: KeyId, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { id, secret }
    }

    /// A key from 32 random bytes of the caller's, named by a hash of them.
    ///
    /// # Errors
    /// If it is not 32 bytes.
    pub fn from_secret(bytes: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        if bytes.len() != secret.len() {
            return Err(KeyError::Empty);
        }
        secret.copy_from_slice(&bytes);
        // Two hashes deep, so that the name is of no use for guessing the key.
        let id = KeyId::of(KeyId::of(&bytes).to_string().as_bytes());
        Ok(Self { id, secret })
    }

    /// The digest of named parts, in the order given: `<key id>:<64 hexadecimal digits>`. Names and values are framed
    /// by their lengths, so no two lists of parts run together.
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
        // HMAC takes keys of any length: the error cannot occur.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_slice()) else {
            return String::new();
        };
        for (name, value) in parts {
            mac.update(&(name.len() as u64).to_be_bytes());
            mac.update(name.as_bytes());
            mac.update(&(value.len() as u64).to_be_bytes());
            mac.update(value);
        }
        let digest = mac.finalize().into_bytes();
        let mut text = format!("{}:", self.id);
        for byte in digest {
            use std::fmt::Write as _;
            // Writing to a String does not fail.
            if write!(text, "{byte:02x}").is_err() {
                return String::new();
            }
        }
        text
    }

    /// Whether two digests are equal, in constant time.
    #[must_use]
    pub fn same(one: &str, other: &str) -> bool {
        !one.is_empty() && bool::from(one.as_bytes().ct_eq(other.as_bytes()))
    }

    /// The id of the key that made `digest`.
    #[must_use]
    pub fn id_of(digest: &str) -> Option<KeyId> {
        digest.split_once(':')?.0.parse().ok()
    }
}
