//! `toYaml` and `fromYaml`, which External Secrets adds to Sprig.

use serde_saphyr::options::DuplicateKeyPolicy;

use super::{Call, Function, Outcome, function, json};
use crate::secret::template::{
    error::Fault,
    value::{Text, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[function("fromYaml", 1, 1, from_yaml), function("toYaml", 1, 1, to_yaml)];

/// The values of a YAML mapping; a text that is none has its error under the key `Error`, in fixed words.
fn from_yaml(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    call.budget.elements(text.len())?;
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    type Entries = serde_json::Map<String, serde_json::Value>;
    let parsed = std::str::from_utf8(text).ok();
    let parsed = parsed.and_then(|text| serde_saphyr::from_str_with_options::<Entries>(text, options).ok());
    let parsed = parsed.and_then(|entries| json::from_json(&serde_json::Value::Object(entries)));
    Ok(parsed.unwrap_or_else(|| Value::map([(Text::from("Error"), Value::text("the text is not a YAML mapping"))])))
}

fn to_yaml(call: &Call<'_>) -> Outcome {
    // By way of JSON, as the Go library does it: times become texts, keys are sorted.
    let Value::Text(text) = json::to_json(call)? else {
        return Err(Fault::refused("the value has no text"));
    };
    let value: serde_json::Value =
        serde_json::from_slice(text.bytes()).map_err(|_| Fault::refused("the value cannot be written as YAML"))?;
    call.budget.elements(text.len())?;
    let yaml = serde_saphyr::to_string(&value).map_err(|_| Fault::refused("the value cannot be written as YAML"))?;
    Ok(Value::text(yaml.strip_suffix('\n').unwrap_or(&yaml)))
}
