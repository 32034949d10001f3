//! What the objects of `external-secrets.io` have in common.
//!
//! Deserialization never fails on JSON that has the outline of an object, so that one odd object cannot end a list or
//! a watch of all of them: a spec that cannot be read is kept as [`Unreadable`], odd metadata and status are read as
//! far as they make sense. Serialization emits only what is set; of a spec that could not be read, nothing.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::condition::Condition;
use crate::lenient::{Reader, condition_from, metadata_from};

/// The API group of External Secrets.
pub const GROUP: &str = "external-secrets.io";
/// The version that we read and watch.
pub const VERSION: &str = "v1";
/// The older version that is served too, with the same schema.
pub const OLDER_VERSION: &str = "v1beta1";
/// `group/version`, as manifests have it.
pub const API_VERSION: &str = "external-secrets.io/v1";

/// Where every path begins.
const ROOT: &str = "spec";

/// Why a spec cannot be read: where and what should be there, never what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where, such as `spec.data[0].remoteRef`.
    pub path: String,
    /// What is wrong there, such as `must be a string`.
    pub problem: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.problem)
    }
}

impl std::error::Error for Unreadable {}

/// Reads a spec. `null` counts as absent wherever it is the value of a field, and so does an absent spec as an empty.
pub(crate) fn spec_from<T: DeserializeOwned>(value: Option<Value>) -> Result<T, Unreadable> {
    let mut value = value.filter(|value| !value.is_null()).unwrap_or_else(|| Value::Object(Map::new()));
    drop_nulls(&mut value);
    // Some types here would also read a list as the fields of a struct.
    if !value.is_object() {
        return Err(Unreadable { path: ROOT.to_owned(), problem: "must be an object".to_owned() });
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let path = if inner == "." { ROOT.to_owned() } else { format!("{ROOT}.{inner}") };
        Unreadable { path, problem: problem_of(&error.into_inner().to_string()) }
    })
}

/// What serde says is wrong, without the value that it quotes. Its sentences begin with what was found and end with
/// `, expected` and what was wanted, which comes from the types and not from the object.
fn problem_of(sentence: &str) -> String {
    if let Some((_, wanted)) = sentence.rsplit_once(", expected ") {
        // What serde calls Rust's shapes is no word for somebody who writes YAML.
        return match wanted {
            "a map" => "must be an object".to_owned(),
            "a sequence" => "must be a list".to_owned(),
            "string or map" => "must be a string".to_owned(),
            "i32" | "i64" | "u32" => "must be a whole number of a sensible size".to_owned(),
            "f64" => "must be a number".to_owned(),
            _ if wanted.starts_with("struct ") => "must be an object".to_owned(),
            // Kubernetes' own types say only their names.
            _ if wanted.chars().all(char::is_alphanumeric) => "must be an object".to_owned(),
            _ => format!("must be {wanted}"),
        };
    }
    let missing = sentence.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    missing.map_or_else(|| "cannot be read".to_owned(), |(field, _)| format!("lacks {field}"))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads a status field by field and leaves out what does not fit: it is ours to overwrite.
pub(crate) fn status_from<T: DeserializeOwned>(value: Option<Value>) -> Option<T> {
    let mut value = value?;
    drop_nulls(&mut value);
    let Value::Object(mut fields) = value else { return None };
    fields.retain(|field, value| {
        let alone = Value::Object(Map::from_iter([(field.clone(), value.clone())]));
        T::deserialize(alone).is_ok()
    });
    T::deserialize(Value::Object(fields)).ok()
}

/// Reads conditions one by one and leaves out what is none.
pub(crate) fn conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let items = Vec::<Value>::deserialize(deserializer)?;
    let mut reader = Reader::default();
    Ok(items.into_iter().filter_map(|item| condition_from(&mut reader, item)).collect())
}

/// Reads metadata as a whole where it decodes, else field by field.
pub(crate) fn metadata(value: Option<Value>) -> ObjectMeta {
    metadata_from(&mut Reader::default(), value)
}

/// What an object of this group needs beside its struct of `metadata`, `spec` and `status`.
macro_rules! external_secrets_object {
    ($object:ident, $spec:ident, $status:ident, $scope:ident, $kind:ident, $plural:ident) => {
        impl $object {
            /// One of that name and spec.
            pub fn new(name: &str, spec: $spec) -> Self {
                let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
                Self { metadata, spec: Ok(spec), status: None }
            }
        }

        impl Default for $object {
            fn default() -> Self {
                Self { metadata: ObjectMeta::default(), spec: Ok($spec::default()), status: None }
            }
        }

        impl kube::Resource for $object {
            type DynamicType = ();
            type Scope = $scope;

            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                $crate::object::GROUP.into()
            }

            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                $crate::object::VERSION.into()
            }

            fn api_version(_: &()) -> std::borrow::Cow<'_, str> {
                $crate::object::API_VERSION.into()
            }

            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }

        impl serde::Serialize for $object {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(serde::Serialize)]
                #[serde(rename_all = "camelCase")]
                struct Object<'a> {
                    api_version: &'a str,
                    kind: &'a str,
                    metadata: &'a ObjectMeta,
                    #[serde(skip_serializing_if = "Option::is_none")]
                    spec: Option<&'a $spec>,
                    #[serde(skip_serializing_if = "Option::is_none")]
                    status: &'a Option<$status>,
                }
                let Self { metadata, spec, status } = self;
                let (api_version, spec) = ($crate::object::API_VERSION, spec.as_ref().ok());
                Object { api_version, kind: $kind, metadata, spec, status }.serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut object = serde_json::Map::<String, serde_json::Value>::deserialize(deserializer)?;
                Ok(Self {
                    metadata: $crate::object::metadata(object.remove("metadata")),
                    spec: $crate::object::spec_from(object.remove("spec")),
                    status: $crate::object::status_from(object.remove("status")),
                })
            }
        }
    };
}
pub(crate) use external_secrets_object;
