//! Private keys. They are made by AWS-LC's own generator; no other function has a source of randomness of its own.

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

use super::{Call, Function, Outcome, function};
use crate::secret::template::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[function("genPrivateKey", 1, 1, generate)];

/// An RSA key of 4096 bits takes a second or so, and pays for a quarter of all work.
const RSA_4096_WORK: usize = 16 * 1024 * 1024;
/// One of 2048 bits takes about a tenth of that.
const RSA_2048_WORK: usize = 4 * 1024 * 1024;

/// A private key in PEM's older forms, which is what Go's functions write.
pub(super) struct PrivateKey {
    label: &'static str,
    der: Zeroizing<Vec<u8>>,
}

const FAILED: Fault = Fault::refused("the key cannot be made");
const MALFORMED: Fault = Fault::refused("the text is not a private key in PEM");

fn generate(call: &Call<'_>) -> Outcome {
    let key = match call.text(0)? {
        b"" | b"rsa" => {
            call.budget.charge(RSA_4096_WORK)?;
            rsa(KeySize::Rsa4096)?
        }
        b"ecdsa" => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| FAILED)?;
            PrivateKey::of_curve(&pair)?
        }
        b"ed25519" => {
            let pair = Ed25519KeyPair::generate().map_err(|_| FAILED)?;
            let document = pair.to_pkcs8v1().map_err(|_| FAILED)?;
            PrivateKey::new("PRIVATE KEY", document.as_ref())
        }
        b"dsa" => return Err(Fault::refused("DSA keys are not made any more")),
        other => return Ok(Value::text([b"Unknown type ", other].concat())),
    };
    Ok(Value::text(key.pem()))
}

fn rsa(size: KeySize) -> Result<PrivateKey, Fault> {
    let pair = RsaKeyPair::generate(size).map_err(|_| FAILED)?;
    let document = pair.as_der().map_err(|_| FAILED)?;
    PrivateKey::from_pkcs8(document.as_ref())
}

impl PrivateKey {
    /// A new key for a certificate.
    pub(super) fn for_certificate(call: &Call<'_>) -> Result<Self, Fault> {
        call.budget.charge(RSA_2048_WORK)?;
        rsa(KeySize::Rsa2048)
    }

    /// Reads PEM in any of the forms that Go reads.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Fault> {
        let (_, pem) = parse_x509_pem(text).map_err(|_| MALFORMED)?;
        let der = Zeroizing::new(pem.contents);
        match pem.label.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "RSA PRIVATE KEY" if RsaKeyPair::from_der(&der).is_ok() => Ok(Self { label: "RSA PRIVATE KEY", der }),
            "EC PRIVATE KEY" => Self::from_curve(&der),
            _ => Err(MALFORMED),
        }
    }

    fn new(label: &'static str, der: &[u8]) -> Self {
        Self { label, der: Zeroizing::new(der.to_vec()) }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, Fault> {
        if RsaKeyPair::from_pkcs8(der).is_ok() {
            // PKCS #8 is a sequence of a version, an algorithm and the older form as an octet string.
            let inner = element(der).and_then(|(sequence, _)| element(sequence)).and_then(|(_, rest)| element(rest));
            let (key, _) = inner.and_then(|(_, rest)| element(rest)).ok_or(MALFORMED)?;
            return Ok(Self::new("RSA PRIVATE KEY", key));
        }
        if Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok() {
            return Ok(Self::new("PRIVATE KEY", der));
        }
        Self::from_curve(der)
    }

    fn from_curve(der: &[u8]) -> Result<Self, Fault> {
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING]
            .into_iter()
            .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())
            .map_or(Err(MALFORMED), |pair| Self::of_curve(&pair))
    }

    fn of_curve(pair: &EcdsaKeyPair) -> Result<Self, Fault> {
        let document = pair.private_key().as_der().map_err(|_| FAILED)?;
        Ok(Self::new("EC PRIVATE KEY", document.as_ref()))
    }

    /// The key as DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key as PEM.
    pub(super) fn pem(&self) -> Vec<u8> {
        encode_pem(self.label, &self.der)
    }
}

/// PEM with lines of 64 characters.
pub(super) fn encode_pem(label: &str, der: &[u8]) -> Vec<u8> {
    let digits = Zeroizing::new(STANDARD.encode(der));
    // With room for all of it, so that nothing is moved and left behind.
    let mut pem = Vec::with_capacity(digits.len() + digits.len() / 64 + 2 * label.len() + 40);
    pem.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in digits.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    pem
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.get(1..)? {
        [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}
