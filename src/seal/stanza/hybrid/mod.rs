//! age's post-quantum recipient, `mlkem768x25519`: HPKE (RFC 9180) in base mode with the KEM X-Wing (0x647a,
//! draft-ietf-hpke-pq), HKDF-SHA256 and ChaCha20-Poly1305. Source: C2SP `age.md`, age 1.3.

use std::sync::Arc;

use age_core::format::{FILE_KEY_BYTES, FileKey};
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::{ToBase32 as _, Variant};
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::WRAPPED_BYTES;
use super::x25519::{identity_bytes, identity_text, is_low_order};
use super::xwing::{ENC_BYTES, KEY_BYTES, PrivateKey, PublicKey, Secret};

/// The stanza's type, compared exactly.
pub(in crate::seal) const TAG: &str = "mlkem768x25519";
/// The human-readable part of a recipient: recipients begin `age1pq1`.
pub(in crate::seal) const RECIPIENT_HRP: &str = "age1pq";
/// The human-readable part of an identity, in lower case as Bech32 compares it.
const IDENTITY_HRP: &str = "age-secret-key-pq-";

const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// What HPKE puts into every derivation: "HPKE", then the numbers of X-Wing, HKDF-SHA256 and ChaCha20-Poly1305.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
/// `ENC_BYTES` in base64 without padding.
const ENC_CHARACTERS: usize = 1494;

/// The file key, wrapped for one recipient.
pub(in crate::seal) struct Wrapped {
    pub(super) enc: Box<[u8; ENC_BYTES]>,
    pub(super) body: [u8; WRAPPED_BYTES],
}

impl Wrapped {
    /// Checks everything that the specification wants checked before a private key is used.
    pub(super) fn read(arguments: &str, body: &[u8]) -> Option<Self> {
        let body = body.try_into().ok()?;
        let enc = (arguments.len() == ENC_CHARACTERS).then(|| STANDARD_NO_PAD.decode(arguments).ok()).flatten()?;
        let enc: Box<[u8; ENC_BYTES]> = enc.try_into().ok()?;
        let share = *enc.last_chunk()?;
        (!is_low_order(share)).then_some(Self { enc, body })
    }
}

/// The public half.
#[derive(Clone)]
pub(in crate::seal) struct HybridRecipient(Arc<PublicKey>);

impl HybridRecipient {
    /// From the 1216 bytes of the recipient.
    pub(in crate::seal) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        PublicKey::from_bytes(bytes).map(Arc::new).map(Self)
    }

    pub(in crate::seal) fn to_text(&self) -> String {
        bech32::encode(RECIPIENT_HRP, self.0.as_bytes().to_base32(), Variant::Bech32).unwrap_or_default()
    }

    /// Wraps the file key; `None` if the operating system has no randomness to give.
    pub(in crate::seal) fn wrap(&self, file_key: &FileKey) -> Option<Wrapped> {
        let (enc, secret) = self.0.encapsulate()?;
        let (cipher, nonce) = keyed(&secret)?;
        let mut body = [0; WRAPPED_BYTES];
        let (key, tag) = body.split_at_mut(FILE_KEY_BYTES);
        key.copy_from_slice(file_key.expose_secret());
        tag.copy_from_slice(&cipher.encrypt_inout_detached(&nonce, &[], key.into()).ok()?);
        Some(Wrapped { enc: Box::new(enc), body })
    }
}

/// The private half: a seed of 32 bytes, and the key that it expands to, which costs half of an opening to make.
pub(in crate::seal) struct HybridIdentity {
    seed: Zeroizing<[u8; 32]>,
    key: PrivateKey,
    recipient: HybridRecipient,
}

impl HybridIdentity {
    pub(in crate::seal) fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Self::from_seed(seed).ok_or(getrandom::Error::UNEXPECTED)
    }

    /// `None` cannot happen: any 32 bytes are a seed.
    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Option<Self> {
        let key = PrivateKey::from_seed(&seed)?;
        let recipient = HybridRecipient::from_bytes(key.public())?;
        Some(Self { seed, key, recipient })
    }

    /// From the text `AGE-SECRET-KEY-PQ-1...`.
    pub(in crate::seal) fn parse(text: &str) -> Option<Self> {
        identity_bytes(text, IDENTITY_HRP).and_then(Self::from_seed)
    }

    pub(in crate::seal) fn to_text(&self) -> Zeroizing<String> {
        identity_text(&self.seed, IDENTITY_HRP)
    }

    pub(in crate::seal) fn secret(&self) -> &[u8] {
        self.seed.as_slice()
    }

    pub(in crate::seal) fn recipient(&self) -> HybridRecipient {
        self.recipient.clone()
    }

    /// Unwraps the file key; `None` if it is not for this key. ML-KEM rejects implicitly, so a wrong key shows only as
    /// a failed authentication.
    pub(in crate::seal) fn unwrap(&self, wrapped: &Wrapped) -> Option<FileKey> {
        let (cipher, nonce) = keyed(&self.key.decapsulate(&wrapped.enc)?)?;
        let (key, tag) = wrapped.body.split_first_chunk::<FILE_KEY_BYTES>()?;
        let tag = Tag::try_from(tag).ok()?;
        FileKey::try_init_with_mut(|file_key| {
            file_key.copy_from_slice(key);
            cipher.decrypt_inout_detached(&nonce, &[], file_key.as_mut_slice().into(), &tag)
        })
        .ok()
    }
}

/// HPKE's key schedule in base mode (RFC 9180 §5.1), and the nonce of its first message, the only one here.
fn keyed(shared: &Secret) -> Option<(ChaCha20Poly1305, Nonce)> {
    const BASE_MODE: u8 = 0;
    let (psk_id, info) = (extracted(&[], b"psk_id_hash", &[]).0, extracted(&[], b"info_hash", INFO).0);
    let context = [&[BASE_MODE], psk_id.as_slice(), info.as_slice()].concat();
    let secret = extracted(shared.as_slice(), b"secret", &[]).1;
    let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
    for (name, out) in [(&b"key"[..], key.as_mut_slice()), (&b"base_nonce"[..], nonce.as_mut_slice())] {
        let length = u16::try_from(out.len()).ok()?.to_be_bytes();
        secret.expand_multi_info(&[&length, b"HPKE-v1", SUITE, name, &context], out).ok()?;
    }
    Some((ChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?, Nonce::from(nonce)))
}

/// RFC 9180's `LabeledExtract`: the bytes, and what they expand to.
fn extracted(salt: &[u8], name: &[u8], input: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let labelled = Zeroizing::new([b"HPKE-v1", SUITE, name, input].concat());
    let (bytes, key) = Hkdf::<Sha256>::extract(Some(salt), &labelled);
    (bytes.into(), key)
}

#[cfg(test)]
mod tests;
