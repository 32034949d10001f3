//! PKCS #12, the binary files of keys and certificates that Java and Windows want (RFC 7292).
//!
//! Files are read in the older forms (RC2 and triple DES) and the newer ones, and written in the newer one: AES-256,
//! PBKDF2 and HMAC with SHA-256. A file is hostile: the iterations that it asks for are bounded and charged.

mod cipher;
mod names;
mod read;
mod write;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    Call, Function, Outcome,
    chains::{self, Link},
    function,
    keys::encode_pem,
    pem,
    pkcs8::PrivateKey,
};
use crate::secret::template::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function("pkcs12key", 1, 1, |call| key(call, b"", call.text(0)?)),
    function("pkcs12keyPass", 2, 2, |call| key(call, call.text(0)?, call.text(1)?)),
    function("pkcs12cert", 1, 1, |call| certificates(call, b"", call.text(0)?)),
    function("pkcs12certPass", 2, 2, |call| certificates(call, call.text(0)?, call.text(1)?)),
    function("pemToPkcs12", 2, 2, |call| with_key(call, Certificates::First, b"")),
    function("pemToPkcs12Pass", 3, 3, |call| with_key(call, Certificates::First, call.text(2)?)),
    function("fullPemToPkcs12", 2, 2, |call| with_key(call, Certificates::All, b"")),
    function("fullPemToPkcs12Pass", 3, 3, |call| with_key(call, Certificates::All, call.text(2)?)),
    function("pemTruststoreToPKCS12", 1, 1, |call| trust_store(call, b"")),
    function("pemTruststoreToPKCS12Pass", 2, 2, |call| trust_store(call, call.text(1)?)),
];

mod oid {
    //! Object identifiers as DER has them.

    pub(super) const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    pub(super) const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
    pub(super) const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
    pub(super) const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
    pub(super) const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
    pub(super) const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x01];
    pub(super) const SHROUDED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
    pub(super) const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
    /// By which Java knows that it may trust a certificate.
    pub(super) const JAVA_TRUST: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01];
    pub(super) const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
    pub(super) const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    pub(super) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    pub(super) const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
    pub(super) const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
    pub(super) const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e];
    pub(super) const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
    pub(super) const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
    pub(super) const HMAC_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07];
    pub(super) const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
    pub(super) const HMAC_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a];
    pub(super) const HMAC_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b];
    pub(super) const AES_128: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];
    pub(super) const AES_192: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16];
    pub(super) const AES_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
    pub(super) const TRIPLE_DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
    pub(super) const RC2_128: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x05];
    pub(super) const RC2_40: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x06];
}

/// A password in both forms that the formats use.
struct Password {
    /// For PBKDF2: as it is.
    plain: Zeroizing<Vec<u8>>,
    /// For the older derivation: UTF-16, big-endian, with a zero at the end.
    wide: Zeroizing<Vec<u8>>,
}

impl Password {
    fn new(text: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(text).map_err(|_| Fault::refused("the password is not UTF-8"))?;
        let mut wide = Zeroizing::new(Vec::with_capacity(text.len() * 2 + 2));
        for unit in text.encode_utf16().chain([0]) {
            wide.extend_from_slice(&unit.to_be_bytes());
        }
        Ok(Self { plain: Zeroizing::new(text.as_bytes().to_vec()), wide })
    }
}

fn key(call: &Call<'_>, password: &[u8], file: &[u8]) -> Outcome {
    let contents = read::file(call, password, file)?;
    let der = contents.key.to_pkcs8().ok_or(Fault::refused("the key cannot be written"))?;
    Ok(Value::text(encode_pem("PRIVATE KEY", &der)))
}

/// In the order of the chain, or in that of the file where it is no chain.
fn certificates(call: &Call<'_>, password: &[u8], file: &[u8]) -> Outcome {
    let contents = read::file(call, password, file)?;
    let as_they_are = contents.certificates.iter().flat_map(|der| encode_pem("CERTIFICATE", der)).collect::<Vec<u8>>();
    let links: Option<Vec<Link>> = contents.certificates.iter().map(|der| Link::parse(der)).collect();
    let ordered = links.ok_or(NOT_A_CERTIFICATE).and_then(|links| chains::in_order(call, links));
    Ok(Value::text(match ordered {
        Ok(links) => chains::encode(&links),
        Err(Fault::Limit(limit)) => return Err(limit.into()),
        Err(_) => as_they_are,
    }))
}

/// How many certificates of a text go into a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certificates {
    First,
    All,
}

const NOT_A_CERTIFICATE: Fault = Fault::refused("a block of the text is not a certificate");

fn with_key(call: &Call<'_>, which: Certificates, password: &[u8]) -> Outcome {
    let mut certificates = blocks(call.text(0)?, if which == Certificates::All { usize::MAX } else { 1 })?;
    if certificates.is_empty() {
        return Err(Fault::refused("the text is not a certificate in PEM"));
    }
    let (block, _) = pem::first(call.text(1)?).ok_or(Fault::refused("the text is not a private key in PEM"))?;
    let key = PrivateKey::parse(&block.der).ok_or(Fault::refused("the private key cannot be read"))?;
    let issuers = certificates.split_off(1);
    let leaf = certificates.pop().unwrap_or_default();
    let file = write::key_store(call, &Password::new(password)?, &key, &leaf, &issuers)?;
    Ok(Value::text(STANDARD.encode(file)))
}

fn trust_store(call: &Call<'_>, password: &[u8]) -> Outcome {
    let certificates = blocks(call.text(0)?, usize::MAX)?;
    let file = write::trust_store(call, &Password::new(password)?, &certificates)?;
    Ok(Value::text(STANDARD.encode(file)))
}

fn blocks(text: &[u8], most: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let certificate = |block: pem::Block| match Link::parse(&block.der) {
        Some(_) => Ok(block.der.to_vec()),
        None => Err(NOT_A_CERTIFICATE),
    };
    pem::all(text).take(most).map(certificate).collect()
}
