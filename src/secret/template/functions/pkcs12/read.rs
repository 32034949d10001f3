//! Reading a file: exactly one key, and certificates of which the first is the key's own.

use zeroize::Zeroizing;

use super::{
    super::{
        Call,
        der::{self, EXPLICIT_0, Elements, OCTETS, OID, SEQUENCE},
        pkcs8::PrivateKey,
    },
    NOT_A_CERTIFICATE, Password,
    chains::Link,
    cipher::{self, WRONG_PASSWORD},
    oid,
};
use crate::secret::template::{
    budget::STEP,
    error::{Fault, Reason},
};

const DAMAGED: Fault = Fault::refused("the file is not PKCS #12, or is damaged");
const UNSUPPORTED: Fault = Fault::refused("the file holds something that is not supported");

/// What was in the file.
pub(super) struct Contents {
    pub(super) key: PrivateKey,
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Opens the file and takes out all that it holds.
pub(super) fn file(call: &Call<'_>, password: &[u8], bytes: &[u8]) -> Result<Contents, Fault> {
    call.budget.text(bytes.len())?;
    let mut password = Password::new(password)?;
    let mut pfx = der::only(bytes, SEQUENCE).ok_or(DAMAGED)?;
    if pfx.number() != Some(3) {
        return Err(DAMAGED);
    }
    let mut outer = pfx.inside(SEQUENCE).ok_or(DAMAGED)?;
    if outer.next(OID) != Some(oid::DATA) {
        return Err(Fault::refused("only files that a password protects are supported"));
    }
    let safe = outer.inside(EXPLICIT_0).and_then(|mut content| content.next(OCTETS)).ok_or(DAMAGED)?;
    match pfx.inside(SEQUENCE) {
        Some(mac) => authentic(call, mac, safe, &mut password)?,
        None if password.plain.is_empty() => {}
        None => return Err(Fault::refused("the file is not authenticated by its password")),
    }

    let mut parts = der::only(safe, SEQUENCE).ok_or(DAMAGED)?;
    let mut found = Found::default();
    let mut count = 0;
    while !parts.is_empty() {
        count += 1;
        if count > 2 {
            return Err(Fault::refused("the file has more than two parts"));
        }
        let mut part = parts.inside(SEQUENCE).ok_or(DAMAGED)?;
        let kind = part.next(OID).ok_or(DAMAGED)?;
        let mut content = part.inside(EXPLICIT_0).ok_or(DAMAGED)?;
        let opened;
        let bags = match kind {
            oid::DATA => content.next(OCTETS).ok_or(DAMAGED)?,
            oid::ENCRYPTED_DATA => {
                opened = encrypted(call, content, &password)?;
                opened.as_slice()
            }
            _ => return Err(UNSUPPORTED),
        };
        found.bags(call, bags, &password)?;
    }
    let key = found.key.ok_or(Fault::refused("the file holds no private key"))?;
    if found.certificates.is_empty() {
        return Err(Fault::refused("the file holds no certificate"));
    }
    Ok(Contents { key, certificates: found.certificates })
}

/// Some programs take no password for no bytes at all and not for an empty text.
fn authentic(call: &Call<'_>, mac: Elements<'_>, safe: &[u8], password: &mut Password) -> Result<(), Fault> {
    let checked = cipher::verify(call, mac, safe, password);
    let is_wrong = matches!(
        (&checked, &WRONG_PASSWORD),
        (Err(Fault::Because(Reason::Refused(found))), Fault::Because(Reason::Refused(wrong))) if found == wrong
    );
    if is_wrong && password.plain.is_empty() {
        password.wide.clear();
        return cipher::verify(call, mac, safe, password);
    }
    checked
}

fn encrypted(call: &Call<'_>, mut content: Elements<'_>, password: &Password) -> Result<Zeroizing<Vec<u8>>, Fault> {
    /// `[0] IMPLICIT OCTET STRING`.
    const CIPHERTEXT: u8 = 0x80;
    let mut data = content.inside(SEQUENCE).ok_or(DAMAGED)?;
    if data.number() != Some(0) {
        return Err(UNSUPPORTED);
    }
    let mut info = data.inside(SEQUENCE).ok_or(DAMAGED)?;
    info.next(OID).ok_or(DAMAGED)?;
    let algorithm = info.inside(SEQUENCE).ok_or(DAMAGED)?;
    cipher::decrypt(call, algorithm, info.next(CIPHERTEXT).ok_or(UNSUPPORTED)?, password)
}

#[derive(Default)]
struct Found {
    key: Option<PrivateKey>,
    certificates: Vec<Vec<u8>>,
}

impl Found {
    fn bags(&mut self, call: &Call<'_>, bytes: &[u8], password: &Password) -> Result<(), Fault> {
        let mut bags = der::only(bytes, SEQUENCE).ok_or(DAMAGED)?;
        while !bags.is_empty() {
            call.budget.charge(STEP)?;
            let mut bag = bags.inside(SEQUENCE).ok_or(DAMAGED)?;
            let kind = bag.next(OID).ok_or(DAMAGED)?;
            let content = bag.next(EXPLICIT_0).ok_or(DAMAGED)?;
            match kind {
                oid::CERTIFICATE_BAG => self.certificates.push(certificate(content)?),
                oid::KEY_BAG | oid::SHROUDED_KEY_BAG if self.key.is_some() => {
                    return Err(Fault::refused("the file holds more than one private key"));
                }
                oid::KEY_BAG => self.key = Some(PrivateKey::from_pkcs8(content).ok_or(UNREADABLE)?),
                oid::SHROUDED_KEY_BAG => {
                    let mut shrouded = der::only(content, SEQUENCE).ok_or(DAMAGED)?;
                    let algorithm = shrouded.inside(SEQUENCE).ok_or(DAMAGED)?;
                    let ciphertext = shrouded.next(OCTETS).ok_or(DAMAGED)?;
                    let opened = cipher::decrypt(call, algorithm, ciphertext, password)?;
                    self.key = Some(PrivateKey::from_pkcs8(&opened).ok_or(UNREADABLE)?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

const UNREADABLE: Fault = Fault::refused("the private key is of a kind that is not supported");

fn certificate(bag: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut bag = der::only(bag, SEQUENCE).ok_or(DAMAGED)?;
    if bag.next(OID) != Some(oid::X509) {
        return Err(UNSUPPORTED);
    }
    let der = bag.inside(EXPLICIT_0).and_then(|mut content| content.next(OCTETS)).ok_or(DAMAGED)?;
    Link::parse(der).ok_or(NOT_A_CERTIFICATE)?;
    Ok(der.to_vec())
}
