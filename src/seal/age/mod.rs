//! age v1 files (C2SP `age.md`), as far as a sealed value needs them: the binary form, and the recipient types `X25519`
//! and `mlkem768x25519`.
//!
//! Our own reader and writer over the usual libraries' primitives, since hostile input comes in here: every step is
//! linear in the input and bounded, what the format forbids is refused, and plaintext is worked on in one buffer that
//! is wiped. Armor, passphrases and plugins are left out on purpose.
//!
//! ```text
//! age-encryption.org/v1
//! -> X25519 <share>              one stanza a recipient ...
//! <file key, wrapped>
//! -> bulla v1                    ... and any others, ours among them
//! <body, base64 in lines of 64>
//! --- <HMAC of all before it>
//! <nonce of 16 bytes> <ChaCha20-Poly1305 in chunks of 64 KiB>
//! ```

mod header;
pub(super) mod hybrid;
pub(super) mod payload;
pub(super) mod x25519;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

pub(super) use self::header::{Header, MAGIC, Stanza, version_name, write};

/// The length of a file key.
const FILE_KEY_BYTES: usize = 16;
/// The length of a file key wrapped for one recipient: with the tag of ChaCha20-Poly1305.
const WRAPPED_BYTES: usize = FILE_KEY_BYTES + 16;

/// The random key that each file has of its own; every recipient's stanza holds it wrapped.
pub(super) struct FileKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

impl FileKey {
    pub(super) fn generate() -> Option<Self> {
        let mut key = Zeroizing::new([0; FILE_KEY_BYTES]);
        getrandom::fill(key.as_mut_slice()).ok()?;
        Some(Self(key))
    }

    fn derive(&self, salt: Option<&[u8]>, info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        derive(self.0.as_slice(), salt, info)
    }
}

/// HKDF-SHA256 (RFC 5869) to 32 bytes. `None` cannot happen: that is less than what it gives at most.
fn derive(secret: &[u8], salt: Option<&[u8]>, info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(salt, secret).expand(info, key.as_mut_slice()).ok()?;
    Some(key)
}
