//! A whole SealedSecret at once: every value, or all that is wrong with it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroize as _;

use super::{KeyId, Keyring, OpenError, OpenErrors, Place, Refusal, Scope, open};
use crate::secret::{Plaintext, Values};

/// What an object held.
pub struct OpenedObject {
    /// Its values by data key.
    pub values: Values,
    /// The keys that opened them, and how many values each. The whole-Secret form is one value.
    pub key_values: BTreeMap<KeyId, usize>,
    /// What the deprecated whole-Secret form says about the target, where it was used.
    pub legacy: Option<LegacyMetadata>,
}

/// The part of a Secret in the whole-Secret form that is not secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyMetadata {
    /// Labels of the target.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the target.
    pub annotations: BTreeMap<String, String>,
    /// Type of the target.
    pub type_: Option<String>,
}

/// Opens every value of an object: `values` are those of `spec.encryptedData`, `legacy` is `spec.data`, the deprecated
/// form that seals a whole Secret as one value (read only, never written).
///
/// # Errors
/// All that is wrong, a line a data key, not only the first.
pub fn open_object<'a>(
    keyring: &Keyring,
    values: impl IntoIterator<Item = (&'a str, &'a str)>,
    legacy: Option<&str>,
    namespace: &str,
    name: &str,
    declared: Scope,
) -> Result<OpenedObject, OpenErrors> {
    let mut opened = OpenedObject { values: Values::new(), key_values: BTreeMap::new(), legacy: None };
    let mut errors = Vec::new();
    for (key, sealed) in values {
        match open(keyring, sealed, Place { namespace, name, key }, declared) {
            Ok(value) => {
                *opened.key_values.entry(value.key_id).or_default() += 1;
                opened.values.insert(key.to_owned(), value.plaintext);
            }
            Err(refusal) => errors.push(OpenError { key: key.to_owned(), refusal }),
        }
    }
    let legacy = legacy.filter(|legacy| !legacy.is_empty());
    if legacy.is_some() && (!opened.values.is_empty() || !errors.is_empty()) {
        return Err(OpenErrors::one("spec.data", Refusal::BothForms));
    }
    if let Some(errors) = OpenErrors::new(errors) {
        return Err(errors);
    }
    if let Some(legacy) = legacy {
        let place = Place { namespace, name, key: "spec.data" };
        let refused = |refusal| OpenErrors::one("spec.data", refusal);
        let secret = open(keyring, legacy, place, declared).map_err(refused)?;
        opened.key_values.insert(secret.key_id, 1);
        let (values, metadata) = whole_secret(&secret.plaintext).ok_or_else(|| refused(Refusal::NotASecret))?;
        opened.values = values;
        opened.legacy = Some(metadata);
    }
    Ok(opened)
}

/// Reads the Secret in JSON inside the whole-Secret form.
fn whole_secret(plaintext: &Plaintext) -> Option<(Values, LegacyMetadata)> {
    #[derive(Deserialize)]
    struct Secret {
        #[serde(default)]
        metadata: Metadata,
        #[serde(default, rename = "type")]
        type_: Option<String>,
        #[serde(default)]
        data: Option<BTreeMap<String, Option<String>>>,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        #[serde(default)]
        labels: Option<BTreeMap<String, String>>,
        #[serde(default)]
        annotations: Option<BTreeMap<String, String>>,
    }
    // Only an object: a list would be read as the fields in their order.
    if !plaintext.expose().trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let secret: Secret = serde_json::from_slice(plaintext.expose()).ok()?;
    let mut values = Values::new();
    let mut whole = true;
    for (key, encoded) in secret.data.unwrap_or_default() {
        // Go writes an empty value as null.
        let mut encoded = encoded.unwrap_or_default();
        match STANDARD.decode(&encoded) {
            Ok(value) => {
                values.insert(key, Plaintext::new(value));
            }
            Err(_) => whole = false,
        }
        encoded.zeroize();
    }
    let metadata = LegacyMetadata {
        labels: secret.metadata.labels.unwrap_or_default(),
        annotations: secret.metadata.annotations.unwrap_or_default(),
        type_: secret.type_.filter(|type_| !type_.is_empty()),
    };
    whole.then_some((values, metadata))
}
