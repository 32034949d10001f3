//! The one SealedSecret of a request, as JSON values: what is not ours to change goes back as it came.

use serde_json::{Map, Value};

use bulla_crds::sealed_secret::{API_VERSION, KIND};

use super::parse::parse;
use crate::seal::{Resealed, Scope};

/// What only the API server writes, and what would be a copy of the old values.
const SERVER_FIELDS: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// `kubectl apply` keeps the whole object in here, with the values as they were.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A SealedSecret.
pub(super) struct Document {
    object: Map<String, Value>,
}

/// Why a body is not one SealedSecret: of its form only, never of what opens.
pub(super) type Malformed = &'static str;

impl Document {
    /// Reads JSON, or YAML with one document.
    pub(super) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
        let value = parse(text)?;
        let Value::Object(object) = value else { return Err("the body is not an object") };
        let document = Self { object };
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), Malformed> {
        let is = |field: &str, wanted: &str| self.object.get(field).is_some_and(|value| value == wanted);
        if !is("apiVersion", API_VERSION) || !is("kind", KIND) {
            return Err("the object is not a bitnami.com/v1alpha1 SealedSecret");
        }
        if !matches!(self.object.get("metadata"), Some(Value::Object(_))) {
            return Err("the object has no metadata");
        }
        if !matches!(self.object.get("spec"), Some(Value::Object(_))) {
            return Err("the object has no spec");
        }
        for field in ["name", "namespace"] {
            match self.metadata(field) {
                None | Some(Value::Null) => {}
                Some(Value::String(name)) if is_name(name) => {}
                Some(_) => return Err("metadata.name or metadata.namespace is not a name that Kubernetes allows"),
            }
        }
        match self.metadata("annotations") {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return Err("metadata.annotations is not an object"),
        }
        match self.spec("encryptedData") {
            None | Some(Value::Null) => {}
            Some(Value::Object(values)) if values.values().all(Value::is_string) => {}
            Some(_) => return Err("spec.encryptedData is not an object of texts"),
        }
        match self.spec("data") {
            None | Some(Value::Null | Value::String(_)) => Ok(()),
            Some(_) => Err("spec.data is not a text"),
        }
    }

    fn metadata(&self, field: &str) -> Option<&Value> {
        self.object.get("metadata")?.get(field)
    }

    fn spec(&self, field: &str) -> Option<&Value> {
        self.object.get("spec")?.get(field)
    }

    /// Its namespace; empty where it names none.
    pub(super) fn namespace(&self) -> &str {
        self.metadata("namespace").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name; empty where it has none.
    pub(super) fn name(&self) -> &str {
        self.metadata("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// What its own annotations declare. Those of the template concern the Secret to make and are anybody's word.
    pub(super) fn declared(&self) -> Scope {
        let annotations = self.metadata("annotations");
        Scope::from_annotations(|name| annotations?.get(name)?.as_str())
    }

    /// The sealed values by data key, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.spec("encryptedData").and_then(Value::as_object).into_iter().flatten();
        values.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// The deprecated form that seals a whole Secret as one value, where it is used.
    pub(super) fn legacy(&self) -> Option<&str> {
        self.spec("data").and_then(Value::as_str).filter(|legacy| !legacy.is_empty())
    }

    /// The object with these values instead of the old ones, without status and what the API server added, in JSON.
    pub(super) fn with(mut self, resealed: &Resealed) -> Option<Vec<u8>> {
        self.object.shift_remove("status");
        if let Some(Value::Object(metadata)) = self.object.get_mut("metadata") {
            for field in SERVER_FIELDS {
                metadata.shift_remove(field);
            }
            if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                annotations.shift_remove(LAST_APPLIED);
            }
        }
        if let Some(Value::Object(values)) = self.object.get_mut("spec").and_then(|spec| spec.get_mut("encryptedData"))
        {
            for (key, sealed) in resealed.changes() {
                if let Some(value) = values.get_mut(key) {
                    *value = Value::String(sealed.to_owned());
                }
            }
        }
        let mut json = serde_json::to_vec(&self.object).ok()?;
        json.push(b'\n');
        Some(json)
    }
}

/// A DNS name (RFC 1123) as far as it matters here: it cannot hold the slash that joins namespace and name.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    name.len() <= 253 && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::seal::{KeyId, Outcome};

    fn read(value: &Value) -> Result<Document, Malformed> {
        Document::read(value.to_string().as_bytes())
    }

    fn plain() -> Value {
        json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": "db", "namespace": "prod"}, "spec": {"encryptedData": {"a": "AgA="}},
        })
    }

    #[test]
    fn json_and_yaml_say_the_same_and_several_documents_are_refused() {
        let yaml = "---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: prod\nspec:\n  encryptedData:\n    a: AgA=\n";
        for body in [plain().to_string(), yaml.to_owned(), yaml[4..].to_owned(), format!("  {}\n", plain())] {
            let document = Document::read(body.as_bytes()).unwrap();
            assert_eq!((document.namespace(), document.name(), document.legacy()), ("prod", "db", None));
            assert_eq!(document.values().collect::<Vec<_>>(), [("a", "AgA=")]);
        }
        for body in [format!("{yaml}{yaml}"), format!("{}{}", plain(), plain()), format!("{}\n---\n{yaml}", plain())] {
            assert!(Document::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_not_one_sealed_secret_is_refused_by_its_form() {
        let with = |path: &str, value: Value| {
            let mut object = plain();
            *object.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
            object
        };
        let bad = [
            json!([]),
            json!({}),
            json!("text"),
            with("/kind", json!("Secret")),
            with("/apiVersion", json!("v1")),
            with("/metadata", json!(null)),
            with("/spec", json!([])),
            with("/metadata/name", json!(7)),
            with("/metadata/name", json!("prod/db")),
            with("/metadata/namespace", json!("Prod")),
            with("/metadata/namespace", json!("x".repeat(254))),
            with("/spec/encryptedData", json!({"a": 1})),
            with("/spec/encryptedData", json!({"a": null})),
            with("/spec/encryptedData", json!("a")),
            with("/spec", json!({"data": 1})),
        ];
        for object in bad {
            assert!(read(&object).is_err(), "{object}");
        }
        for body in [&b""[..], b"\xff\xfe", b"{", b"a: [", b"&a [*a]", b"\0"] {
            assert!(Document::read(body).is_err(), "{body:?}");
        }
        let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert!(Document::read(deep.as_bytes()).is_err());
        let deep = format!("a: {}", "[".repeat(100_000));
        assert!(Document::read(deep.as_bytes()).is_err());
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let all = vec![format!("*a{}", level - 1); 10].join(",");
            laughs += &format!("a{level}: &a{level} [{all}]\n");
        }
        assert!(Document::read(laughs.as_bytes()).is_err());
    }

    #[test]
    fn the_scope_is_the_objects_own_word() {
        let annotated = |at: &str, annotation: &str| {
            let mut object = plain();
            let metadata = json!({"name": "db", "namespace": "prod", "annotations": {annotation: "true"}});
            match at {
                "object" => object["metadata"] = metadata,
                _ => object["spec"]["template"] = json!({"metadata": metadata}),
            }
            read(&object).unwrap().declared()
        };
        for (annotation, scope) in [
            (Scope::CLUSTER_WIDE_ANNOTATION, Scope::ClusterWide),
            (Scope::NAMESPACE_WIDE_ANNOTATION, Scope::NamespaceWide),
        ] {
            assert_eq!(annotated("object", annotation), scope);
            assert_eq!(annotated("template", annotation), Scope::Strict);
        }
    }

    #[test]
    fn only_stale_values_server_fields_and_the_status_change() {
        let mut object = plain();
        object["spec"]["encryptedData"] = json!({"z": "old", "a": "kept"});
        object["spec"]["template"] = json!({
            "metadata": {"creationTimestamp": null, "labels": {"b": "1", "a": "2"}}, "type": "Opaque",
            "data": {"url": "{{ .a }}"}, "unknown": [1.5, null],
        });
        object["spec"]["future"] = json!({"x": true});
        object["metadata"]["labels"] = json!({"team": "payments"});
        object["metadata"]["finalizers"] = json!(["a/b"]);
        let mut expected = object.clone();
        expected["spec"]["encryptedData"]["z"] = json!("new");
        expected["metadata"]["annotations"] = json!({"note": "n"});
        object["metadata"]["annotations"] = json!({"note": "n", LAST_APPLIED: "{}"});
        for field in SERVER_FIELDS {
            object["metadata"][field] = json!("x");
        }
        object["status"] = json!({"observedGeneration": 4});
        let key = KeyId::of(b"");
        let changed = Outcome::Resealed { from: key, to: key, sealed: "new".to_owned() };
        let resealed = Resealed { values: vec![("z".to_owned(), changed), ("a".to_owned(), Outcome::Kept { key })] };
        let json = read(&object).unwrap().with(&resealed).unwrap();
        // As text: the order of the fields is kept too.
        assert_eq!(String::from_utf8(json).unwrap(), format!("{expected}\n"));
    }
}
