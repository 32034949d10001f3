//! Domain 1: sealing. Pure: bytes in, bytes out.
//!
//! Two formats are read, told apart by their first bytes, and either is written:
//!
//! - **native**: a binary age v1 file with one stanza a recipient and an authenticated `bulla` stanza that says where
//!   the value may be used ([`Binding`]). Plain `age` opens it.
//! - **kubeseal's**: RSA-OAEP and AES-256-GCM, bound by the OAEP label.
//!
//! This module knows no Kubernetes, no clock and no files. Randomness comes from the operating system through the
//! libraries that implement the formats.

mod binding;
mod certificate;
mod digest;
mod error;
mod file;
mod identity;
mod inspect;
mod key;
mod keyring;
mod native;
mod object;
mod pem;
mod recipient;
mod reseal;
mod rsa;
mod stanza;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};

pub use self::binding::{Binding, Place, Scope};
pub use self::certificate::{IssuedKey, RsaBits, issue};
pub use self::digest::DigestKey;
pub use self::error::{Damage, KeyError, OpenError, OpenErrors, Refusal, SealError};
pub use self::file::{FileError, open_file, seal_file};
pub use self::identity::Identity;
pub use self::inspect::{Format, Inspection, inspect};
pub use self::key::{KeyId, KeyKind, KeyState};
pub use self::keyring::Keyring;
pub use self::object::{LegacyMetadata, OpenedObject, open_object};
pub use self::recipient::{Certificate, Recipient};
pub use self::reseal::{Outcome, Pace, Reseal, ResealRefusal, Resealed, Standing, Targets};

use crate::secret::Plaintext;

/// The longest value that can be sealed or opened, in bytes: what a Kubernetes Secret may hold in all.
pub const MAX_VALUE: usize = 1 << 20;

/// The most recipients of one value. Each costs 1.6 KB (hybrid) and, when opening, up to one decapsulation.
pub const MAX_RECIPIENTS: usize = 64;

/// The longest sealed value that is looked at, in characters of base64, before any work is done.
pub const MAX_SEALED: usize = (MAX_VALUE + MAX_RECIPIENTS * 2048 + 16 * 1024) / 3 * 4;

/// A value that was opened.
pub struct Opened {
    /// The value in the clear.
    pub plaintext: Plaintext,
    /// The key that opened it.
    pub key_id: KeyId,
    /// What the sealed value says about itself; `None` for kubeseal's format and for a plain age file.
    pub binding: Option<Binding>,
}

/// Seals `plaintext` to `recipients` and returns the base64 text that goes into `spec.encryptedData`.
///
/// Native recipients (hybrid or X25519, not both: age forbids mixing them) give an age file; exactly one certificate
/// gives kubeseal's format.
///
/// # Errors
/// When there is no recipient, too many, a mixture of kinds, or the value is longer than [`MAX_VALUE`].
pub fn seal(recipients: &[Recipient], plaintext: &Plaintext, binding: &Binding) -> Result<String, SealError> {
    if plaintext.len() > MAX_VALUE {
        return Err(SealError::TooLarge { bytes: plaintext.len(), limit: MAX_VALUE });
    }
    let sealed = match recipient::one_kind(recipients)? {
        recipient::Kind::Native(native) => native::seal(&native, plaintext, binding)?,
        recipient::Kind::Certificate(certificate) => rsa::seal(certificate, plaintext, binding)?,
    };
    Ok(STANDARD.encode(sealed))
}

/// Seals a native value to `new` recipients so that those who are `kept` go on opening it, though only their ids are known.
fn rewrap(
    keyring: &Keyring,
    sealed: &str,
    kept: &[KeyId],
    new: &[Recipient],
    binding: &Binding,
) -> Result<String, SealError> {
    let bytes = decode(sealed).map_err(|_| SealError::Failed)?;
    let new: Vec<&Recipient> = new.iter().collect();
    native::rewrap(keyring, &bytes, kept, &new, binding).map(|sealed| STANDARD.encode(sealed))
}

/// Whether values can be sealed to these recipients together.
///
/// # Errors
/// When there is none, too many, or a mixture of kinds.
pub fn agree(recipients: &[Recipient]) -> Result<(), SealError> {
    recipient::one_kind(recipients).map(drop)
}

/// Opens one sealed value that stands at `place` of an object that declares `declared` by its annotations.
///
/// # Errors
/// A [`Refusal`]: a fact that carries no bytes of the secret.
pub fn open(keyring: &Keyring, sealed: &str, place: Place<'_>, declared: Scope) -> Result<Opened, Refusal> {
    let bytes = decode(sealed)?;
    match Format::of(&bytes) {
        Some(Format::Native) => native::open(keyring, &bytes, place, declared),
        Some(Format::Kubeseal) => rsa::open(keyring, &bytes, place, declared),
        None => Err(Refusal::NotSealed),
    }
}

/// Opens as [`open`] does, for a caller who is a stranger: the work depends on the length and the format of the value
/// and on the names of keys in its header, not on whether, where or with which key it opens. It costs one use of every
/// RSA key where `open` stops at the one that fits.
///
/// # Errors
/// A [`Refusal`], which is for the program and not for the stranger.
pub fn open_evenly(keyring: &Keyring, sealed: &str, place: Place<'_>, declared: Scope) -> Result<Opened, Refusal> {
    let bytes = decode(sealed)?;
    match Format::of(&bytes) {
        Some(Format::Native) => native::open(keyring, &bytes, place, declared),
        Some(Format::Kubeseal) => rsa::open_evenly(keyring, &bytes, place, declared),
        None => Err(Refusal::NotSealed),
    }
}

/// Base64 as kubeseal's own reader takes it: standard alphabet, padded, line breaks ignored. Bounded first.
fn decode(sealed: &str) -> Result<Vec<u8>, Refusal> {
    if sealed.len() > MAX_SEALED {
        return Err(Refusal::TooLarge { characters: sealed.len(), limit: MAX_SEALED });
    }
    let sealed = sealed.trim_ascii();
    let decoded = if sealed.bytes().any(|byte| matches!(byte, b'\n' | b'\r')) {
        BASE64.decode(sealed.replace(['\n', '\r'], ""))
    } else {
        BASE64.decode(sealed)
    };
    decoded.map_err(|_| Refusal::NotBase64)
}

/// Go's decoder accepts non-zero trailing bits, so values that upstream opens today may carry them.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

#[cfg(test)]
mod tests;
