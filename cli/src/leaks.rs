//! Finds plain Secrets among manifests: what must not be committed.
//!
//! By structure, not by pattern: a document of kind Secret with data in it. Sealed values are never reported.

use std::path::{Path, PathBuf};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroize as _;

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
    data: Option<BTreeMap<String, Worth>>,
    string_data: Option<BTreeMap<String, Worth>>,
    items: Option<Vec<Self>>,
    /// Of a Kustomization, which needs no kind.
    #[serde(default)]
    secret_generator: Option<Vec<Generator>>,
    /// SOPS puts this beside values that it has encrypted.
    sops: Option<IgnoredAny>,
}

/// What Kustomize makes a Secret of.
#[derive(Deserialize)]
struct Generator {
    name: Option<String>,
    #[serde(default)]
    literals: Option<Vec<Pair>>,
    #[serde(default)]
    files: Option<Vec<String>>,
    #[serde(default)]
    envs: Option<Vec<String>>,
    env: Option<String>,
}

/// `key=value`, of which the value is not kept.
struct Pair {
    key: String,
    is_empty: bool,
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = String::deserialize(deserializer)?;
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        let pair = Self { key: key.to_owned(), is_empty: value.is_empty() };
        text.zeroize();
        Ok(pair)
    }
}

impl Generator {
    /// What of it is in the clear: literals with a value, and files that lie beside `path`.
    fn gives_away(self, path: &Path) -> Option<(String, Vec<String>)> {
        let literals = self.literals.into_iter().flatten().filter(|pair| !pair.is_empty).map(|pair| pair.key);
        let lies_there = |named: &String| {
            let file = named.split_once('=').map_or(named.as_str(), |(_, file)| file);
            path.parent().is_some_and(|folder| folder.join(file).is_file())
        };
        let files = self.files.into_iter().flatten().chain(self.envs.into_iter().flatten()).chain(self.env);
        let keys: Vec<String> = literals.chain(files.filter(lies_there)).collect();
        (!keys.is_empty()).then(|| (self.name.unwrap_or_default(), keys))
    }
}

/// What a value gives away. The value itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// Empty or null.
    Nothing,
    /// It looks like what SOPS encrypts to.
    Encrypted,
    /// It is in the clear.
    Plain,
}

impl<'de> Deserialize<'de> for Worth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Worth;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Worth, E> {
        Ok(match text {
            "" => Worth::Nothing,
            _ if text.starts_with("ENC[") => Worth::Encrypted,
            _ => Worth::Plain,
        })
    }

    fn visit_unit<E>(self) -> Result<Worth, E> {
        Ok(Worth::Nothing)
    }

    fn visit_none<E>(self) -> Result<Worth, E> {
        Ok(Worth::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Worth, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Worth, E> {
        Ok(Worth::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Worth, E> {
        Ok(Worth::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Worth, E> {
        Ok(Worth::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Worth, E> {
        Ok(Worth::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Worth, E> {
        Ok(Worth::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Worth, E> {
        Ok(Worth::Plain)
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Worth, E> {
        Ok(if bytes.is_empty() { Worth::Nothing } else { Worth::Plain })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Worth, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Worth::Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Worth, A::Error> {
        while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Worth::Plain)
    }
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
}

/// The field of a Kustomization that makes Secrets.
pub(crate) const GENERATOR: &str = "secretGenerator";

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
        for (name, keys) in document.secret_generator.into_iter().flatten().filter_map(|made| made.gives_away(path)) {
            let line = text.lines().position(|line| line.contains(GENERATOR)).map_or(1, |at| at + 1);
            leaks.push(Leak { path: path.to_path_buf(), line, name, keys });
        }
        if document.kind.as_deref() != Some("Secret") {
            continue;
        }
        let line = lines.next().unwrap_or(1);
        // SOPS may have been told to leave some values as they are: its mark excuses only what it has encrypted.
        let is_sops = document.sops.is_some();
        let gives_away = |worth: Worth| worth == Worth::Plain || (worth == Worth::Encrypted && !is_sops);
        let values = [document.data, document.string_data].into_iter().flatten().flatten();
        let keys: Vec<String> = values.filter(|(_, worth)| gives_away(*worth)).map(|(key, _)| key).collect();
        if !keys.is_empty() {
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
    fn sops_excuses_only_what_it_encrypted_and_empty_values_give_nothing_away() {
        let keys =
            |yaml: &str| find(Path::new("x.yaml"), yaml).into_iter().flat_map(|leak| leak.keys).collect::<Vec<_>>();
        let data = "kind: Secret\nstringData: {a: 'ENC[AES256_GCM,data:x]', b: canary, c: '', d: , e: null, f: 7}\n";
        assert_eq!(keys(&format!("{data}sops: {{mac: x}}\n")), ["b", "f"]);
        assert_eq!(keys(data), ["a", "b", "f"]);
        assert_eq!(keys("kind: Secret\ndata:\n  a: !!binary aGk=\n  b: [c]\n  d: {e: f}\n  g:\n"), ["a", "b", "d"]);
        assert_eq!(keys("{\"kind\": \"Secret\", \"data\": {\"a\": null, \"b\": \"\"}}"), [""; 0]);
        assert_eq!(keys("kind: Secret\ndata: {a: true, b: 1.5, c: -3, d: ~}\n").len(), 3);
    }

    #[test]
    fn what_kustomize_makes_secrets_of_is_found() {
        let yaml = "resources: [a.yaml]\nsecretGenerator:\n- name: db\n  literals: [password=canary, empty=]\n  files: [no=there.is]\n";
        let leaks = find(Path::new("kustomization.yaml"), yaml);
        assert_eq!((leaks[0].line, leaks[0].name.as_str()), (2, "db"));
        assert_eq!(leaks[0].keys, ["password"]);
        assert!(find(Path::new("x.yaml"), "secretGenerator: [{name: db, literals: [a=]}]").is_empty());
        assert!(find(Path::new("x.yaml"), "configMapGenerator: [{name: db, literals: [a=b]}]").is_empty());
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
