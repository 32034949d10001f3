//! Files with secrets made up for the occasion, and files that only look as if they had some.

mod innocent;
mod leaky;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::dice::Dice;

pub(crate) use innocent::innocent;
pub(crate) use leaky::leaky;

/// A file, and what is to be found in it.
pub(crate) struct Specimen {
    pub(crate) file: String,
    pub(crate) bytes: Vec<u8>,
    /// The rule that must find something; none in a file without secrets.
    pub(crate) rule: Option<&'static str>,
    /// What must never be printed.
    pub(crate) secrets: Vec<String>,
}

/// Fills in a pattern: `{36:a}` is 36 letters and digits. See [`alphabet`].
pub(crate) fn fill(dice: &mut Dice, pattern: &str) -> String {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, tail) = after.split_once('}').unwrap();
        let (count, kind) = field.split_once(':').unwrap();
        text.push_str(before);
        text.push_str(&random(dice, count.parse().unwrap(), alphabet(kind)));
        rest = tail;
    }
    text + rest
}

fn alphabet(kind: &str) -> &'static str {
    match kind {
        "d" => "0123456789",
        "h" => "0123456789abcdef",
        "H" => "0123456789ABCDEF",
        "b" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "x" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "U" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "l" => "abcdefghijklmnopqrstuvwxyz",
        "L" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "a" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "w" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
        "6" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        other => panic!("no alphabet {other}"),
    }
}

fn random(dice: &mut Dice, count: usize, of: &str) -> String {
    (0..count).map(|_| char::from(of.as_bytes()[dice.below(of.len())])).collect()
}

/// A password as people's tools make them: letters of both kinds, a digit and a sign at least.
pub(crate) fn password(dice: &mut Dice) -> String {
    let length = 10 + dice.below(14);
    let signs = ["!", "#9x", "-_7", "+4", "%2", "=3", "~5"];
    let sign = signs[dice.below(signs.len())];
    format!("{}{sign}{}", fill(dice, "{3:L}{2:d}"), random(dice, length, alphabet("a")))
}

/// Letters and digits, and their CRC-32 in base 62, as GitHub and npm end their tokens.
fn checked(dice: &mut Dice, prefix: &str) -> String {
    let body = random(dice, 30, alphabet("a"));
    let crc = !body.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc as usize;
    let mut sum = vec![b'0'; 6];
    for digit in sum.iter_mut().rev() {
        *digit = digits[rest % 62];
        rest /= 62;
    }
    format!("{prefix}{body}{}", String::from_utf8(sum).unwrap())
}

fn jwt(dice: &mut Dice, claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256","typ":"JWT"}"#), part(claims), random(dice, 86, alphabet("w")))
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn bytes(dice: &mut Dice, count: usize) -> Vec<u8> {
    (0..count).map(|_| u8::try_from(dice.below(256)).unwrap()).collect()
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let body = base64(bytes);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
