//! age's `X25519` recipient: a Diffie-Hellman exchange (RFC 7748), HKDF-SHA256 and ChaCha20-Poly1305.

use age_core::format::{FILE_KEY_BYTES, FileKey};
use age_core::secrecy::ExposeSecret as _;
use bech32::{FromBase32 as _, ToBase32 as _, Variant};
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::header::fixed;
use super::{WRAPPED_BYTES, derive};

/// The stanza's type, compared exactly.
pub(in crate::seal) const TAG: &str = "X25519";
/// The human-readable part of a recipient: recipients begin `age1`.
pub(in crate::seal) const RECIPIENT_HRP: &str = "age";
/// The human-readable part of an identity, in lower case as Bech32 compares it.
const IDENTITY_HRP: &str = "age-secret-key-";

const INFO: &[u8] = b"age-encryption.org/v1/X25519";

/// The file key, wrapped for one recipient.
pub(in crate::seal) struct Wrapped {
    pub(super) share: [u8; 32],
    pub(super) body: [u8; WRAPPED_BYTES],
}

impl Wrapped {
    pub(super) fn read(arguments: &str, body: &[u8]) -> Option<Self> {
        let share = fixed(arguments.as_bytes()).filter(|share| !is_low_order(*share))?;
        Some(Self { share, body: body.try_into().ok()? })
    }
}

/// The public half.
#[derive(Clone)]
pub(in crate::seal) struct X25519Recipient(PublicKey);

impl X25519Recipient {
    /// From the 32 bytes of the recipient; `None` also for the few that would make every value readable.
    pub(in crate::seal) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        (!is_low_order(bytes)).then(|| Self(PublicKey::from(bytes)))
    }

    pub(in crate::seal) fn to_text(&self) -> String {
        bech32::encode(RECIPIENT_HRP, self.0.as_bytes().to_base32(), Variant::Bech32).unwrap_or_default()
    }

    /// Wraps the file key; `None` if the operating system has no randomness to give.
    pub(in crate::seal) fn wrap(&self, file_key: &FileKey) -> Option<Wrapped> {
        let mut scalar = Zeroizing::new([0; 32]);
        getrandom::fill(scalar.as_mut_slice()).ok()?;
        let ephemeral = StaticSecret::from(*scalar);
        let share = PublicKey::from(&ephemeral);
        let cipher = cipher(&ephemeral.diffie_hellman(&self.0), &share, &self.0)?;
        let mut body = [0; WRAPPED_BYTES];
        let (key, tag) = body.split_at_mut(FILE_KEY_BYTES);
        key.copy_from_slice(file_key.expose_secret());
        tag.copy_from_slice(&cipher.encrypt_inout_detached(&Nonce::default(), &[], key.into()).ok()?);
        Some(Wrapped { share: share.to_bytes(), body })
    }
}

/// The private half, with the public one beside it: each opening needs both.
pub(in crate::seal) struct X25519Identity {
    secret: StaticSecret,
    public: PublicKey,
}

impl X25519Identity {
    pub(in crate::seal) fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self::from_bytes(&secret))
    }

    fn from_bytes(secret: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*secret);
        Self { public: PublicKey::from(&secret), secret }
    }

    /// From the text `AGE-SECRET-KEY-1...`.
    pub(in crate::seal) fn parse(text: &str) -> Option<Self> {
        Some(Self::from_bytes(&*identity_bytes(text, IDENTITY_HRP)?))
    }

    pub(in crate::seal) fn to_text(&self) -> Zeroizing<String> {
        identity_text(self.secret.as_bytes(), IDENTITY_HRP)
    }

    pub(in crate::seal) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    pub(in crate::seal) const fn recipient(&self) -> X25519Recipient {
        X25519Recipient(self.public)
    }

    /// Unwraps the file key; `None` if it is not for this key.
    pub(in crate::seal) fn unwrap(&self, wrapped: &Wrapped) -> Option<FileKey> {
        let share = PublicKey::from(wrapped.share);
        let cipher = cipher(&self.secret.diffie_hellman(&share), &share, &self.public)?;
        let (key, tag) = wrapped.body.split_first_chunk::<FILE_KEY_BYTES>()?;
        let tag = Tag::try_from(tag).ok()?;
        FileKey::try_init_with_mut(|file_key| {
            file_key.copy_from_slice(key);
            cipher.decrypt_inout_detached(&Nonce::default(), &[], file_key.as_mut_slice().into(), &tag)
        })
        .ok()
    }
}

fn cipher(shared: &SharedSecret, share: &PublicKey, recipient: &PublicKey) -> Option<ChaCha20Poly1305> {
    if !shared.was_contributory() {
        return None;
    }
    let mut salt = [0; 64];
    salt[..32].copy_from_slice(share.as_bytes());
    salt[32..].copy_from_slice(recipient.as_bytes());
    let key = derive(shared.as_bytes(), Some(&salt), INFO)?;
    ChaCha20Poly1305::new_from_slice(key.as_slice()).ok()
}

/// Reads the 32 bytes of an identity. age writes and reads them in capitals only.
pub(super) fn identity_bytes(text: &str, hrp: &str) -> Option<Zeroizing<[u8; 32]>> {
    // Bounds the work: both kinds are shorter.
    if text.len() > 128 || text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let (found, mut data, variant) = bech32::decode(text).ok()?;
    let bytes = Vec::<u8>::from_base32(&data).map(Zeroizing::new);
    data.fill(bech32::u5::default());
    let bytes = bytes.ok()?;
    let mut identity = Zeroizing::new([0; 32]);
    if found != hrp || variant != Variant::Bech32 || bytes.len() != identity.len() {
        return None;
    }
    identity.copy_from_slice(&bytes);
    Some(identity)
}

/// Writes an identity, in capitals.
pub(super) fn identity_text(bytes: &[u8; 32], hrp: &str) -> Zeroizing<String> {
    let mut lower = bech32::encode(hrp, bytes.to_base32(), Variant::Bech32).unwrap_or_default();
    let upper = Zeroizing::new(lower.to_uppercase());
    lower.zeroize();
    upper
}

/// Whether an X25519 share makes the shared secret all zero for every scalar (RFC 7748 §6.1). The top bit is ignored,
/// as X25519 does. The points: u = 0 and 1, the two of order 8, and p-1, p, p+1.
pub(super) fn is_low_order(mut share: [u8; 32]) -> bool {
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
            assert!(is_low_order(high_bit));
        }
        assert!(!is_low_order(x25519_dalek::X25519_BASEPOINT_BYTES));
    }
}
