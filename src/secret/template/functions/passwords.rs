//! Passwords: bcrypt, and the algorithm of the application Master Password.

use aws_lc_rs::hmac;

use super::{Call, Function, Outcome, function};
use crate::secret::template::{error::Fault, value::Value};
use zeroize::Zeroizing;

pub(super) const FUNCTIONS: &[Function] = &[
    function("bcrypt", 1, 1, |call| Ok(Value::text(hashed(call, call.text(0)?)?))),
    function("htpasswd", 2, 2, |call| {
        let (user, password) = (call.text(0)?, call.text(1)?);
        if user.contains(&b':') {
            return Ok(Value::text([b"invalid username: ", user].concat()));
        }
        Ok(Value::text([user, b":", hashed(call, password)?.as_bytes()].concat()))
    }),
    function("derivePassword", 5, 5, derive),
];

/// One hash takes about 50 ms and pays for 1/32 of all work.
const BCRYPT_WORK: usize = 2 * 1024 * 1024;
/// One derivation takes about 100 ms and 32 MiB.
const SCRYPT_WORK: usize = 4 * 1024 * 1024;

/// Go's default.
const BCRYPT_COST: u32 = 10;

fn hashed(call: &Call<'_>, password: &[u8]) -> Result<String, Fault> {
    if password.len() > 72 {
        let text = "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes";
        return Ok(text.to_owned());
    }
    call.budget.charge(BCRYPT_WORK)?;
    let mut salt = [0; 16];
    call.random(&mut salt);
    let hash = bcrypt::hash_with_salt(password, BCRYPT_COST, salt);
    Ok(hash.map_err(|_| Fault::refused("the password cannot be hashed"))?.format_for_version(bcrypt::Version::TwoA))
}

fn derive(call: &Call<'_>) -> Outcome {
    let counter = u32::try_from(call.int(0)?).map_err(|_| Fault::refused("the counter is not a uint32"))?;
    let (kind, password) = (call.text(1)?, call.text(2)?);
    let (user, site) = (call.text(3)?, call.text(4)?);
    let Some(templates) = templates(kind) else {
        return Ok(Value::text([b"cannot find password template ", kind].concat()));
    };
    call.budget.charge(SCRYPT_WORK)?;
    let refused = Fault::refused("the password cannot be derived");
    let Ok(parameters) = scrypt::Params::new(15, 8, 2, 64) else {
        return Err(refused);
    };
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SEED, &length(user), user].concat();
    let mut key = Zeroizing::new([0; 64]);
    if scrypt::scrypt(password, &salt, &parameters, &mut *key).is_err() {
        return Err(refused);
    }
    let message = [SEED, &length(site), site, &counter.to_be_bytes()].concat();
    let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), &message);
    let pick = |from: usize, seed: u8| usize::from(seed) % from;
    let (first, rest) = seed.as_ref().split_first().ok_or(refused)?;
    let template = templates.get(pick(templates.len(), *first)).copied().unwrap_or_default();
    let letters = template.bytes().zip(rest).filter_map(|(class, seed)| {
        let letters = characters(class).as_bytes();
        letters.get(pick(letters.len().max(1), *seed)).copied()
    });
    Ok(Value::text(letters.collect::<Vec<u8>>()))
}

const SEED: &[u8] = b"com.lyndir.masterpassword";

fn templates(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

const fn characters(class: u8) -> &'static str {
    match class {
        b'V' => "AEIOU",
        b'C' => "BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => "aeiou",
        b'c' => "bcdfghjklmnpqrstvwxyz",
        b'A' => "AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => "0123456789",
        b'o' => "@&%?,=[]_:-+*$#!'^~;()/.",
        b'x' => "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
        _ => "",
    }
}
