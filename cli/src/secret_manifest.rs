//! Reads plain Secrets in YAML or JSON: what goes into `bulla seal`.
//!
//! Errors say where, never what: a YAML reader's own messages quote the line, and these lines hold secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::Scope;
use bulla::secret::{Plaintext, Values};
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::failure::{Outcome, refuse};

/// A plain Secret, before it is sealed.
#[derive(Default)]
pub(crate) struct SecretManifest {
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
    /// The scope that its annotations ask for, as kubeseal reads them.
    pub(crate) scope: Option<Scope>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) type_: Option<String>,
    pub(crate) immutable: Option<bool>,
    pub(crate) values: Values,
}

/// Annotations in which tools keep a copy of the whole Secret in the clear.
const COPIES: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "kubecfg.ksonnet.io/last-applied-configuration"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    metadata: Option<RawMetadata>,
    #[serde(default, rename = "type")]
    type_: Option<String>,
    #[serde(default)]
    immutable: Option<bool>,
    #[serde(default)]
    data: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    string_data: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    items: Option<Vec<Self>>,
}

#[derive(Default, Deserialize)]
struct RawMetadata {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        for map in [&mut self.data, &mut self.string_data].into_iter().flatten() {
            map.values_mut().for_each(zeroize::Zeroize::zeroize);
        }
    }
}

/// Reads every Secret of a file; lists count. `name` is what the file is called in messages.
pub(crate) fn parse(text: &str, name: &str) -> Outcome<Vec<SecretManifest>> {
    let documents: Vec<Option<Raw>> = serde_saphyr::from_multiple(text).map_err(|error| {
        let at =
            error.location().map_or_else(String::new, |at| format!(" at line {}, column {}", at.line(), at.column()));
        refuse!("{name} is not a Secret in YAML or JSON{at} (the line itself is not shown: it may hold a secret)")
    })?;
    let mut secrets = Vec::new();
    for (index, raw) in documents.into_iter().flatten().enumerate() {
        add(raw, &format!("{name}, document {}", index + 1), &mut secrets)?;
    }
    if secrets.is_empty() {
        return Err(refuse!("{name} holds no Secret"));
    }
    Ok(secrets)
}

fn add(mut raw: Raw, place: &str, secrets: &mut Vec<SecretManifest>) -> Outcome {
    if let Some(items) = raw.items.take() {
        for (index, item) in items.into_iter().enumerate() {
            add(item, &format!("{place}, item {}", index + 1), secrets)?;
        }
        return Ok(());
    }
    match raw.kind.as_deref() {
        Some("Secret") => {}
        Some("SealedSecret") => {
            return Err(refuse!("{place} is a SealedSecret already: to change a value of it use `bulla set`"));
        }
        Some(kind) => return Err(refuse!("{place} is a {kind}, not a Secret")),
        None => return Err(refuse!("{place} has no kind: expected `kind: Secret`")),
    }
    let metadata = raw.metadata.take().unwrap_or_default();
    let mut annotations = metadata.annotations.unwrap_or_default();
    let scope = Scope::from_annotations(|name| annotations.get(name).map(String::as_str));
    annotations.retain(|name, copy| {
        if COPIES.contains(&name.as_str()) {
            copy.zeroize();
            return false;
        }
        name != Scope::CLUSTER_WIDE_ANNOTATION && name != Scope::NAMESPACE_WIDE_ANNOTATION
    });
    secrets.push(SecretManifest {
        name: metadata.name,
        namespace: metadata.namespace,
        scope: (scope != Scope::Strict).then_some(scope),
        labels: metadata.labels.unwrap_or_default(),
        annotations,
        type_: raw.type_.take(),
        immutable: raw.immutable,
        values: values(&mut raw, place)?,
    });
    Ok(())
}

/// `data` decoded, overlaid by `stringData`, as the API server does.
fn values(raw: &mut Raw, place: &str) -> Outcome<Values> {
    let mut values = Values::new();
    for (key, encoded) in raw.data.iter().flatten() {
        let encoded = Zeroizing::new(
            encoded.as_deref().unwrap_or_default().chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>(),
        );
        let value = STANDARD
            .decode(encoded.as_bytes())
            .map_err(|_| refuse!("{place}: data.{key} is not base64; put plain text under stringData instead"))?;
        values.insert(key.clone(), Plaintext::new(value));
    }
    for (key, text) in raw.string_data.iter_mut().flatten() {
        values.insert(key.clone(), Plaintext::from(text.take().unwrap_or_default()));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn string_data_overlays_data_and_copies_in_annotations_are_dropped() {
        let text = "
apiVersion: v1
kind: Secret
metadata:
  name: db
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"a\":\"clear\"}}'
    team: payments
data:
  a: b25l
  b: dHdv
stringData:
  b: three
";
        let secrets = parse(text, "db.yaml").unwrap_or_else(|_| panic!("parses"));
        let [secret] = secrets.as_slice() else { panic!("one Secret") };
        assert!(secret.values["a"].same_as(b"one"));
        assert!(secret.values["b"].same_as(b"three"));
        assert_eq!(secret.annotations.keys().collect::<Vec<_>>(), ["team"]);
    }
}
