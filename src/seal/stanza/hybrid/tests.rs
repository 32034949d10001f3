//! Held against the crate `hpke`, an implementation of the same standards by others.

use hpke::aead::ChaCha20Poly1305 as Aead;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use proptest::prelude::*;

use super::*;

fn file_key(bytes: [u8; FILE_KEY_BYTES]) -> FileKey {
    FileKey::init_with_mut(|key| key.copy_from_slice(&bytes))
}

fn theirs(seed: [u8; 32]) -> (<XWing as Kem>::PrivateKey, <XWing as Kem>::PublicKey) {
    let private = <XWing as Kem>::PrivateKey::from_bytes(&seed).unwrap();
    let public = XWing::sk_to_pk(&private);
    (private, public)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_one_wraps_the_other_unwraps(seed in any::<[u8; 32]>(), key in any::<[u8; FILE_KEY_BYTES]>()) {
        let ours = HybridIdentity::from_seed(Zeroizing::new(seed)).unwrap();
        let (private, public) = theirs(seed);
        let (bytes, recipient) = (public.to_bytes(), ours.recipient());
        prop_assert_eq!(bytes.as_slice(), recipient.0.as_bytes());

        let Wrapped { enc, body } = ours.recipient().wrap(&file_key(key)).unwrap();
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc.as_slice()).unwrap();
        let opened = hpke::single_shot_open::<Aead, HkdfSha256, XWing>(&OpModeR::Base, &private, &enc, INFO, &body, &[]);
        prop_assert_eq!(opened.unwrap(), key);

        let sealed = hpke::single_shot_seal::<Aead, HkdfSha256, XWing>(&OpModeS::Base, &public, INFO, &key, &[]);
        let (enc, body) = sealed.unwrap();
        let enc: [u8; ENC_BYTES] = enc.to_bytes().as_slice().try_into().unwrap();
        let wrapped = Wrapped { enc: Box::new(enc), body: body.try_into().unwrap() };
        let opened = ours.unwrap(&wrapped).unwrap();
        prop_assert_eq!(opened.expose_secret(), &key);
    }

    /// Every byte counts, and another key is no use.
    #[test]
    fn what_was_altered_does_not_unwrap(seed in any::<[u8; 32]>(), at in 0..ENC_BYTES + WRAPPED_BYTES, bit in 0_u8..8) {
        let ours = HybridIdentity::from_seed(Zeroizing::new(seed)).unwrap();
        let mut wrapped = ours.recipient().wrap(&file_key([7; FILE_KEY_BYTES])).unwrap();
        let other = HybridIdentity::generate().unwrap();
        prop_assert!(other.unwrap(&wrapped).is_none());
        let byte = if at < ENC_BYTES { &mut wrapped.enc[at] } else { &mut wrapped.body[at - ENC_BYTES] };
        *byte ^= 1 << bit;
        // X25519 ignores the highest bit of a share; the combiner does not.
        prop_assert!(ours.unwrap(&wrapped).is_none());
    }
}

/// Both refuse the same public keys: numbers of ML-KEM's that are out of their range.
#[test]
fn public_keys_out_of_range_are_refused() {
    let good = *HybridIdentity::generate().unwrap().recipient().0.as_bytes();
    for (at, value) in [(0, 0xff), (1, 0xff), (600, 0xff), (1183, 0xff), (1184, 0xff)] {
        let mut bytes = good;
        bytes[at] = value;
        if at % 3 == 0 && at + 1 < KEY_BYTES {
            bytes[at + 1] |= 0x0f;
        }
        let is_key = <XWing as Kem>::PublicKey::from_bytes(&bytes).is_ok();
        assert_eq!(HybridRecipient::from_bytes(&bytes).is_some(), is_key, "{at}");
    }
    let all_out = [0xff; KEY_BYTES];
    assert!(HybridRecipient::from_bytes(&all_out).is_none());
    assert!(HybridRecipient::from_bytes(&good[1..]).is_none());
}
