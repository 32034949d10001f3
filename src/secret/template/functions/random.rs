//! Randomness, all of it from the caller's source. A template with these renders anew each time.

use super::{Call, Function, Outcome, function};
use crate::secret::template::{
    error::{Fault, Limit},
    value::{Value, encode, runes},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

pub(super) const FUNCTIONS: &[Function] = &[
    function("randAlphaNum", 1, 1, |call| text(call, b'0'..=b'z', |byte| byte.is_ascii_alphanumeric())),
    function("randAlpha", 1, 1, |call| text(call, b'A'..=b'z', |byte| byte.is_ascii_alphabetic())),
    function("randNumeric", 1, 1, |call| text(call, b'0'..=b'9', |byte| byte.is_ascii_digit())),
    function("randAscii", 1, 1, |call| text(call, b' '..=b'~', |_| true)),
    function("randInt", 2, 2, |call| {
        let (least, beyond) = (call.int(0)?, call.int(1)?);
        let range = beyond.checked_sub(least).and_then(|range| u64::try_from(range).ok()).filter(|range| *range > 0);
        let range = range.ok_or(Fault::refused("the maximum must be greater than the minimum"))?;
        let chosen = below(call, range)?;
        Ok(Value::int(least.saturating_add_unsigned(chosen)))
    }),
    function("randBytes", 1, 1, |call| {
        let mut bytes = vec![0; count(call)?];
        call.random(&mut bytes);
        Ok(Value::text(STANDARD.encode(bytes)))
    }),
    function("shuffle", 1, 1, shuffle),
    function("uuidv4", 0, 0, |call| {
        let mut bytes = [0; 16];
        call.random(&mut bytes);
        // Version 4 and the variant of RFC 9562 have fixed places.
        let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let digits = format!("{number:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or_default());
        Ok(Value::text(parts.join("-")))
    }),
];

/// Longest random text.
const LONGEST: usize = 64 * 1024;

fn count(call: &Call<'_>) -> Result<usize, Fault> {
    let count = usize::try_from(call.int(0)?).map_err(|_| Fault::refused("the count is negative"))?;
    if count > LONGEST { Err(Limit::Value.into()) } else { Ok(count) }
}

/// A number less than `range`, every one as likely as any other.
pub(super) fn below(call: &Call<'_>, range: u64) -> Result<u64, Fault> {
    // Numbers from the incomplete last round are drawn again.
    let complete = u64::MAX - u64::MAX % range.max(1);
    for _ in 0..1000 {
        let mut bytes = [0; 8];
        call.random(&mut bytes);
        let number = u64::from_be_bytes(bytes);
        if number < complete {
            return Ok(number % range.max(1));
        }
    }
    Err(Fault::refused("the source of randomness is broken"))
}

fn text(call: &Call<'_>, range: std::ops::RangeInclusive<u8>, wanted: fn(&u8) -> bool) -> Outcome {
    let count = match call.int(0)? {
        // A negative count gives an empty text in Sprig, which drops the error.
        ..0 => 0,
        _ => count(call)?,
    };
    let alphabet: Vec<u8> = range.filter(wanted).collect();
    let range = u64::try_from(alphabet.len()).unwrap_or(u64::MAX);
    call.budget.charge(count.saturating_mul(16))?;
    let mut text = Vec::with_capacity(count);
    for _ in 0..count {
        let index = usize::try_from(below(call, range)?).unwrap_or(0);
        text.extend(alphabet.get(index));
    }
    Ok(Value::text(text))
}

fn shuffle(call: &Call<'_>) -> Outcome {
    let mut characters: Vec<char> = runes(call.text(0)?).map(|(character, _)| character).collect();
    call.budget.elements(characters.len())?;
    for last in (1..characters.len()).rev() {
        let chosen = below(call, u64::try_from(last + 1).unwrap_or(u64::MAX))?;
        characters.swap(last, usize::try_from(chosen).unwrap_or(last));
    }
    let mut text = Vec::new();
    characters.into_iter().for_each(|character| encode(&mut text, character));
    Ok(Value::text(text))
}
