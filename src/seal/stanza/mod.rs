//! The header of an age file and the recipients' stanzas in it: what we read, wrap and unwrap ourselves.
//!
//! The container around them (file key, header MAC, payload) is the age crate's. It has no `mlkem768x25519`, and its
//! `X25519` computes the public half anew at each opening; its `Recipient` and `Identity` traits are made for that.

mod header;
pub(super) mod hybrid;
mod rewrap;
pub(super) mod x25519;
mod xwing;

pub(super) use self::header::{Header, MAGIC, version_name};
pub(super) use self::rewrap::{header as write_header, is_authentic};

use age_core::format::FILE_KEY_BYTES;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The length of a file key wrapped for one recipient: with the tag of ChaCha20-Poly1305.
const WRAPPED_BYTES: usize = FILE_KEY_BYTES + 16;

/// One section of the header. The types that we know are checked when they are read, whether or not a key of theirs
/// is at hand: a malformed one makes the header malformed.
pub(super) enum Stanza<'a> {
    /// The file key, wrapped for an X25519 recipient.
    X25519(x25519::Wrapped),
    /// The file key, wrapped for a hybrid recipient.
    Hybrid(hybrid::Wrapped),
    /// Any other.
    Other {
        /// Its type.
        kind: &'a str,
        /// Its arguments, separated by single spaces.
        arguments: &'a str,
        /// Its body.
        body: Vec<u8>,
    },
}

impl Stanza<'_> {
    /// The type, as the header spells it.
    pub(super) const fn kind(&self) -> &str {
        match self {
            Self::X25519(_) => x25519::TAG,
            Self::Hybrid(_) => hybrid::TAG,
            Self::Other { kind, .. } => kind,
        }
    }

    /// The stanza as the age crate takes it.
    pub(super) fn into_age(self) -> age_core::format::Stanza {
        let (argument, body) = match &self {
            Self::X25519(wrapped) => (encode(&wrapped.share), wrapped.body.to_vec()),
            Self::Hybrid(wrapped) => (encode(wrapped.enc.as_slice()), wrapped.body.to_vec()),
            Self::Other { arguments, body, .. } => ((*arguments).to_owned(), body.clone()),
        };
        age_core::format::Stanza { tag: self.kind().to_owned(), args: vec![argument], body }
    }
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

/// HKDF-SHA256 (RFC 5869) to 32 bytes. `None` cannot happen: that is less than what it gives at most.
fn derive(secret: &[u8], salt: Option<&[u8]>, info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(salt, secret).expand(info, key.as_mut_slice()).ok()?;
    Some(key)
}
