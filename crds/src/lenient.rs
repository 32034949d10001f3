//! Reading untyped JSON without failing.
//!
//! One object that a typed decoder refuses ends a list or a watch of all of them. An API server may well hold such an
//! object: stored under an older schema, or let through by a field that preserves what it does not know. So we take
//! what has the right shape, note the rest as [`Oddity`], and let the controller say so on that one object.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::condition::{Condition, ConditionStatus};

/// Something in an object that is not of the type it should be, and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Where, such as `spec.encryptedData.password`.
    pub path: String,
    /// What should be there.
    pub wanted: &'static str,
    /// What is there; its type only, never the value.
    pub found: &'static str,
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}, but is {}", self.path, self.wanted, self.found)
    }
}

/// Takes fields out of JSON and notes those of a wrong type. `null` counts as absent, except as a map's value.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was of a wrong type, in the order of reading.
    pub oddities: Vec<Oddity>,
}

impl Reader {
    /// Notes that `found` is not what it should be.
    pub fn note(&mut self, path: impl Into<String>, wanted: &'static str, found: &Value) {
        self.oddities.push(Oddity { path: path.into(), wanted, found: kind_of(found) });
    }

    /// An object.
    pub fn object(&mut self, path: &str, value: Option<Value>) -> Option<Map<String, Value>> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => {
                self.note(path, "an object", &other);
                None
            }
        }
    }

    /// A string.
    pub fn string(&mut self, path: &str, value: Option<Value>) -> Option<String> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.note(path, "a string", &other);
                None
            }
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, path: &str, value: Option<Value>) -> Option<bool> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::Bool(truth)) => Some(truth),
            Some(other) => {
                self.note(path, "true or false", &other);
                None
            }
        }
    }

    /// A whole number of 64 bits.
    pub fn integer(&mut self, path: &str, value: Option<Value>) -> Option<i64> {
        match value {
            None | Some(Value::Null) => None,
            Some(other) => other.as_i64().or_else(|| {
                self.note(path, "a whole number", &other);
                None
            }),
        }
    }

    /// A map of strings; entries that are not strings are noted one by one and left out.
    pub fn strings_by_key(&mut self, path: &str, value: Option<Value>) -> BTreeMap<String, String> {
        let mut strings = BTreeMap::new();
        for (key, value) in self.object(path, value).into_iter().flatten() {
            if let Value::String(text) = value {
                strings.insert(key, text);
            } else {
                self.note(format!("{path}.{key}"), "a string", &value);
            }
        }
        strings
    }

    /// A map of whole numbers; entries that are none are noted one by one and left out.
    pub fn integers_by_key(&mut self, path: &str, value: Option<Value>) -> BTreeMap<String, i64> {
        let mut numbers = BTreeMap::new();
        for (key, value) in self.object(path, value).into_iter().flatten() {
            if let Some(number) = self.integer(&format!("{path}.{key}"), Some(value)) {
                numbers.insert(key, number);
            }
        }
        numbers
    }

    /// A list of strings; items that are not strings are noted one by one and left out.
    pub fn strings(&mut self, path: &str, value: Option<Value>) -> Vec<String> {
        let mut strings = Vec::new();
        for (index, value) in self.list(path, value).into_iter().enumerate() {
            if let Value::String(text) = value {
                strings.push(text);
            } else {
                self.note(format!("{path}[{index}]"), "a string", &value);
            }
        }
        strings
    }

    /// A list.
    pub fn list(&mut self, path: &str, value: Option<Value>) -> Vec<Value> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.note(path, "a list", &other);
                Vec::new()
            }
        }
    }

    /// Anything else that is decoded by its own rules, such as a time.
    pub fn typed<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        wanted: &'static str,
        value: Option<Value>,
    ) -> Option<T> {
        match value {
            None | Some(Value::Null) => None,
            Some(value) => T::deserialize(&value).ok().or_else(|| {
                self.note(path, wanted, &value);
                None
            }),
        }
    }
}

/// A condition without a type states nothing and is left out.
pub(crate) fn condition_from(reader: &mut Reader, value: Value) -> Option<Condition> {
    let mut fields = reader.object("status.conditions[]", Some(value))?;
    let mut take = |field: &str| fields.remove(field);
    let status = take("status");
    Some(Condition {
        r#type: reader.string("status.conditions[].type", take("type"))?,
        status: reader
            .typed::<ConditionStatus>("status.conditions[].status", "True, False or Unknown", status)
            .unwrap_or_default(),
        observed_generation: reader.integer("status.conditions[].observedGeneration", take("observedGeneration")),
        last_update_time: reader.typed("status.conditions[].lastUpdateTime", "a time", take("lastUpdateTime")),
        last_transition_time: reader.typed(
            "status.conditions[].lastTransitionTime",
            "a time",
            take("lastTransitionTime"),
        ),
        reason: reader.string("status.conditions[].reason", take("reason")),
        message: reader.string("status.conditions[].message", take("message")),
    })
}

/// Metadata as a whole where it decodes, else field by field. The API server keeps metadata well-typed; files may not.
pub(crate) fn metadata_from(reader: &mut Reader, value: Option<Value>) -> ObjectMeta {
    let fields = reader.object("metadata", value).unwrap_or_default();
    let mut good = Value::Object(fields);
    if let Ok(metadata) = ObjectMeta::deserialize(&good) {
        return metadata;
    }
    if let Some(fields) = good.as_object_mut() {
        for (field, path) in [("labels", "metadata.labels"), ("annotations", "metadata.annotations")] {
            if let Some(value) = fields.get_mut(field) {
                let strings = reader.strings_by_key(path, Some(value.take()));
                *value = strings.into_iter().map(|(key, text)| (key, Value::String(text))).collect();
            }
        }
        fields.retain(|field, value| {
            let alone = Value::Object(Map::from_iter([(field.clone(), value.clone())]));
            let fits = ObjectMeta::deserialize(&alone).is_ok();
            if !fits {
                reader.note(format!("metadata.{field}"), "as Kubernetes defines it", value);
            }
            fits
        });
    }
    ObjectMeta::deserialize(&good).unwrap_or_default()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string of another form",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
