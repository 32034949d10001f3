//! X-Wing, the key encapsulation of age's post-quantum recipients: ML-KEM-768 and X25519, joined by SHA3-256 so that
//! either alone keeps the secret (draft-connolly-cfrg-xwing-kem, KEM 0x647a of draft-ietf-hpke-pq).
//!
//! The two halves are libraries' (AWS-LC's ML-KEM, x25519-dalek's X25519); what is here is how a seed becomes their keys
//! and how their secrets are joined. The crate `hpke` has all of it, and expands the seed anew for each opening: the
//! tests hold this one against that one, both ways.

use aws_lc_rs::digest;
use aws_lc_rs::kem::{AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use ml_kem::ml_kem_768;
use shake::{ExtendableOutput as _, Shake256, Update as _, XofReader as _};
use x25519_dalek::{PublicKey as Share, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

/// An encapsulation key of ML-KEM-768; an X25519 key follows it.
const MLKEM_KEY_BYTES: usize = 1184;
/// The length of a public key.
pub(super) const KEY_BYTES: usize = MLKEM_KEY_BYTES + 32;
/// A ciphertext of ML-KEM-768; an X25519 share follows it.
const MLKEM_BYTES: usize = 1088;
/// The length of an encapsulated secret.
pub(super) const ENC_BYTES: usize = MLKEM_BYTES + 32;
/// Where an expanded decapsulation key of ML-KEM-768 holds the encapsulation key (FIPS 203, algorithm 16).
const KEY_IN_EXPANDED: std::ops::Range<usize> = 1152..1152 + MLKEM_KEY_BYTES;

const LABEL: &[u8; 6] = br"\.//^\";

/// A shared secret.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// The public half.
pub(super) struct PublicKey {
    bytes: Box<[u8; KEY_BYTES]>,
    mlkem: EncapsulationKey<AlgorithmId>,
    x25519: Share,
}

impl PublicKey {
    /// `None` for what is no key: a number out of its range.
    pub(super) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Option<Self> {
        let (mlkem, x25519) = bytes.split_first_chunk::<MLKEM_KEY_BYTES>()?;
        // FIPS 203 wants this check; AWS-LC looks at the length only.
        ml_kem_768::EncapsulationKey::new(mlkem.into()).ok()?;
        Some(Self {
            bytes: Box::new(*bytes),
            mlkem: EncapsulationKey::new(&ML_KEM_768, mlkem).ok()?,
            x25519: Share::from(<[u8; 32]>::try_from(x25519).ok()?),
        })
    }

    pub(super) const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// A fresh secret, and what tells it to the holder of the private half. `None` if the operating system has no
    /// randomness to give.
    pub(super) fn encapsulate(&self) -> Option<([u8; ENC_BYTES], Secret)> {
        let (ciphertext, of_mlkem) = self.mlkem.encapsulate().ok()?;
        let mut scalar = Zeroizing::new([0; 32]);
        getrandom::fill(scalar.as_mut_slice()).ok()?;
        let ephemeral = StaticSecret::from(*scalar);
        let share = Share::from(&ephemeral);
        let of_x25519 = ephemeral.diffie_hellman(&self.x25519);
        let mut enc = [0; ENC_BYTES];
        let (mlkem, x25519) = enc.split_at_mut(MLKEM_BYTES);
        (ciphertext.as_ref().len() == MLKEM_BYTES).then(|| mlkem.copy_from_slice(ciphertext.as_ref()))?;
        x25519.copy_from_slice(share.as_bytes());
        Some((enc, joined(of_mlkem.as_ref(), of_x25519.as_bytes(), &share, &self.x25519)))
    }
}

/// The private half, ready for use.
pub(super) struct PrivateKey {
    mlkem: DecapsulationKey<AlgorithmId>,
    x25519: StaticSecret,
    share: Share,
    public: [u8; KEY_BYTES],
}

impl PrivateKey {
    /// `None` cannot happen: any 32 bytes are a seed.
    pub(super) fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let mut reader = {
            let mut shake = Shake256::default();
            shake.update(seed);
            shake.finalize_xof()
        };
        let (mut of_mlkem, mut of_x25519) = (Zeroizing::new([0; 64]), Zeroizing::new([0; 32]));
        reader.read(of_mlkem.as_mut_slice());
        reader.read(of_x25519.as_mut_slice());
        let (mlkem, key) = expand(&of_mlkem)?;
        let x25519 = StaticSecret::from(*of_x25519);
        let share = Share::from(&x25519);
        let mut public = [0; KEY_BYTES];
        public[..MLKEM_KEY_BYTES].copy_from_slice(&key);
        public[MLKEM_KEY_BYTES..].copy_from_slice(share.as_bytes());
        Some(Self { mlkem, x25519, share, public })
    }

    pub(super) const fn public(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    /// The secret that was encapsulated. For what was not made for this key it is another one: ML-KEM rejects
    /// implicitly.
    pub(super) fn decapsulate(&self, enc: &[u8; ENC_BYTES]) -> Option<Secret> {
        let (ciphertext, share) = enc.split_first_chunk::<MLKEM_BYTES>()?;
        let share = Share::from(<[u8; 32]>::try_from(share).ok()?);
        let of_mlkem = self.mlkem.decapsulate(Ciphertext::from(ciphertext.as_slice())).ok()?;
        let of_x25519 = self.x25519.diffie_hellman(&share);
        Some(joined(of_mlkem.as_ref(), of_x25519.as_bytes(), &share, &self.share))
    }
}

/// ML-KEM's key pair from its seed.
#[expect(deprecated, reason = "AWS-LC takes keys in this form only; it is made here and never read from outside")]
fn expand(seed: &[u8; 64]) -> Option<(DecapsulationKey<AlgorithmId>, [u8; MLKEM_KEY_BYTES])> {
    use ml_kem::ExpandedKeyEncoding as _;
    let mut expanded = ml_kem_768::DecapsulationKey::from_seed((*seed).into()).to_expanded_bytes();
    let key = DecapsulationKey::new(&ML_KEM_768, &expanded).ok();
    let public = expanded.get(KEY_IN_EXPANDED).and_then(|key| key.try_into().ok());
    expanded.as_mut_slice().zeroize();
    key.zip(public)
}

/// The combiner: both secrets, and of X25519 also what they were made from.
fn joined(of_mlkem: &[u8], of_x25519: &[u8; 32], share: &Share, recipient: &Share) -> Secret {
    let mut hash = digest::Context::new(&digest::SHA3_256);
    for part in [of_mlkem, of_x25519, share.as_bytes(), recipient.as_bytes(), LABEL] {
        hash.update(part);
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(hash.finish().as_ref());
    secret
}
