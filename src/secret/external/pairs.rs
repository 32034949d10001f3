//! A rendered text that is a YAML mapping of texts: what `templateAs: KeysAndValues` and literals give.
//!
//! Scalars become texts as Go's `sigs.k8s.io/yaml` makes them, since a Secret that changes its owner must keep its
//! bytes: a plain `yes` is `true`, `0755` is `493`, `1.10` is `1.1`. Quoted scalars stay as they are.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::secret::{Plaintext, Values};

/// The text is no mapping of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotPairs {
    /// Where, counted from 1 in the rendered text; 0 where nobody knows.
    pub(super) line: u64,
}

/// Reads the mapping. No text at all is an empty one; of a key that stands twice the last value counts.
pub(super) fn parse(text: &[u8]) -> Result<Values, NotPairs> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        NotPairs { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64 }
    })?;
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        // A snippet is a piece of the secret.
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Option<Pairs>>(text, options) {
        Ok(pairs) => Ok(pairs.map(|pairs| pairs.0).unwrap_or_default()),
        // The error's own words quote what they are about.
        Err(error) => Err(NotPairs { line: error.location().map_or(0, |location| location.line()) }),
    }
}

struct Pairs(Values);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Mapping)
    }
}

struct Mapping;

impl<'de> Visitor<'de> for Mapping {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Pairs, A::Error> {
        let mut values = Values::new();
        while let Some(Scalar(key)) = access.next_key()? {
            let Scalar(value) = access.next_value()?;
            let key = String::from_utf8(key.expose().to_vec()).map_err(|_| A::Error::custom("the key is no text"))?;
            values.insert(key, value);
        }
        Ok(Pairs(values))
    }
}

struct Scalar(Plaintext);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyScalar)
    }
}

struct AnyScalar;

impl Visitor<'_> for AnyScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar, E> {
        Ok(owned(truth.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(owned(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(owned(number.to_string()))
    }

    // What no 64 bits hold is a floating-point number to Go.

    fn visit_i128<E: Error>(self, number: i128) -> Result<Scalar, E> {
        Ok(owned(general(number as f64)))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Scalar, E> {
        Ok(owned(general(number as f64)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(owned(general(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(owned(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(owned(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Scalar, E> {
        Ok(Scalar(Plaintext::copy_of(bytes)))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(owned(String::new()))
    }

    fn visit_none<E: Error>(self) -> Result<Scalar, E> {
        self.visit_unit()
    }
}

fn owned(text: String) -> Scalar {
    Scalar(Plaintext::from(text))
}

/// Go's `%g` of a `float32`, which is what the Go library writes: numbers that must keep their digits need quotes.
fn general(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "so does Go")]
    let number = number as f32;
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}
