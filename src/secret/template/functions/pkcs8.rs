//! Private keys as PKCS #8, in the one form that Go writes, from every form that Go reads.

use aws_lc_rs::{
    encoding::AsBigEndian as _,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

use super::der::{self, BIT_STRING, EXPLICIT_1, Elements, INTEGER, NULL, OCTETS, OID, SEQUENCE};

pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A curve of NIST with what goes with it.
pub(super) struct Curve {
    /// Its name in a JWK.
    pub(super) name: &'static str,
    /// Its object identifier.
    pub(super) oid: &'static [u8],
    /// Bytes of a coordinate.
    pub(super) size: usize,
    /// By which the library looks at a public point.
    pub(super) verification: &'static EcdsaVerificationAlgorithm,
    /// The algorithm by which the library knows the curve.
    pub(super) algorithm: &'static EcdsaSigningAlgorithm,
}

pub(super) static CURVES: [Curve; 3] = [
    Curve {
        name: "P-256",
        oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        size: 32,
        algorithm: &ECDSA_P256_SHA256_ASN1_SIGNING,
        verification: &ECDSA_P256_SHA256_ASN1,
    },
    Curve {
        name: "P-384",
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x22],
        size: 48,
        algorithm: &ECDSA_P384_SHA384_ASN1_SIGNING,
        verification: &ECDSA_P384_SHA384_ASN1,
    },
    Curve {
        name: "P-521",
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x23],
        size: 66,
        algorithm: &ECDSA_P521_SHA512_ASN1_SIGNING,
        verification: &ECDSA_P521_SHA512_ASN1,
    },
];

/// Smallest RSA modulus that the cryptographic library looks at, in bytes; smaller ones are only checked for their form.
const CHECKED_MODULUS: usize = 256;

/// A private key that was understood.
pub(super) enum PrivateKey {
    /// RSA, as PKCS #1.
    Rsa(Zeroizing<Vec<u8>>),
    /// On a curve of NIST.
    Curve(&'static Curve, EcdsaKeyPair),
    /// Ed25519.
    Edwards(Zeroizing<Vec<u8>>),
}

impl PrivateKey {
    /// Reads PKCS #1, PKCS #8 or SEC 1, in Go's order.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Self::from_pkcs1(bytes).or_else(|| Self::from_pkcs8(bytes)).or_else(|| Self::from_sec1(bytes, None))
    }

    /// Reads PKCS #8.
    pub(super) fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        let mut info = der::only(bytes, SEQUENCE)?;
        info.number()?;
        let mut algorithm = info.inside(SEQUENCE)?;
        let key = info.next(OCTETS)?;
        match algorithm.next(OID)? {
            RSA => Self::from_pkcs1(key),
            EC => {
                let named = algorithm.next(OID);
                Self::from_sec1(key, CURVES.iter().find(|curve| named == Some(curve.oid)))
            }
            ED25519 => {
                let mut elements = Elements::of(key);
                Self::from_seed(elements.next(OCTETS)?)
            }
            _ => None,
        }
    }

    /// Reads an RSA key as PKCS #1: a version and eight numbers.
    pub(super) fn from_pkcs1(bytes: &[u8]) -> Option<Self> {
        let mut key = der::only(bytes, SEQUENCE)?;
        if key.number()? != 0 {
            return None;
        }
        let modulus = key.next(INTEGER)?;
        for _ in 0..7 {
            key.next(INTEGER)?;
        }
        let is_sound = modulus.len() < CHECKED_MODULUS || RsaKeyPair::from_der(bytes).is_ok();
        (key.is_empty() && is_sound).then(|| Self::Rsa(Zeroizing::new(bytes.to_vec())))
    }

    /// Reads a key on a curve as SEC 1; the curve may stand outside.
    fn from_sec1(bytes: &[u8], outside: Option<&'static Curve>) -> Option<Self> {
        let mut key = der::only(bytes, SEQUENCE)?;
        key.number().filter(|version| *version == 1)?;
        let scalar = key.next(OCTETS)?;
        let inside = key.inside(der::EXPLICIT_0).and_then(|mut parameters| parameters.next(OID));
        let curve = outside.or_else(|| CURVES.iter().find(|curve| inside == Some(curve.oid)))?;
        Self::from_scalar(curve, scalar)
    }

    /// From the secret number; the point follows from it.
    pub(super) fn from_scalar(curve: &'static Curve, scalar: &[u8]) -> Option<Self> {
        let surplus = scalar.len().saturating_sub(curve.size);
        let (surplus, digits) = scalar.split_at_checked(surplus)?;
        if surplus.iter().any(|digit| *digit != 0) {
            return None;
        }
        let mut padded = Zeroizing::new(vec![0; curve.size]);
        let start = curve.size - digits.len();
        padded.get_mut(start..)?.copy_from_slice(digits);
        let document = pkcs8(&[&der::element(OID, &[EC]), &der::element(OID, &[curve.oid])], &sec1(&padded, None));
        let pair = EcdsaKeyPair::from_private_key_der(curve.algorithm, &document).ok()?;
        Some(Self::Curve(curve, pair))
    }

    /// From the 32 bytes that an Ed25519 key is made of.
    pub(super) fn from_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(Self::Edwards(Zeroizing::new(seed.to_vec())))
    }

    /// The public point, or the 32 bytes of Ed25519; nothing for RSA.
    pub(super) fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(_) => None,
            Self::Curve(_, pair) => Some(pair.public_key().as_ref().to_vec()),
            Self::Edwards(seed) => {
                Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| pair.public_key().as_ref().to_vec())
            }
        }
    }

    /// As PKCS #8.
    pub(super) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        Some(match self {
            Self::Rsa(key) => pkcs8(&[&der::element(OID, &[RSA]), &der::element(NULL, &[])], key),
            Self::Curve(curve, pair) => {
                let scalar = pair.private_key().as_be_bytes().ok()?;
                let key = sec1(scalar.as_ref(), Some(pair.public_key().as_ref()));
                pkcs8(&[&der::element(OID, &[EC]), &der::element(OID, &[curve.oid])], &key)
            }
            Self::Edwards(seed) => pkcs8(&[&der::element(OID, &[ED25519])], &der::element(OCTETS, &[seed])),
        })
    }
}

fn pkcs8(algorithm: &[&[u8]], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let algorithm = der::element(SEQUENCE, algorithm);
    der::element(SEQUENCE, &[&der::integer(&[0]), &algorithm, &der::element(OCTETS, &[key])])
}

fn sec1(scalar: &[u8], point: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    let (version, scalar) = (der::integer(&[1]), der::element(OCTETS, &[scalar]));
    match point {
        Some(point) => {
            let point = der::element(EXPLICIT_1, &[&der::element(BIT_STRING, &[&[0], point])]);
            der::element(SEQUENCE, &[&version, &scalar, &point])
        }
        None => der::element(SEQUENCE, &[&version, &scalar]),
    }
}
