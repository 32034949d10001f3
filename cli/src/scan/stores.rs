//! Private keys in files that are no text: key stores, and DER as it is.

use super::hit::Hit;
use super::rules::{KEY_STORE, PRIVATE_KEY};
use crate::findings::Rule;

/// What files of this kind begin with, `None` being any byte.
type Beginning = &'static [Option<u8>];

const fn any() -> Option<u8> {
    None
}

const fn is(byte: u8) -> Option<u8> {
    Some(byte)
}

/// A key store of Java: its mark, version 2, any number of entries, of which the first is a private key, not a certificate.
const fn of_java([a, b, c, d]: [u8; 4]) -> [Option<u8>; 16] {
    let (none, any) = (is(0), any());
    [is(a), is(b), is(c), is(d), none, none, none, is(2), any, any, any, any, none, none, none, is(1)]
}

/// Beginnings, and what they are of.
const KINDS: [(&Rule, &str, Beginning); 8] = [
    // version 3, then a sequence
    (&KEY_STORE, "a key store in PKCS #12", &[is(0x30), is(0x82), any(), any(), is(2), is(1), is(3), is(0x30)]),
    (&KEY_STORE, "a database of KeePass", &[is(3), is(0xd9), is(0xa2), is(0x9a), any(), is(0xfb), is(0x4b), is(0xb5)]),
    (&KEY_STORE, "a key store of Java", &of_java([0xfe, 0xed, 0xfe, 0xed])),
    (&KEY_STORE, "a key store of Java", &of_java([0xce, 0xce, 0xce, 0xce])),
    // version 0, then the algorithm: rsaEncryption, or an elliptic curve
    (
        &PRIVATE_KEY,
        "a private key in DER",
        &[
            is(0x30),
            is(0x82),
            any(),
            any(),
            is(2),
            is(1),
            is(0),
            is(0x30),
            is(0x0d),
            is(6),
            is(9),
            is(0x2a),
            is(0x86),
            is(0x48),
            is(0x86),
            is(0xf7),
        ],
    ),
    (
        &PRIVATE_KEY,
        "a private key in DER",
        &[
            is(0x30),
            is(0x81),
            any(),
            is(2),
            is(1),
            is(0),
            is(0x30),
            is(0x13),
            is(6),
            is(7),
            is(0x2a),
            is(0x86),
            is(0x48),
            is(0xce),
            is(0x3d),
        ],
    ),
    // version 0, then the modulus
    (
        &PRIVATE_KEY,
        "an RSA private key in DER",
        &[is(0x30), is(0x82), any(), any(), is(2), is(1), is(0), is(2), is(0x82), any(), any(), is(0)],
    ),
    // version 1, then 32 bytes
    (&PRIVATE_KEY, "an EC private key in DER", &[is(0x30), is(0x77), is(2), is(1), is(1), is(4), is(0x20)]),
];

/// Shorter ones are cut off.
const SHORTEST: usize = 100;

/// Whether a file that is no text is worth a look.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    kind(bytes).is_some()
}

/// What a file is, if it is one of these.
pub(super) fn find(bytes: &[u8]) -> Option<Hit> {
    let (rule, what, _) = kind(bytes)?;
    Some(Hit { line: 1, column: 1, ..Hit::new(rule, 0..bytes.len(), *what, bytes) })
}

fn kind(bytes: &[u8]) -> Option<&'static (&'static Rule, &'static str, Beginning)> {
    let begins = |beginning: Beginning| {
        let pairs = beginning.iter().zip(bytes);
        bytes.len() >= SHORTEST && pairs.into_iter().all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte))
    };
    KINDS.iter().find(|(_, _, beginning)| begins(beginning))
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

    use super::find;

    #[test]
    fn keys_are_told_from_certificates_by_their_first_bytes() {
        let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a.b".to_owned()]).unwrap().self_signed(&ec).unwrap();
        assert!(find(&ec.serialize_der()).is_some() && find(&rsa.serialize_der()).is_some());
        assert!(find(certificate.der()).is_none());
        let java =
            |entry: u8| [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, entry][..], &[7; 200]].concat();
        assert!(find(&java(1)).is_some() && find(&java(2)).is_none());
        assert!(find(&java(1)[..50]).is_none());
    }
}
