//! Recognising a target without opening anything: a keyed digest of what was written.
//!
//! It is stored where others can read it, so it is an HMAC under a key derived from a sealing identity, never a plain
//! hash: without the identity nobody can test guesses against it.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Values;

/// Key of the digests, derived from one sealing identity; wiped on drop.
pub struct DigestKey {
    id: String,
    key: Zeroizing<[u8; 32]>,
}

impl DigestKey {
    /// Derives the key from `identity`, the text of the sealing identity whose id is `id`.
    #[must_use]
    pub fn derive(id: impl Into<String>, identity: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are far below HKDF's limit, the only way to fail.
        let expanded = Hkdf::<Sha256>::new(None, identity).expand(INFO, key.as_mut_slice());
        debug_assert!(expanded.is_ok());
        Self { id: id.into(), key }
    }

    /// The id of the identity it was derived from.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The digest of a target's type and data, as `<key id>:<hex>`.
    #[must_use]
    pub fn digest(&self, kind: &str, data: &Values) -> String {
        use std::fmt::Write as _;
        let mut text = format!("{}:", self.id);
        for byte in self.mac(kind, data) {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").ok();
        }
        text
    }

    /// Whether `digest` is this key's digest of `kind` and `data`.
    #[must_use]
    pub fn matches(&self, digest: &str, kind: &str, data: &Values) -> bool {
        self.digest(kind, data).as_bytes().ct_eq(digest.as_bytes()).into()
    }

    fn mac(&self, kind: &str, data: &Values) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_slice()) else {
            return [0; 32]; // unreachable: HMAC takes keys of any length
        };
        let mut part = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        part(kind.as_bytes());
        for (key, value) in data {
            part(key.as_bytes());
            part(value.expose());
        }
        mac.finalize().into_bytes().into()
    }
}

/// The id of the key that made `digest`.
#[must_use]
pub fn key_id(digest: &str) -> Option<&str> {
    digest.split_once(':').map(|(id, _)| id)
}

const INFO: &[u8] = b"bulla.dev/target-digest/v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Plaintext;

    fn data(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::from((*v).to_owned()))).collect()
    }

    #[test]
    fn only_the_same_key_type_and_data_match() {
        let key = DigestKey::derive("k1", b"identity");
        let digest = key.digest("Opaque", &data(&[("a", "1"), ("b", "2")]));
        assert_eq!(key_id(&digest), Some("k1"));
        assert!(key.matches(&digest, "Opaque", &data(&[("b", "2"), ("a", "1")])));
        assert!(!key.matches(&digest, "kubernetes.io/tls", &data(&[("a", "1"), ("b", "2")])));
        assert!(!key.matches(&digest, "Opaque", &data(&[("a", "1b"), ("", "2")])));
        assert!(!key.matches(&digest, "Opaque", &data(&[("a", "1")])));
        let other = DigestKey::derive("k1", b"another identity");
        assert!(!other.matches(&digest, "Opaque", &data(&[("a", "1"), ("b", "2")])));
    }
}
