//! New SealedSecret files: minimal, in a fixed order, without nulls and without status.
//!
//! `creationTimestamp: null` or an empty `status` makes a GitOps tool report a difference for ever, and a wandering
//! order makes a diff unreadable: hence one writer for all verbs.

use std::collections::BTreeMap;

use bulla_crds::sealed_secret::{API_VERSION, KIND, SealedSecret, SecretTemplate};
use serde_json::{Map, Value};

use super::scalar::{self, Quote};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Block style, two spaces, values on one line.
    Yaml,
    /// Two spaces.
    Json,
}

/// The object as a file, with a last line break. Of the metadata only name, namespace, labels and annotations.
pub(crate) fn emit(object: &SealedSecret, format: Format) -> String {
    let value = Value::Object(ordered(object));
    let mut out = String::new();
    match format {
        Format::Yaml => write_yaml(&mut out, &value, 0),
        // Formatting with `#` is pretty-printing that cannot fail.
        Format::Json => out = format!("{value:#}\n"),
    }
    out
}

fn ordered(object: &SealedSecret) -> Map<String, Value> {
    let metadata = &object.metadata;
    let mut meta = Map::new();
    put(&mut meta, "name", metadata.name.clone());
    put(&mut meta, "namespace", metadata.namespace.clone());
    put(
        &mut meta,
        "labels",
        metadata.labels.as_ref().and_then(strings),
    );
    put(
        &mut meta,
        "annotations",
        metadata.annotations.as_ref().and_then(strings),
    );

    let mut spec = Map::new();
    // Required by the schema, so it is there even when empty.
    let encrypted =
        strings(&object.spec.encrypted_data).unwrap_or_else(|| Value::Object(Map::new()));
    put(&mut spec, "encryptedData", Some(encrypted));
    put(&mut spec, "data", object.spec.data.clone());
    put(
        &mut spec,
        "template",
        object.spec.template.as_ref().and_then(template),
    );

    let mut root = Map::new();
    put(&mut root, "apiVersion", Some(API_VERSION));
    put(&mut root, "kind", Some(KIND));
    put(&mut root, "metadata", Some(meta));
    put(&mut root, "spec", Some(spec));
    root
}

fn template(template: &SecretTemplate) -> Option<Value> {
    let from = &template.metadata;
    let mut metadata = Map::new();
    put(&mut metadata, "name", from.name.clone());
    put(&mut metadata, "namespace", from.namespace.clone());
    put(&mut metadata, "labels", strings(&from.labels));
    put(&mut metadata, "annotations", strings(&from.annotations));
    put(
        &mut metadata,
        "finalizers",
        (!from.finalizers.is_empty()).then(|| from.finalizers.clone()),
    );
    let mut out = Map::new();
    put(
        &mut out,
        "metadata",
        (!metadata.is_empty()).then_some(metadata),
    );
    put(&mut out, "type", template.r#type.clone());
    put(&mut out, "immutable", template.immutable);
    put(&mut out, "data", strings(&template.data));
    (!out.is_empty()).then_some(Value::Object(out))
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn strings(by_key: &BTreeMap<String, String>) -> Option<Value> {
    let map: Map<_, _> = by_key
        .iter()
        .map(|(key, text)| (key.clone(), Value::String(text.clone())))
        .collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// A value of a map is written behind its key's colon, where the writer stands.
fn write_yaml(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(map) => {
            if depth > 0 {
                out.push('\n');
            }
            for (key, value) in map {
                out.push_str(&indent);
                scalar::write(out, key, Quote::Plain);
                out.push(':');
                write_yaml(out, value, depth + 1);
            }
        }
        Value::Array(items) => {
            // Only lists of strings occur here; they stand at the indentation of their key, as kubectl writes them.
            out.push('\n');
            for item in items {
                out.push_str(&indent[2.min(indent.len())..]);
                out.push('-');
                write_yaml(out, item, depth + 1);
            }
        }
        Value::String(text) if is_block(text) => write_literal(out, text, &indent),
        Value::String(text) => {
            out.push(' ');
            scalar::write(out, text, Quote::Plain);
            out.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push(' ');
            out.push_str(&value.to_string());
            out.push('\n');
        }
    }
}

/// Several lines that a literal block shows as they are: a template, mostly.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(|line| !line.ends_with([' ', '\t']))
        && body
            .chars()
            .all(|c| c == '\n' || c == '\t' || scalar::is_printable(c))
}

fn write_literal(out: &mut String, text: &str, indent: &str) {
    out.push_str(if text.ends_with('\n') {
        " |\n"
    } else {
        " |-\n"
    });
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use bulla_crds::{SealedSecretSpec, TemplateMetadata};

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn object() -> SealedSecret {
        let mut object = SealedSecret::new(
            "db",
            SealedSecretSpec {
                encrypted_data: map(&[
                    ("password", "AgB+/="),
                    (".dockerconfigjson", "AgC"),
                    ("a b", "1234"),
                    ("yes", "no"),
                ]),
                template: Some(SecretTemplate {
                    metadata: TemplateMetadata {
                        labels: map(&[("app.kubernetes.io/name", "db"), ("tier", "1")]),
                        annotations: map(&[("note", "it's: \"odd\" # no comment")]),
                        finalizers: vec!["a/b".to_owned(), "true".to_owned()],
                        ..TemplateMetadata::default()
                    },
                    r#type: Some("kubernetes.io/basic-auth".to_owned()),
                    immutable: Some(true),
                    data: map(&[
                        ("conf", "a = {{ .a }}\n\n# b\nb: 'c'\n"),
                        ("one", "{{ .one }}"),
                        ("odd", "  x\n y\n\n"),
                    ]),
                }),
                ..SealedSecretSpec::default()
            },
        );
        object.metadata.namespace = Some("prod".to_owned());
        object.metadata.annotations =
            Some(map(&[("sealedsecrets.bitnami.com/cluster-wide", "true")]));
        object
    }

    #[test]
    fn the_yaml_is_minimal_and_in_order() {
        let expected = r#"apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata:
  name: db
  namespace: prod
  annotations:
    sealedsecrets.bitnami.com/cluster-wide: "true"
spec:
  encryptedData:
    .dockerconfigjson: AgC
    "a b": "1234"
    password: AgB+/=
    "yes": "no"
  template:
    metadata:
      labels:
        app.kubernetes.io/name: db
        tier: "1"
      annotations:
        note: "it's: \"odd\" # no comment"
      finalizers:
      - a/b
      - "true"
    type: kubernetes.io/basic-auth
    immutable: true
    data:
      conf: |
        a = {{ .a }}

        # b
        b: 'c'
      odd: "  x\n y\n\n"
      one: "{{ .one }}"
"#;
        assert_eq!(emit(&object(), Format::Yaml), expected);
    }

    #[test]
    fn both_formats_read_back_as_the_same_object() {
        let from_yaml: SealedSecret =
            serde_saphyr::from_str(&emit(&object(), Format::Yaml)).unwrap();
        assert_eq!(from_yaml, object());
        let json = emit(&object(), Format::Json);
        let from_json: SealedSecret = serde_json::from_str(&json).unwrap();
        assert_eq!(from_json, object());
        assert!(
            json.starts_with("{\n  \"apiVersion\"") && json.ends_with("}\n"),
            "{json}"
        );
    }

    #[test]
    fn an_empty_object_has_its_required_map_and_nothing_else() {
        let text = emit(
            &SealedSecret::new("x", SealedSecretSpec::default()),
            Format::Yaml,
        );
        assert_eq!(
            text,
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: x\nspec:\n  encryptedData: {}\n"
        );
    }

    #[test]
    fn long_values_stay_on_one_line() {
        let value = "YWdl".repeat(100_000);
        let spec = SealedSecretSpec {
            encrypted_data: map(&[("k", &value)]),
            ..SealedSecretSpec::default()
        };
        let text = emit(&SealedSecret::new("x", spec), Format::Yaml);
        assert!(text.ends_with(&format!("\n    k: {value}\n")));
    }
}
