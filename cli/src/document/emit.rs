//! Writes manifests that a person would have written: a fixed order, no nulls, no status, no `creationTimestamp`, one
//! value a line.

use std::collections::BTreeMap;

use super::scalar::{self, Quote};

/// A SealedSecret to write.
pub(crate) struct SealedManifest {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// In the order in which they are written.
    pub(crate) encrypted_data: Vec<(String, String)>,
    pub(crate) template: SealedTemplate,
}

/// What the Secret is to look like.
#[derive(Default)]
pub(crate) struct SealedTemplate {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) type_: Option<String>,
    pub(crate) immutable: Option<bool>,
    /// Go templates by data key.
    pub(crate) data: BTreeMap<String, String>,
}

impl SealedManifest {
    /// As YAML, without a document marker, with a line end at the end.
    pub(crate) fn to_yaml(&self) -> String {
        yaml(&self.tree())
    }

    /// As JSON, with a line end at the end.
    pub(crate) fn to_json(&self) -> String {
        json(&self.tree())
    }

    fn tree(&self) -> Tree {
        let mut metadata = vec![("name".to_owned(), Tree::Text(self.name.clone()))];
        metadata.extend(self.namespace.iter().map(|namespace| ("namespace".to_owned(), Tree::Text(namespace.clone()))));
        push_map(&mut metadata, "annotations", &self.annotations);

        let values = self.encrypted_data.iter().map(|(key, value)| (key.clone(), Tree::Text(value.clone()))).collect();
        let mut spec = vec![("encryptedData".to_owned(), Tree::Map(values))];
        let template = self.template.fields();
        if !template.is_empty() {
            spec.push(("template".to_owned(), Tree::Map(template)));
        }
        Tree::Map(vec![
            ("apiVersion".to_owned(), Tree::Text(bulla_crds::sealed_secret::API_VERSION.to_owned())),
            ("kind".to_owned(), Tree::Text(bulla_crds::sealed_secret::KIND.to_owned())),
            ("metadata".to_owned(), Tree::Map(metadata)),
            ("spec".to_owned(), Tree::Map(spec)),
        ])
    }
}

impl SealedTemplate {
    fn fields(&self) -> Vec<(String, Tree)> {
        let mut metadata = Vec::new();
        push_map(&mut metadata, "labels", &self.labels);
        push_map(&mut metadata, "annotations", &self.annotations);
        let mut fields = Vec::new();
        if !metadata.is_empty() {
            fields.push(("metadata".to_owned(), Tree::Map(metadata)));
        }
        fields.extend(self.type_.iter().map(|type_| ("type".to_owned(), Tree::Text(type_.clone()))));
        fields.extend(self.immutable.map(|immutable| ("immutable".to_owned(), Tree::Bool(immutable))));
        push_map(&mut fields, "data", &self.data);
        fields
    }
}

/// The little of YAML and JSON that manifests of ours need.
pub(crate) enum Tree {
    /// A string.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A list of strings.
    List(Vec<String>),
    /// Fields in the order in which they are written.
    Map(Vec<(String, Self)>),
}

/// Adds a map of strings, unless it is empty.
pub(crate) fn push_map(fields: &mut Vec<(String, Tree)>, name: &str, map: &BTreeMap<String, String>) {
    if !map.is_empty() {
        let map = map.iter().map(|(key, value)| (key.clone(), Tree::Text(value.clone()))).collect();
        fields.push((name.to_owned(), Tree::Map(map)));
    }
}

/// A string as YAML writes it: bare where that reads back as the same string.
pub(crate) fn string(text: &str) -> String {
    scalar::written(text, Quote::Plain)
}

/// Writes YAML.
pub(crate) fn yaml(tree: &Tree) -> String {
    let mut text = String::new();
    if let Tree::Map(fields) = tree {
        write_yaml(&mut text, fields, 0);
    }
    text
}

fn write_yaml(text: &mut String, fields: &[(String, Tree)], indent: usize) {
    for (name, value) in fields {
        text.extend(std::iter::repeat_n(' ', indent));
        text.push_str(&scalar::written(name, Quote::Plain));
        text.push(':');
        match value {
            Tree::Map(fields) if fields.is_empty() => text.push_str(" {}\n"),
            Tree::Map(fields) => {
                text.push('\n');
                write_yaml(text, fields, indent + 2);
            }
            Tree::List(items) => {
                text.push('\n');
                for item in items {
                    text.extend(std::iter::repeat_n(' ', indent));
                    text.push_str("- ");
                    text.push_str(&scalar::written(item, Quote::Plain));
                    text.push('\n');
                }
            }
            Tree::Bool(value) => text.push_str(if *value { " true\n" } else { " false\n" }),
            Tree::Text(value) => {
                text.push(' ');
                text.push_str(&scalar::written(value, Quote::Plain));
                text.push('\n');
            }
        }
    }
}

/// Writes JSON.
pub(crate) fn json(tree: &Tree) -> String {
    let mut text = String::new();
    write_json(&mut text, tree, 0);
    text.push('\n');
    text
}

fn write_json(text: &mut String, tree: &Tree, indent: usize) {
    match tree {
        Tree::Text(value) => text.push_str(&scalar::written(value, Quote::Double)),
        Tree::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(|item| scalar::written(item, Quote::Double)).collect();
            text.push_str(&format!("[{}]", items.join(", ")));
        }
        Tree::Map(fields) if fields.is_empty() => text.push_str("{}"),
        Tree::Map(fields) => {
            let margin = " ".repeat(indent + 2);
            for (index, (name, value)) in fields.iter().enumerate() {
                text.push_str(if index == 0 { "{\n" } else { ",\n" });
                text.push_str(&margin);
                text.push_str(&scalar::written(name, Quote::Double));
                text.push_str(": ");
                write_json(text, value, indent + 2);
            }
            text.push('\n');
            text.push_str(&margin[2..]);
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{SealedManifest, SealedTemplate, Tree, yaml};

    #[test]
    fn any_string_reads_back_as_itself_from_yaml_and_json() {
        let odd = [
            "",
            " ",
            "a b",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "1e3",
            "0x1f",
            ".5",
            ".inf",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "a\nb",
            "a\r\nb",
            "\t",
            "\u{7f}",
            "\u{85}",
            "\u{feff}",
            "\u{2028}",
            "ünïcode 😀",
            "{{ .password }}",
            "[a]",
            "{a}",
            "a,b",
            ".dockerconfigjson",
            "tls.crt",
            "=",
            "<<",
            "2026-11-21",
            "12:30",
            "AgB+/==",
            "kubernetes.io/tls",
            "\\",
            "+1",
            "_",
            "/x",
        ];
        for text in odd {
            let document = yaml(&Tree::Map(vec![("k".to_owned(), Tree::Text(text.to_owned()))]));
            let read: BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(&document).unwrap();
            assert_eq!(read["k"], serde_json::Value::String(text.to_owned()), "{document}");
            let key = yaml(&Tree::Map(vec![(text.to_owned(), Tree::Bool(true))]));
            let read: BTreeMap<String, bool> = serde_saphyr::from_str(&key).unwrap();
            assert!(read[text], "{key}");
            let json = super::json(&Tree::Map(vec![(text.to_owned(), Tree::Text(text.to_owned()))]));
            let read: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
            assert_eq!(read[text], text);
        }
    }

    #[test]
    fn a_sealed_secret_is_minimal() {
        let manifest = SealedManifest {
            name: "db".to_owned(),
            namespace: Some("prod".to_owned()),
            annotations: BTreeMap::new(),
            encrypted_data: vec![("password".to_owned(), "AgBy8h==".to_owned())],
            template: SealedTemplate::default(),
        };
        let expected = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: prod\nspec:\n  encryptedData:\n    password: AgBy8h==\n";
        assert_eq!(manifest.to_yaml(), expected);
    }
}
