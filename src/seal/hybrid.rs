//! age's post-quantum recipient, `mlkem768x25519`: HPKE (RFC 9180) in base mode with the KEM X-Wing (0x647a,
//! draft-ietf-hpke-pq), HKDF-SHA256 and ChaCha20-Poly1305. Source: C2SP `age.md`, age 1.3.
//!
//! The age crate that the rest builds on does not have it; its `Recipient` and `Identity` traits are made for that.

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::{FromBase32 as _, ToBase32 as _, Variant};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use zeroize::{Zeroize as _, Zeroizing};

/// The stanza's type, compared exactly.
pub(super) const TAG: &str = "mlkem768x25519";
/// The human-readable part of a recipient: recipients begin `age1pq1`.
pub(super) const RECIPIENT_HRP: &str = "age1pq";
/// The human-readable part of an identity, in lower case as Bech32 compares it.
pub(super) const IDENTITY_HRP: &str = "age-secret-key-pq-";

const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// ML-KEM-768 ciphertext (1088 bytes) and the ephemeral X25519 share (32 bytes).
const ENC_BYTES: usize = 1088 + 32;
const WRAPPED_BYTES: usize = FILE_KEY_BYTES + 16;

/// The public half.
#[derive(Clone)]
pub(super) struct HybridRecipient(Box<<XWing as Kem>::PublicKey>);

impl HybridRecipient {
    /// From the 1216 bytes of the recipient.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).ok()?;
        Some(Self(Box::new(key)))
    }

    pub(super) fn to_text(&self) -> String {
        bech32::encode(RECIPIENT_HRP, self.0.to_bytes().to_base32(), Variant::Bech32).unwrap_or_default()
    }

    /// Wraps the file key; `None` if the library refuses, which it has no documented case for.
    pub(super) fn wrap(&self, file_key: &FileKey) -> Option<Stanza> {
        let (enc, body) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.0,
            INFO,
            file_key.expose_secret(),
            &[],
        )
        .ok()?;
        Some(Stanza { tag: TAG.to_owned(), args: vec![STANDARD_NO_PAD.encode(enc.to_bytes())], body })
    }
}

/// The private half: a seed of 32 bytes, from which the library expands both keys at each use.
pub(super) struct HybridIdentity {
    seed: Zeroizing<[u8; 32]>,
}

impl HybridIdentity {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self { seed })
    }

    /// From the text `AGE-SECRET-KEY-PQ-1...`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (hrp, data, variant) = bech32::decode(text).ok()?;
        if hrp != IDENTITY_HRP || variant != Variant::Bech32 {
            return None;
        }
        let bytes = Zeroizing::new(Vec::<u8>::from_base32(&data).ok()?);
        let mut seed = Zeroizing::new([0; 32]);
        if bytes.len() != seed.len() {
            return None;
        }
        seed.copy_from_slice(&bytes);
        Some(Self { seed })
    }

    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut lower = bech32::encode(IDENTITY_HRP, self.seed.to_base32(), Variant::Bech32).unwrap_or_default();
        let upper = Zeroizing::new(lower.to_uppercase());
        lower.zeroize();
        upper
    }

    pub(super) fn seed(&self) -> &[u8] {
        self.seed.as_slice()
    }

    pub(super) fn recipient(&self) -> Option<HybridRecipient> {
        Some(HybridRecipient(Box::new(XWing::sk_to_pk(&self.private_key()?))))
    }

    fn private_key(&self) -> Option<<XWing as Kem>::PrivateKey> {
        <XWing as Kem>::PrivateKey::from_bytes(self.seed.as_slice()).ok()
    }

    /// Unwraps one stanza: `None` if it is not for this key, `Some(Err)` if the header is broken.
    pub(super) fn unwrap(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        if stanza.tag != TAG {
            return None;
        }
        let Some(enc) = encapsulated(stanza) else {
            return Some(Err(age::DecryptError::InvalidHeader));
        };
        // ML-KEM rejects implicitly, so a wrong key shows only as a failed authentication: not for this key.
        let file_key = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.private_key()?,
            &enc,
            INFO,
            &stanza.body,
            &[],
        )
        .ok()?;
        let file_key = Zeroizing::new(file_key);
        if file_key.len() != FILE_KEY_BYTES {
            return Some(Err(age::DecryptError::InvalidHeader));
        }
        Some(Ok(FileKey::init_with_mut(|slot| slot.copy_from_slice(&file_key))))
    }
}

/// Checks everything that the specification wants checked before a private key is used.
fn encapsulated(stanza: &Stanza) -> Option<<XWing as Kem>::EncappedKey> {
    let [enc] = stanza.args.as_slice() else {
        return None;
    };
    if enc.len() > ENC_BYTES * 2 || stanza.body.len() != WRAPPED_BYTES {
        return None;
    }
    let enc = STANDARD_NO_PAD.decode(enc).ok()?;
    let share = enc.get(1088..ENC_BYTES)?;
    if enc.len() != ENC_BYTES || is_low_order(share) {
        return None;
    }
    <XWing as Kem>::EncappedKey::from_bytes(&enc).ok()
}

/// Whether an X25519 share makes the shared secret all zero for every scalar (RFC 7748 §6.1). The top bit is ignored,
/// as X25519 does. The points: u = 0 and 1, the two of order 8, and p-1, p, p+1.
fn is_low_order(share: &[u8]) -> bool {
    let Ok(mut share) = <[u8; 32]>::try_from(share) else {
        return true;
    };
    share[31] &= 0x7f;
    LOW_ORDER.contains(&share)
}

const LOW_ORDER: [[u8; 32]; 7] = {
    const fn near_p(first: u8) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        bytes[0] = first;
        bytes[31] = 0x7f;
        bytes
    }
    let mut one = [0; 32];
    one[0] = 1;
    [
        [0; 32],
        one,
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
            0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
            0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
    ]
};

#[cfg(test)]
mod tests {
    use super::{LOW_ORDER, is_low_order};

    #[test]
    fn every_listed_point_gives_an_all_zero_secret_and_an_ordinary_one_does_not() {
        let scalar = [0x42; 32];
        for point in LOW_ORDER {
            assert_eq!(x25519_dalek::x25519(scalar, point), [0; 32], "{point:02x?}");
            let mut high_bit = point;
            high_bit[31] |= 0x80;
            assert!(is_low_order(&high_bit));
        }
        assert!(!is_low_order(&x25519_dalek::X25519_BASEPOINT_BYTES));
        assert!(is_low_order(&[9; 31]), "a share of the wrong length is refused, not indexed");
    }
}
