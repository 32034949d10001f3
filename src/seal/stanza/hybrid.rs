//! age's post-quantum recipient, `mlkem768x25519`: HPKE (RFC 9180) in base mode with the KEM X-Wing (0x647a,
//! draft-ietf-hpke-pq), HKDF-SHA256 and ChaCha20-Poly1305. Source: C2SP `age.md`, age 1.3.

use age_core::format::{FILE_KEY_BYTES, FileKey};
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::{ToBase32 as _, Variant};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use zeroize::Zeroizing;

use super::WRAPPED_BYTES;
use super::x25519::{identity_bytes, identity_text, is_low_order};

/// The stanza's type, compared exactly.
pub(in crate::seal) const TAG: &str = "mlkem768x25519";
/// The human-readable part of a recipient: recipients begin `age1pq1`.
pub(in crate::seal) const RECIPIENT_HRP: &str = "age1pq";
/// The human-readable part of an identity, in lower case as Bech32 compares it.
const IDENTITY_HRP: &str = "age-secret-key-pq-";

const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// A ciphertext of ML-KEM-768; an X25519 share follows it.
const MLKEM_BYTES: usize = 1088;
const ENC_BYTES: usize = MLKEM_BYTES + 32;
/// `ENC_BYTES` in base64 without padding.
const ENC_CHARACTERS: usize = 1494;

/// The file key, wrapped for one recipient.
pub(in crate::seal) struct Wrapped {
    pub(super) enc: Vec<u8>,
    pub(super) body: [u8; WRAPPED_BYTES],
}

impl Wrapped {
    /// Checks everything that the specification wants checked before a private key is used.
    pub(super) fn read(arguments: &str, body: &[u8]) -> Option<Self> {
        let body = body.try_into().ok()?;
        let enc = (arguments.len() == ENC_CHARACTERS).then(|| STANDARD_NO_PAD.decode(arguments).ok()).flatten()?;
        let share = enc.get(MLKEM_BYTES..ENC_BYTES)?.try_into().ok()?;
        (enc.len() == ENC_BYTES && !is_low_order(share)).then_some(Self { enc, body })
    }
}

/// The public half.
#[derive(Clone)]
pub(in crate::seal) struct HybridRecipient(Box<<XWing as Kem>::PublicKey>);

impl HybridRecipient {
    /// From the 1216 bytes of the recipient.
    pub(in crate::seal) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).ok()?;
        Some(Self(Box::new(key)))
    }

    pub(in crate::seal) fn to_text(&self) -> String {
        bech32::encode(RECIPIENT_HRP, self.0.to_bytes().to_base32(), Variant::Bech32).unwrap_or_default()
    }

    /// Wraps the file key; `None` if the library refuses, which it has no documented case for.
    pub(in crate::seal) fn wrap(&self, file_key: &FileKey) -> Option<Wrapped> {
        let (enc, body) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.0,
            INFO,
            file_key.expose_secret(),
            &[],
        )
        .ok()?;
        Some(Wrapped { enc: enc.to_bytes().to_vec(), body: body.try_into().ok()? })
    }
}

/// The private half: a seed of 32 bytes, and the library's form of it, which wipes itself and which costs half of an
/// opening to make.
pub(in crate::seal) struct HybridIdentity {
    seed: Zeroizing<[u8; 32]>,
    key: Box<<XWing as Kem>::PrivateKey>,
}

impl HybridIdentity {
    pub(in crate::seal) fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Self::from_seed(seed).ok_or(getrandom::Error::UNEXPECTED)
    }

    /// `None` cannot happen: any 32 bytes are a seed.
    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Option<Self> {
        let key = <XWing as Kem>::PrivateKey::from_bytes(seed.as_slice()).ok()?;
        Some(Self { seed, key: Box::new(key) })
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
        HybridRecipient(Box::new(XWing::sk_to_pk(&self.key)))
    }

    /// Unwraps the file key; `None` if it is not for this key. ML-KEM rejects implicitly, so a wrong key shows only as
    /// a failed authentication.
    pub(in crate::seal) fn unwrap(&self, wrapped: &Wrapped) -> Option<FileKey> {
        let enc = <XWing as Kem>::EncappedKey::from_bytes(&wrapped.enc).ok()?;
        let file_key = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.key,
            &enc,
            INFO,
            &wrapped.body,
            &[],
        );
        let opened = Zeroizing::new(file_key.ok()?);
        if opened.len() != FILE_KEY_BYTES {
            return None;
        }
        Some(FileKey::init_with_mut(|file_key| file_key.copy_from_slice(&opened)))
    }
}
