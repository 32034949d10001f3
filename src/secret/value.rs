//! The one type that holds plaintext.
//!
//! It is wiped when dropped and has no `Debug`, `Clone`, `Display`, `Serialize` or `Deref`: a secret reaches a log,
//! an event or a file only where somebody wrote [`Plaintext::expose`], and that word can be searched for.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The values of a secret by data key.
pub type Values = BTreeMap<String, Plaintext>;

/// Bytes of a secret value, wiped on drop.
#[derive(Default)]
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes ownership of `bytes`; they are wiped when the value is dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Takes over an already guarded buffer.
    #[must_use]
    pub const fn from_guarded(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Copies `bytes`; the caller goes on being responsible for its own buffer.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// The bytes in the clear: the only door.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the value is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in time that depends on the lengths only.
    #[must_use]
    pub fn same_as(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }

    /// Wipes now instead of at the end of the scope.
    pub fn wipe(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for Plaintext {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}
