//! Writing files as OpenSSL and the Go library do: certificates in one encrypted part, the key in another.

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::{
    super::{
        Call,
        der::{self, BMP, EXPLICIT_0, OCTETS, OID, SEQUENCE, SET},
        pkcs8::PrivateKey,
    },
    NOT_A_CERTIFICATE, Password, cipher, names, oid,
};
use crate::secret::template::error::Fault;

type Der = Zeroizing<Vec<u8>>;

/// A key with its certificate and those of its issuers.
pub(super) fn key_store(
    call: &Call<'_>,
    password: &Password,
    key: &PrivateKey,
    leaf: &[u8],
    issuers: &[Vec<u8>],
) -> Result<Vec<u8>, Fault> {
    let fingerprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
    let id = || attribute(oid::LOCAL_KEY_ID, &der::element(OCTETS, &[fingerprint.as_ref()]));
    let key = key.to_pkcs8().ok_or(Fault::refused("the key cannot be written"))?;
    let (algorithm, ciphertext) = cipher::encrypt(call, &key, password)?;
    let shrouded = der::element(SEQUENCE, &[&algorithm, &der::element(OCTETS, &[&ciphertext])]);
    let key = der::element(SEQUENCE, &[&bag(oid::SHROUDED_KEY_BAG, &shrouded, vec![id()])]);

    let mut certificates = vec![certificate(leaf, vec![id()])];
    certificates.extend(issuers.iter().map(|issuer| certificate(issuer, Vec::new())));
    let parts = [encrypted(call, password, &certificates)?, content(oid::DATA, &der::element(OCTETS, &[&key]))];
    file(call, password, &parts)
}

/// Certificates that Java takes for trusted, each under the name of its subject.
pub(super) fn trust_store(call: &Call<'_>, password: &Password, certificates: &[Vec<u8>]) -> Result<Vec<u8>, Fault> {
    let trusted = |der: &Vec<u8>| {
        let name = names::subject(der).ok_or(NOT_A_CERTIFICATE)?;
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let attributes = vec![
            attribute(oid::JAVA_TRUST, &der::element(OID, &[oid::ANY_USAGE])),
            attribute(oid::FRIENDLY_NAME, &der::element(BMP, &[&name])),
        ];
        Ok(certificate(der, attributes))
    };
    let bags = certificates.iter().map(trusted).collect::<Result<Vec<_>, Fault>>()?;
    let part = encrypted(call, password, &bags)?;
    file(call, password, &[part])
}

fn file(call: &Call<'_>, password: &Password, parts: &[Der]) -> Result<Vec<u8>, Fault> {
    let safe = sequence(parts);
    let mac = cipher::sign(call, &safe, password)?;
    let outer = content(oid::DATA, &der::element(OCTETS, &[&safe]));
    Ok(der::element(SEQUENCE, &[&der::integer(&[3]), &outer, &mac]).to_vec())
}

fn encrypted(call: &Call<'_>, password: &Password, bags: &[Der]) -> Result<Der, Fault> {
    let (algorithm, ciphertext) = cipher::encrypt(call, &sequence(bags), password)?;
    let ciphertext = der::element(0x80, &[&ciphertext]);
    let info = der::element(SEQUENCE, &[&der::element(OID, &[oid::DATA]), &algorithm, &ciphertext]);
    Ok(content(oid::ENCRYPTED_DATA, &der::element(SEQUENCE, &[&der::integer(&[0]), &info])))
}

fn sequence(elements: &[Der]) -> Der {
    der::element(SEQUENCE, &elements.iter().map(|element| element.as_slice()).collect::<Vec<_>>())
}

fn content(kind: &[u8], inner: &[u8]) -> Der {
    der::element(SEQUENCE, &[&der::element(OID, &[kind]), &der::element(EXPLICIT_0, &[inner])])
}

fn certificate(der: &[u8], attributes: Vec<Der>) -> Der {
    bag(oid::CERTIFICATE_BAG, &content(oid::X509, &der::element(OCTETS, &[der])), attributes)
}

fn bag(kind: &[u8], inner: &[u8], mut attributes: Vec<Der>) -> Der {
    let (kind, inner) = (der::element(OID, &[kind]), der::element(EXPLICIT_0, &[inner]));
    if attributes.is_empty() {
        return der::element(SEQUENCE, &[&kind, &inner]);
    }
    // A set has its elements in the order of their bytes.
    attributes.sort_by(|one, other| one.as_slice().cmp(other.as_slice()));
    let attributes = der::element(SET, &attributes.iter().map(|element| element.as_slice()).collect::<Vec<_>>());
    der::element(SEQUENCE, &[&kind, &inner, &attributes])
}

fn attribute(kind: &[u8], value: &[u8]) -> Der {
    der::element(SEQUENCE, &[&der::element(OID, &[kind]), &der::element(SET, &[value])])
}
