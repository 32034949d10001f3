//! Checksums and Sprig's AES.

use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    digest,
    iv::FixedLength,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    Call, Function, Outcome,
    encoding::{from_base64, hex},
    function,
};
use crate::secret::template::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function("sha1sum", 1, 1, |call| summed(call, &digest::SHA1_FOR_LEGACY_USE_ONLY)),
    function("sha256sum", 1, 1, |call| summed(call, &digest::SHA256)),
    function("sha512sum", 1, 1, |call| summed(call, &digest::SHA512)),
    function("adler32sum", 1, 1, |call| Ok(Value::text(adler32(call.text(0)?).to_string()))),
    function("encryptAES", 2, 2, encrypt),
    function("decryptAES", 2, 2, decrypt),
];

fn summed(call: &Call<'_>, algorithm: &'static digest::Algorithm) -> Outcome {
    let text = call.text(0)?;
    call.budget.charge(text.len().saturating_mul(4))?;
    Ok(Value::text(hex(digest::digest(algorithm, text).as_ref())))
}

fn adler32(text: &[u8]) -> u32 {
    let (low, high) = text.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

const BLOCK: usize = 16;

/// The password itself, cut or filled up with zeros, is the key: so Sprig has it.
fn key(password: &[u8]) -> Result<UnboundCipherKey, Fault> {
    let mut key = Zeroizing::new([0; 32]);
    for (byte, of_password) in key.iter_mut().zip(password) {
        *byte = *of_password;
    }
    UnboundCipherKey::new(&AES_256, &*key).map_err(|_| FAILED)
}

const FAILED: Fault = Fault::refused("the cipher failed");

fn encrypt(call: &Call<'_>) -> Outcome {
    let text = call.text(1)?;
    if text.is_empty() {
        return Ok(Value::text(""));
    }
    call.budget.text(text.len().saturating_mul(2))?;
    let padding = BLOCK - text.len() % BLOCK;
    let mut bytes = text.to_vec();
    bytes.resize(text.len() + padding, u8::try_from(padding).unwrap_or(0));
    let mut iv = [0; BLOCK];
    call.random(&mut iv);
    let key = EncryptingKey::cbc(key(call.text(0)?)?).map_err(|_| FAILED)?;
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut bytes, context).map_err(|_| FAILED)?;
    Ok(Value::text(STANDARD.encode([&iv[..], &bytes].concat())))
}

fn decrypt(call: &Call<'_>) -> Outcome {
    let text = call.text(1)?;
    if text.is_empty() {
        return Ok(Value::text(""));
    }
    let refused = || Fault::refused("the text is not what encryptAES makes");
    let bytes = from_base64(text)?;
    let (iv, bytes) = bytes.split_first_chunk::<BLOCK>().ok_or_else(refused)?;
    let mut bytes = bytes.to_vec();
    let key = DecryptingKey::cbc(key(call.text(0)?)?).map_err(|_| FAILED)?;
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    key.decrypt(&mut bytes, context).map_err(|_| refused())?;
    // Only the last byte of the padding counts, as in Sprig.
    let padding = bytes.last().copied().map(usize::from).ok_or_else(refused)?;
    let length = bytes.len().checked_sub(padding).ok_or_else(refused)?;
    Ok(Value::text(bytes.get(..length).unwrap_or_default()))
}
