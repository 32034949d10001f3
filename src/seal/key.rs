//! What a key is called, of which kind it is and what it may still do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::KeyError;

/// Names a key pair: the first 8 bytes of SHA-256 over the recipient string (native keys) or over the DER-encoded
/// `SubjectPublicKeyInfo` (certificates), printed as 16 hexadecimal digits.
///
/// It identifies, it does not authenticate: whoever has the recipient can compute it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The id of the key whose public half is written as `public`.
    #[must_use]
    pub fn of(public: &[u8]) -> Self {
        let digest = Sha256::digest(public);
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits = text.as_bytes();
        if digits.len() != 16 || !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(KeyError::NotAKeyId);
        }
        let mut id = [0; 8];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |d: u8| {
                if d.is_ascii_digit() { d - b'0' } else { d - b'a' + 10 }
            };
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(Self(id))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Owned, not borrowed: JSON readers hand out a borrow only for strings without escapes.
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The kinds of key pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ML-KEM-768 with X25519, age's `mlkem768x25519`: safe against a later quantum computer. The default.
    Hybrid,
    /// age's `X25519`: a third of the size, no protection against a later quantum computer.
    X25519,
    /// RSA with a certificate: kubeseal's.
    Rsa,
}

impl KeyKind {
    /// The word in files and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::X25519 => "x25519",
            Self::Rsa => "rsa",
        }
    }

    /// Whether what is sealed to it stays closed for a quantum computer.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        matches!(self, Self::Hybrid)
    }
}

/// What a key may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Seals new values and opens old ones.
    Active,
    /// Opens, but nothing new is sealed to it.
    Opening,
    /// Opens nothing more: values sealed to it are refused by name.
    Retired,
    /// Somebody else may hold its private half. It opens nothing, and values sealed to it are refused for that reason.
    Compromised,
}

impl KeyState {
    /// Whether it opens what was sealed to it.
    #[must_use]
    pub const fn opens(self) -> bool {
        matches!(self, Self::Active | Self::Opening)
    }

    /// The word in labels and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Opening => "opening",
            Self::Retired => "retired",
            Self::Compromised => "compromised",
        }
    }
}
