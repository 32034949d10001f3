//! Finds plain Secrets among manifests: what must not be committed.
//!
//! By structure, not by pattern: a document of kind Secret with data in it. Sealed values are never reported.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// A plain Secret in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    /// The file.
    pub(crate) path: PathBuf,
    /// The line of its `kind`, counted from 1.
    pub(crate) line: usize,
    /// Name of the Secret.
    pub(crate) name: String,
    /// Its data keys.
    pub(crate) keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    kind: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    data: Option<BTreeMap<String, IgnoredAny>>,
    string_data: Option<BTreeMap<String, IgnoredAny>>,
    items: Option<Vec<Self>>,
    /// SOPS puts this beside values that it has encrypted.
    sops: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
}

/// The plain Secrets of one file. A file that is not YAML or JSON has none.
pub(crate) fn find(path: &Path, text: &str) -> Vec<Leak> {
    look(path, text).unwrap_or_default()
}

/// The plain Secrets of one file; `None` if it cannot be read as manifests.
pub(crate) fn look(path: &Path, text: &str) -> Option<Vec<Leak>> {
    let documents = serde_saphyr::from_multiple::<Option<Document>>(text).ok()?;
    // Where the words `kind: Secret` stand, in order: good enough to send somebody to the line.
    let is_kind = |line: &str| {
        let words: String = line.chars().filter(|c| !matches!(c, '"' | '\'' | ' ' | ',' | '-')).collect();
        words == "kind:Secret"
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| is_kind(line)).map(|(at, _)| at + 1);
    let mut leaks = Vec::new();
    let mut queue: Vec<Document> = documents.into_iter().flatten().collect();
    queue.reverse();
    while let Some(document) = queue.pop() {
        queue.extend(document.items.into_iter().flatten().rev());
        if document.kind.as_deref() != Some("Secret") {
            continue;
        }
        let line = lines.next().unwrap_or(1);
        let keys: Vec<String> =
            [document.data, document.string_data].into_iter().flatten().flat_map(BTreeMap::into_keys).collect();
        if !keys.is_empty() && document.sops.is_none() {
            let name = document.metadata.name.unwrap_or_default();
            leaks.push(Leak { path: path.to_path_buf(), line, name, keys });
        }
    }
    Some(leaks)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;

    #[test]
    fn a_plain_secret_is_found_also_when_kind_comes_last_and_in_json_and_lists() {
        let yaml = "data:\n  a: b25l\nmetadata: {name: one}\nkind: Secret\n---\nkind: ConfigMap\ndata: {a: b}\n";
        let leaks = find(Path::new("x.yaml"), yaml);
        assert_eq!(leaks.len(), 1);
        assert_eq!(
            (leaks[0].line, leaks[0].name.as_str(), leaks[0].keys.as_slice()),
            (4, "one", &["a".to_owned()][..])
        );
        let json =
            r#"{"kind": "List", "items": [{"kind": "Secret", "metadata": {"name": "two"}, "stringData": {"b": "c"}}]}"#;
        assert_eq!(find(Path::new("x.json"), json)[0].name, "two");
    }

    #[test]
    fn sealed_and_empty_ones_are_not() {
        let sealed = "kind: SealedSecret\nspec: {encryptedData: {a: AgBy}}\n---\nkind: Secret\nmetadata: {name: a}\n";
        assert!(find(Path::new("x.yaml"), sealed).is_empty());
        let sops = "kind: Secret\ndata: {a: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: x}\n";
        assert!(find(Path::new("x.yaml"), sops).is_empty());
        assert!(find(Path::new("x.yaml"), "not: [yaml").is_empty());
    }
}
