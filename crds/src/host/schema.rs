//! The JSON schema of a Host document, for editors and for whoever checks documents without Bulla.
//!
//! Shapes and descriptions come from the Rust types; the rules that a schema can say are added here. What it cannot say
//! is in `validate`.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema as _, Schema};
use serde_json::{Map, Value, json};

use super::{API_VERSION, Host, KIND};

/// Where the schema is published.
const ID: &str = "https://raw.githubusercontent.com/bulla-dev/bulla/main/crds/schema/host.json";

const MODE: &str = "^[0-1]?[0-7]{2}[0-7]$";
const PATH: &str = "^/[^/]";
const DURATION: &str = "^(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?$";
const OBJECT: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
const KEY: &str = "^[-._a-zA-Z0-9]{1,253}$";

/// The schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Host>();
    Sentences.transform(&mut schema);
    let mut schema = schema.to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".to_owned(), json!(ID));
        root.insert("title".to_owned(), json!(Host::schema_name()));
    }
    for (place, added) in rules() {
        if let (Some(target), Value::Object(added)) = (at(&mut schema, place), added) {
            target.extend(added);
        }
    }
    schema
}

/// What is added, and where: the type (or nothing for the document) and its property, if it is of one.
fn rules() -> Vec<((&'static str, &'static str), Value)> {
    let one_of = |fields: &[&str]| {
        let each = fields.iter().map(|field| json!({"required": [field]}));
        json!({"oneOf": each.collect::<Vec<_>>()})
    };
    let of = |pattern: &str| json!({"pattern": pattern});
    let items = |pattern: &str| json!({"items": {"type": "string", "pattern": pattern}, "uniqueItems": true});
    vec![
        (("", "apiVersion"), json!({"const": API_VERSION})),
        (("", "kind"), json!({"const": KIND})),
        (("HostMetadata", "name"), of(OBJECT)),
        (("HostMetadata", "namespace"), of(OBJECT)),
        (("HostSpec", "hosts"), items(OBJECT)),
        (("HostSpec", "groups"), items(OBJECT)),
        (("HostFile", ""), one_of(&["secret", "template", "inline", "source"])),
        (("HostFile", "path"), of(PATH)),
        (("HostFile", "mode"), of(MODE)),
        (("SecretValue", "key"), of(KEY)),
        (("SecretValue", "name"), of(OBJECT)),
        (("SecretName", "name"), of(OBJECT)),
        (("SecretName", "as"), of("^[a-zA-Z_][a-zA-Z0-9_]*$")),
        (("HostUnit", ""), one_of(&["inline", "source"])),
        (("CronJob", "name"), of("^[a-zA-Z0-9_][-_a-zA-Z0-9]*$")),
        (("CronJob", "command"), of("^[^\\n\\r]+$")),
        (("HealthCheck", "within"), of(DURATION)),
        (("HealthCheck", "for"), of(DURATION)),
        (("HttpCheck", "url"), of("^https?://[^/]")),
        (("HttpCheck", "status"), json!({"items": {"type": "integer", "minimum": 100, "maximum": 599}})),
    ]
}

fn at<'s>(schema: &'s mut Value, (kind, property): (&str, &str)) -> Option<&'s mut Map<String, Value>> {
    let schema = if kind.is_empty() { schema } else { schema.get_mut("$defs")?.get_mut(kind)? };
    let schema = if property.is_empty() { schema } else { schema.get_mut("properties")?.get_mut(property)? };
    schema.as_object_mut()
}

/// Descriptions are sentences, not lines of source.
struct Sentences;

impl Transform for Sentences {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ").replace("[`", "`").replace("`]", "`");
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_place() {
        let mut schema = schema();
        for (place, _) in rules() {
            assert!(at(&mut schema, place).is_some(), "{place:?}");
        }
    }
}
