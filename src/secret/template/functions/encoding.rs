//! Encodings. A malformed text decodes to Go's error message, as in Sprig; the message holds a position, not the text.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Call, Function, Outcome,
    base::{Corrupt, decode_base32, decode_base64, encode_base32},
    function,
};
use crate::secret::template::{error::Fault, print, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function("b64enc", 1, 1, |call| {
        let text = call.text(0)?;
        call.budget.text(text.len().saturating_mul(2))?;
        Ok(Value::text(STANDARD.encode(text)))
    }),
    function("b64dec", 1, 1, |call| decoded(call, "base64", decode_base64)),
    function("b32enc", 1, 1, |call| {
        let text = call.text(0)?;
        call.budget.text(text.len().saturating_mul(2))?;
        Ok(Value::text(encode_base32(text)))
    }),
    function("b32dec", 1, 1, |call| decoded(call, "base32", decode_base32)),
    function("hexdec", 1, 1, |call| {
        let text = call.text(0)?;
        Ok(match hexadecimal(text) {
            Ok(bytes) => Value::text(bytes),
            Err(Some(byte)) => {
                let quoted = print::sprintf(call.budget, b"%#U", &[Value::int(byte.into())])?;
                Value::text([b"encoding/hex: invalid byte: ", &*quoted].concat())
            }
            Err(None) => Value::text("encoding/hex: odd length hex string"),
        })
    }),
];

fn decoded(call: &Call<'_>, name: &str, decode: fn(&[u8]) -> Result<Vec<u8>, Corrupt>) -> Outcome {
    Ok(match decode(call.text(0)?) {
        Ok(bytes) => Value::text(bytes),
        Err(Corrupt(offset)) => Value::text(format!("illegal {name} data at input byte {offset}")),
    })
}

/// The bytes, or the first byte that is no digit, or nothing if only the last digit is missing.
fn hexadecimal(text: &[u8]) -> Result<Vec<u8>, Option<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(Some(byte));
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => Ok(digit(*high)? << 4 | digit(*low)?),
            [only] => digit(*only).and(Err(None)),
            _ => Err(None),
        })
        .collect()
}

/// Digits of a hash, or of anything else that is binary.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Go's `url.QueryEscape`.
pub(super) fn query_escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => escaped.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => escaped.push(*byte),
            byte if byte.is_ascii_alphanumeric() => escaped.push(*byte),
            byte => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}

/// Standard base64 for the functions that take keys and certificates in it.
pub(super) fn from_base64(text: &[u8]) -> Result<Vec<u8>, Fault> {
    decode_base64(text).map_err(|_| Fault::refused("the text is not base64"))
}
