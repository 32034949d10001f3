//! RSA keys with a certificate, made for people who seal with kubeseal.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SerialNumber};
use zeroize::Zeroizing;

use super::KeyError;

/// The length of an RSA key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaBits {
    /// 2,048 bits: the least that kubeseal and this program take.
    Bits2048,
    /// 3,072 bits.
    Bits3072,
    /// 4,096 bits, as upstream makes them.
    #[default]
    Bits4096,
    /// 8,192 bits: ten times the work of 4,096, and more to make one.
    Bits8192,
}

impl RsaBits {
    /// The length with this number of bits, if it is one of them.
    #[must_use]
    pub const fn new(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Bits2048),
            3072 => Some(Self::Bits3072),
            4096 => Some(Self::Bits4096),
            8192 => Some(Self::Bits8192),
            _ => None,
        }
    }

    const fn size(self) -> KeySize {
        match self {
            Self::Bits2048 => KeySize::Rsa2048,
            Self::Bits3072 => KeySize::Rsa3072,
            Self::Bits4096 => KeySize::Rsa4096,
            Self::Bits8192 => KeySize::Rsa8192,
        }
    }
}

/// An RSA key and its certificate, both in PEM.
pub struct IssuedKey {
    /// The private half in PKCS#8.
    pub key: Zeroizing<String>,
    /// The certificate.
    pub certificate: String,
}

/// Makes an RSA key and a certificate signed by itself, as upstream's are: for encipherment only, a CA, good from
/// `from` for `life`. `common_name` may be empty. Takes seconds with 4,096 bits.
///
/// # Errors
/// If the library refuses, or `from` or `life` are beyond what a certificate can say.
pub fn issue(bits: RsaBits, common_name: &str, from: Timestamp, life: Duration) -> Result<IssuedKey, KeyError> {
    let pair = KeyPair::generate(bits.size()).map_err(|_| KeyError::NotMade)?;
    let certificate = sign(&pair, common_name, from, life).ok_or(KeyError::NotMade)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::NotMade)?;
    Ok(IssuedKey { key: pem(der.as_ref()), certificate })
}

fn sign(pair: &KeyPair, common_name: &str, from: Timestamp, life: Duration) -> Option<String> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).ok()?;
    // A serial number is positive, and has the same length for all.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::EncipherOnly];
    let from = Duration::from_secs(u64::try_from(from.as_second()).ok()?);
    let until = from.checked_add(life)?;
    // The last second that a certificate can name is in the year 9999.
    if until.as_secs() > 253_402_300_799 {
        return None;
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + from, epoch + Duration::from_secs(until.as_secs()));
    params.self_signed(&Signer(pair)).ok().map(|certificate| certificate.pem())
}

/// PKCS#8 in PEM, in a buffer that never grows: a growing one leaves copies behind.
fn pem(der: &[u8]) -> Zeroizing<String> {
    const LINE: usize = 64;
    let mut base64 = Zeroizing::new(String::with_capacity(der.len().div_ceil(3) * 4));
    STANDARD.encode_string(der, &mut base64);
    let mut pem = Zeroizing::new(String::with_capacity(base64.len() + base64.len() / LINE + 64));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

/// Signs without handing the private half to the library for certificates, which would keep a copy.
struct Signer<'a>(&'a KeyPair);

impl rcgen::PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Certificate, Identity};

    #[test]
    fn what_is_issued_is_a_pair_and_says_when() {
        let from: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let issued = issue(RsaBits::Bits2048, "bulla", from, Duration::from_secs(3600)).unwrap();
        let identity = Identity::parse_all(&issued.key).unwrap().remove(0);
        let certificate = Certificate::from_pem(issued.certificate.as_bytes()).unwrap();
        assert_eq!((certificate.not_before(), certificate.bits()), (Some(from), 2048));
        assert_eq!(certificate.not_after(), Some("2026-11-21T11:00:00Z".parse().unwrap()));
        assert_eq!(crate::seal::Recipient::from(certificate).key_id(), identity.key_id());
        let (_, pem) = x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).unwrap();
        let parsed = pem.parse_x509().unwrap();
        assert_eq!(parsed.subject().to_string(), "CN=bulla");
        assert!(parsed.is_ca());
        let usage = parsed.key_usage().unwrap().unwrap().value;
        assert!(usage.encipher_only() && !usage.key_cert_sign(), "{usage:?}");
        assert_eq!(parsed.raw_serial().len(), 16);
    }

    #[test]
    fn dates_beyond_a_certificate_are_refused() {
        let far: Timestamp = "9999-12-01T00:00:00Z".parse().unwrap();
        assert!(issue(RsaBits::Bits2048, "", far, Duration::from_secs(100 * 86_400)).is_err());
    }
}
