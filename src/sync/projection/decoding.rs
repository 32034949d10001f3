//! What is done to values: decoding, and the policy on null bytes.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::ProjectionError;
use crate::secret::{Plaintext, Values};

/// How a value is decoded before it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Decoding {
    /// Not at all.
    #[default]
    None,
    /// Base64 if it is that, else base64 for URLs if it is that, else not at all.
    Auto,
    /// Base64, padded.
    Base64,
    /// Base64 in the alphabet for URLs, padded.
    Base64Url,
}

/// What becomes of a value that contains null bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NullBytes {
    /// It is stored.
    #[default]
    Ignore,
    /// It is an error.
    Fail,
}

/// Go's decoder does not mind bits that are left over in the last character.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// Decodes one value.
///
/// # Errors
///
/// [`ProjectionError::NotBase64`].
pub fn decode(strategy: Decoding, value: Plaintext) -> Result<Plaintext, ProjectionError> {
    match strategy {
        Decoding::None => Ok(value),
        Decoding::Auto => Ok(base64(&STANDARD, &value).or_else(|| base64(&URL, &value)).unwrap_or(value)),
        Decoding::Base64 => base64(&STANDARD, &value).ok_or(ProjectionError::NotBase64 { strategy: "Base64" }),
        Decoding::Base64Url => base64(&URL, &value).ok_or(ProjectionError::NotBase64 { strategy: "Base64URL" }),
    }
}

/// Decodes every value.
///
/// # Errors
///
/// [`ProjectionError::Decoding`] for the first key whose value cannot be decoded.
pub fn decode_all(strategy: Decoding, values: Values) -> Result<Values, ProjectionError> {
    if strategy == Decoding::None {
        return Ok(values);
    }
    let decoded = values.into_iter().map(|(key, value)| match decode(strategy, value) {
        Ok(value) => Ok((key, value)),
        Err(cause) => Err(ProjectionError::Decoding { key, cause: Box::new(cause) }),
    });
    decoded.collect()
}

/// Applies the policy on null bytes to one value.
///
/// # Errors
///
/// [`ProjectionError::NullBytes`].
pub fn check_null_bytes(policy: NullBytes, key: &str, value: &Plaintext) -> Result<(), ProjectionError> {
    match policy {
        NullBytes::Fail if value.expose().contains(&0) => Err(ProjectionError::NullBytes(key.to_owned())),
        NullBytes::Fail | NullBytes::Ignore => Ok(()),
    }
}

fn base64(engine: &GeneralPurpose, value: &Plaintext) -> Option<Plaintext> {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    // Go's decoder passes over line ends.
    let joined;
    let text = if value.expose().iter().any(is_line_end) {
        joined = Zeroizing::new(value.expose().iter().filter(|byte| !is_line_end(byte)).copied().collect::<Vec<u8>>());
        joined.as_slice()
    } else {
        value.expose()
    };
    let mut decoded = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = engine.decode_slice(text, &mut decoded).ok()?;
    decoded.truncate(length);
    Some(Plaintext::from_guarded(decoded))
}
