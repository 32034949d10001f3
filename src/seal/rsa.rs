//! kubeseal's format, read and written.
//!
//! ```text
//! offset 0    u16 big-endian L = length of the RSA modulus in bytes
//! offset 2    RSA-OAEP(SHA-256, MGF1 SHA-256, label) of a fresh AES key of 32 bytes
//! offset 2+L  AES-256-GCM(key, nonce of 12 zero bytes, no associated data), tag of 16 bytes at the end
//! ```
//! The label is `namespace/name` (strict), `namespace`, or empty. Source: what the `kubeseal` binary reads and writes;
//! the tests run both ways against it. The nonce may be constant since each key encrypts one message.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::identity::digest_secret;
use super::{Binding, Certificate, Damage, Identity, Keyring, MAX_VALUE, Opened, Place, Refusal, Scope, SealError};
use crate::secret::Plaintext;

pub(super) const TAG_BYTES: usize = 16;
const SESSION_KEY_BYTES: usize = 32;
/// Moduli from RSA-2048 to RSA-8192, the range that the library takes.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// An RSA private key.
pub(super) struct RsaIdentity(OaepPrivateDecryptingKey);

impl RsaIdentity {
    /// From the DER inside a PEM block labelled `RSA PRIVATE KEY` (PKCS#1) or `PRIVATE KEY` (PKCS#8).
    /// Also gives the public half and the secret for digests.
    pub(super) fn from_der(label: &str, der: &[u8]) -> Option<(Self, Certificate, Zeroizing<[u8; 32]>)> {
        let wrapped;
        let pkcs8 = match label {
            "PRIVATE KEY" => der,
            "RSA PRIVATE KEY" => {
                wrapped = pkcs8_from_pkcs1(der)?;
                wrapped.as_slice()
            }
            _ => return None,
        };
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        let certificate = Certificate::from_spki(spki.as_ref(), None).ok()?;
        let digest = digest_secret(pkcs8);
        Some((Self(OaepPrivateDecryptingKey::new(key).ok()?), certificate, digest))
    }

    fn session_key(
        &self,
        keyring: &Keyring,
        wrapped: &[u8],
        label: &[u8],
    ) -> Option<Zeroizing<[u8; SESSION_KEY_BYTES]>> {
        if wrapped.len() != self.0.key_size_bytes() {
            return None;
        }
        keyring.count_rsa_operation();
        let mut buffer = Zeroizing::new(vec![0; self.0.min_output_size()]);
        let opened = self.0.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut buffer, Some(label)).ok()?;
        let mut key = Zeroizing::new([0; SESSION_KEY_BYTES]);
        if opened.len() != key.len() {
            return None;
        }
        key.copy_from_slice(opened);
        Some(key)
    }
}

/// Wraps PKCS#1 into PKCS#8 (RFC 5208): SEQUENCE { 0, rsaEncryption, OCTET STRING { pkcs1 } }.
fn pkcs8_from_pkcs1(pkcs1: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // Version 0 and the algorithm identifier 1.2.840.113549.1.1.1 with NULL parameters.
    const PREFIX: [u8; 18] =
        [0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let inner = u16::try_from(pkcs1.len()).ok()?;
    let outer = inner.checked_add(PREFIX.len() as u16 + 4)?;
    let mut der = Zeroizing::new(Vec::with_capacity(usize::from(outer) + 4));
    der.extend_from_slice(&[0x30, 0x82]);
    der.extend_from_slice(&outer.to_be_bytes());
    der.extend_from_slice(&PREFIX);
    der.extend_from_slice(&[0x04, 0x82]);
    der.extend_from_slice(&inner.to_be_bytes());
    der.extend_from_slice(pkcs1);
    Some(der)
}

/// The three parts of a value.
pub(super) struct Parts<'a> {
    pub(super) wrapped: &'a [u8],
    pub(super) ciphertext: &'a [u8],
}

/// Takes a value apart; `None` if it does not have this shape.
pub(super) fn parts(bytes: &[u8]) -> Option<Parts<'_>> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !MODULUS_BYTES.contains(&length) {
        return None;
    }
    let (wrapped, ciphertext) = rest.split_at_checked(length)?;
    (ciphertext.len() >= TAG_BYTES).then_some(Parts { wrapped, ciphertext })
}

/// Seals to a certificate.
pub(super) fn seal(certificate: &Certificate, plaintext: &Plaintext, binding: &Binding) -> Result<Vec<u8>, SealError> {
    let mut session_key = Zeroizing::new([0; SESSION_KEY_BYTES]);
    getrandom::fill(session_key.as_mut_slice()).map_err(|_| SealError::Failed)?;
    let key = certificate.encrypting_key()?;
    let length = u16::try_from(key.ciphertext_size()).map_err(|_| SealError::Failed)?;

    let mut sealed = Vec::with_capacity(2 + key.ciphertext_size() + plaintext.len() + TAG_BYTES);
    sealed.extend_from_slice(&length.to_be_bytes());
    let mut wrapped = vec![0; key.ciphertext_size()];
    let wrapped = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, session_key.as_slice(), &mut wrapped, Some(&binding.label()))
        .map_err(|_| SealError::Failed)?;
    sealed.extend_from_slice(wrapped);
    let start = sealed.len();
    sealed.extend_from_slice(plaintext.expose());
    let tag = cipher(&session_key)
        .and_then(|cipher| cipher.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed[start..]).ok())
        .ok_or(SealError::Failed)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens a value, trying keys whose modulus has the right length.
pub(super) fn open(keyring: &Keyring, bytes: &[u8], place: Place<'_>, declared: Scope) -> Result<Opened, Refusal> {
    let parts = parts(bytes).ok_or(Refusal::Corrupt { what: Damage::CutOff })?;
    if parts.ciphertext.len() > MAX_VALUE + TAG_BYTES {
        return Err(Refusal::Corrupt { what: Damage::TooLarge });
    }
    let label = Binding::new(declared, place, jiff::civil::Date::ZERO).label();
    let memory = fingerprint(parts.wrapped);
    let candidates = keyring.rsa_candidates(&memory);
    let tried = candidates.len();
    // One answer for a wrong key, a wrong label and altered bytes: which of them it was is nobody's business.
    candidates
        .into_iter()
        .find_map(|identity| open_with(keyring, identity, &parts, &label))
        .inspect(|opened| keyring.remember(memory, opened.key_id))
        .ok_or_else(|| refused(keyring, &parts, &label).unwrap_or(Refusal::NoKeyOpens { tried }))
}

/// Whether a key that does not open any more would have opened it. The session key is looked at and dropped.
fn refused(keyring: &Keyring, parts: &Parts<'_>, label: &[u8]) -> Option<Refusal> {
    let fits =
        |identity: &&Identity| identity.rsa().and_then(|rsa| rsa.session_key(keyring, parts.wrapped, label)).is_some();
    keyring.refused_rsa().iter().find(fits).and_then(|identity| keyring.refusal(&identity.key_id()))
}

/// As [`open`], with the same work whatever comes of it: every key of the right length is tried to the end, and the
/// content is decrypted even where no key opened it. Nothing is looked up in the keyring's memory or put into it.
pub(super) fn open_evenly(
    keyring: &Keyring,
    bytes: &[u8],
    place: Place<'_>,
    declared: Scope,
) -> Result<Opened, Refusal> {
    let parts = parts(bytes).ok_or(Refusal::Corrupt { what: Damage::CutOff })?;
    if parts.ciphertext.len() > MAX_VALUE + TAG_BYTES {
        return Err(Refusal::Corrupt { what: Damage::TooLarge });
    }
    let label = Binding::new(declared, place, jiff::civil::Date::ZERO).label();
    let (mut tried, mut key_id) = (0, None);
    let mut session_key = Zeroizing::new([0; SESSION_KEY_BYTES]);
    for identity in keyring.rsa() {
        tried += 1;
        if let Some(found) = identity.rsa().and_then(|rsa| rsa.session_key(keyring, parts.wrapped, &label)) {
            *session_key = *found;
            key_id = Some(identity.key_id());
        }
    }
    let plaintext = decrypt(&session_key, parts.ciphertext);
    match (plaintext, key_id) {
        (Some(plaintext), Some(key_id)) => Ok(Opened { plaintext, key_id, binding: None }),
        _ => Err(Refusal::NoKeyOpens { tried }),
    }
}

fn open_with(keyring: &Keyring, identity: &Identity, parts: &Parts<'_>, label: &[u8]) -> Option<Opened> {
    let session_key = identity.rsa()?.session_key(keyring, parts.wrapped, label)?;
    let plaintext = decrypt(&session_key, parts.ciphertext)?;
    Some(Opened { plaintext, key_id: identity.key_id(), binding: None })
}

fn decrypt(session_key: &Zeroizing<[u8; SESSION_KEY_BYTES]>, ciphertext: &[u8]) -> Option<Plaintext> {
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = cipher(session_key)?.open_in_place(nonce(), Aad::empty(), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(Plaintext::from_guarded(buffer))
}

fn cipher(key: &Zeroizing<[u8; SESSION_KEY_BYTES]>) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(LessSafeKey::new)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Names a wrapped session key: enough of its hash that no two live values meet.
fn fingerprint(wrapped: &[u8]) -> [u8; 16] {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&Sha256::digest(wrapped)[..16]);
    fingerprint
}
