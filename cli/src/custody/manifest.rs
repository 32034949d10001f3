//! Key Secrets as text: the document inside a backup, and the body of a request.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::secret::{OPAQUE, Plaintext};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

use super::key_secret::KeySecret;
use crate::document::emit;

/// What a Secret takes besides its data, at most, with room to spare: the buffers must not grow.
const AROUND: usize = 4096;

/// A Kubernetes List of Secrets in YAML, which `kubectl create -f` takes; `title` stands in comments above it.
pub(crate) fn list(secrets: &[KeySecret], title: &[String]) -> Zeroizing<String> {
    let size: usize = secrets.iter().map(size).sum::<usize>() + title.iter().map(String::len).sum::<usize>() + AROUND;
    let mut text = Zeroizing::new(String::with_capacity(size));
    for line in title {
        text.push_str("# ");
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("apiVersion: v1\nkind: List\nitems:");
    text.push_str(if secrets.is_empty() { " []\n" } else { "\n" });
    for secret in secrets {
        item(&mut text, secret);
    }
    text
}

fn size(secret: &KeySecret) -> usize {
    let values: usize = secret.data.iter().map(|(key, value)| key.len() + value.len() * 2 + 16).sum();
    let words = secret.labels.iter().chain(&secret.annotations);
    // A character of a word takes ten at most: an escape.
    let words: usize = words.map(|(name, value)| (name.len() + value.len() + 16) * 10).sum();
    values + words + AROUND
}

fn item(text: &mut String, secret: &KeySecret) {
    text.push_str("- apiVersion: v1\n  kind: Secret\n  metadata:\n");
    let mut field = |indent: &str, name: &str, value: &str| {
        text.push_str(indent);
        text.push_str(&emit::string(name));
        text.push_str(": ");
        text.push_str(&emit::string(value));
        text.push('\n');
    };
    field("    ", "name", &secret.name);
    if let Some(namespace) = &secret.namespace {
        field("    ", "namespace", namespace);
    }
    for (name, map) in [("labels", &secret.labels), ("annotations", &secret.annotations)] {
        if !map.is_empty() {
            text.push_str("    ");
            text.push_str(name);
            text.push_str(":\n");
            for (key, value) in map {
                let (key, value) = (emit::string(key), emit::string(value));
                // Writing to a string cannot fail.
                writeln!(text, "      {key}: {value}").unwrap_or_default();
            }
        }
    }
    text.push_str("  type: ");
    text.push_str(&emit::string(secret.kind.as_deref().unwrap_or(OPAQUE)));
    text.push('\n');
    if let Some(immutable) = secret.immutable {
        text.push_str(if immutable { "  immutable: true\n" } else { "  immutable: false\n" });
    }
    text.push_str("  data:");
    text.push_str(if secret.data.is_empty() { " {}\n" } else { "\n" });
    for (key, value) in &secret.data {
        text.push_str("    ");
        text.push_str(&emit::string(key));
        // Quoted, since some base64 would read as a number.
        text.push_str(": \"");
        STANDARD.encode_string(value.expose(), text);
        text.push_str("\"\n");
    }
}

/// The comments above a backup.
pub(crate) fn title(namespace: &str, now: Timestamp, of_cluster: bool) -> Vec<String> {
    let source = if of_cluster { "of the controller in namespace" } else { "for a controller in namespace" };
    vec![
        format!("Sealing keys {source} {namespace}, by bulla {} at {now}.", env!("CARGO_PKG_VERSION")),
        "Whoever reads this opens every value that was ever sealed to them.".to_owned(),
        "Into a new cluster: bulla keys restore. Without Bulla, before the controller starts there:".to_owned(),
        format!("  kubectl create namespace {namespace}"),
        "  age -d -i recovery.key backup.age | kubectl create -f -".to_owned(),
        "(not `kubectl apply`, which would keep a copy of each key in an annotation)".to_owned(),
    ]
}

/// The body of a request that creates a Secret in `namespace`.
pub(super) fn body(secret: &KeySecret, name: &str, namespace: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(size(secret)));
    let data = secret.data.iter().map(|(key, value)| (key.as_str(), Encoded(value))).collect();
    let metadata = Metadata { name, namespace, labels: &secret.labels, annotations: &secret.annotations };
    let kind = secret.kind.as_deref().unwrap_or(OPAQUE);
    let body = Body { api_version: "v1", kind: "Secret", metadata, r#type: kind, immutable: secret.immutable, data };
    serde_json::to_writer(&mut *buffer, &body).ok()?;
    Some(buffer)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    immutable: Option<bool>,
    data: BTreeMap<&'a str, Encoded<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
}

struct Encoded<'a>(&'a Plaintext);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len().div_ceil(3) * 4));
        STANDARD.encode_string(self.0.expose(), &mut text);
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same_secret() {
        let odd = ["yes", "", "a: b", "#", "12", "ü\n\t\"'"];
        let words: BTreeMap<_, _> = odd.iter().map(|word| (format!("a/{word}"), (*word).to_owned())).collect();
        let secret = KeySecret {
            name: "12".to_owned(),
            namespace: Some("null".to_owned()),
            kind: Some("kubernetes.io/tls".to_owned()),
            labels: words.clone(),
            annotations: words,
            stored: None,
            immutable: Some(true),
            data: [("a".to_owned(), Plaintext::copy_of(&[0xd7, 0x6d, 0xf8])), ("b".to_owned(), Plaintext::default())]
                .into(),
        };
        let text = list(std::slice::from_ref(&secret), &title("bulla-system", Timestamp::UNIX_EPOCH, true));
        let request = String::from_utf8(body(&secret, "12", "null").unwrap().to_vec()).unwrap();
        for text in [text.as_str(), request.as_str()] {
            let back = KeySecret::parse_all(text).unwrap();
            assert_eq!(back.len(), 1);
            let [back] = back.as_slice() else { unreachable!() };
            assert_eq!((&back.name, &back.namespace, &back.kind), (&secret.name, &secret.namespace, &secret.kind));
            assert_eq!((&back.labels, &back.annotations), (&secret.labels, &secret.annotations));
            assert_eq!(back.immutable, Some(true));
            assert_eq!(back.data.keys().collect::<Vec<_>>(), ["a", "b"]);
            assert!(back.data.iter().all(|(key, value)| value.same_as(secret.data[key].expose())));
        }
    }
}
