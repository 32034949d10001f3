//! The API server's audit log: who called what, so that a test can say what a controller costs.
//!
//! The policy records the metadata of every request and no body, so no secret value gets in here.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

/// The audit policy: every request, once it is answered (a watch: once it has begun).
pub(crate) const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [{"level": "Metadata"}]
}"#;

/// A place in the audit log: count from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditMark(pub(crate) u64);

/// One request to the API server.
#[derive(Clone, Debug)]
pub(crate) struct AuditEntry {
    /// `admin`, `nobody`, `system:serviceaccount:<namespace>:<name>`, `system:apiserver` for its own.
    pub(crate) user: String,
    /// The client's `User-Agent`, empty where it sent none.
    pub(crate) user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub(crate) verb: String,
    /// The plural, `secrets`; empty where the path is not a resource.
    pub(crate) resource: String,
    /// `status`, `token`, or empty.
    pub(crate) subresource: String,
    /// Empty for a request over all namespaces and for cluster-wide resources.
    pub(crate) namespace: String,
    /// Empty for lists, and for a create whose name the server chooses.
    pub(crate) name: String,
    /// The path with its query.
    pub(crate) uri: String,
    /// The HTTP status, 0 if there was none.
    pub(crate) code: u64,
    /// When the request came, in a form that sorts as text.
    pub(crate) at: String,
}

impl AuditEntry {
    /// Whether the request was to change something.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// Whether it is this verb on this resource, written `secrets` or `sealedsecrets/status`.
    pub(crate) fn is(&self, verb: &str, resource: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        self.verb == verb && self.resource == resource && self.subresource == subresource
    }

    /// Whether it came from this service account.
    pub(crate) fn is_from(&self, namespace: &str, service_account: &str) -> bool {
        self.user == format!("system:serviceaccount:{namespace}:{service_account}")
    }
}

/// The requests written at or after `from`, each once (a watch is logged when it begins and when it ends).
pub(crate) fn read(log: &Path, from: AuditMark) -> Vec<AuditEntry> {
    let mut text = Vec::new();
    // The server creates the file with the first request.
    if let Ok(mut file) = File::open(log) {
        file.seek(SeekFrom::Start(from.0)).expect("seeking in the audit log");
        file.read_to_end(&mut text).expect("reading the audit log");
    }
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    // What follows the last line end is still being written.
    for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let value: Value = serde_json::from_slice(line).expect("the audit log is JSON lines");
        if seen.insert(word(&value, "/auditID")) {
            entries.push(entry(&value));
        }
    }
    entries
}

/// The end of the log, after its last complete line as far as it is written.
pub(crate) fn end(log: &Path) -> AuditMark {
    AuditMark(log.metadata().map_or(0, |metadata| metadata.len()))
}

fn entry(value: &Value) -> AuditEntry {
    AuditEntry {
        user: word(value, "/user/username"),
        user_agent: word(value, "/userAgent"),
        verb: word(value, "/verb"),
        resource: word(value, "/objectRef/resource"),
        subresource: word(value, "/objectRef/subresource"),
        namespace: word(value, "/objectRef/namespace"),
        name: word(value, "/objectRef/name"),
        uri: word(value, "/requestURI"),
        code: value.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0),
        at: word(value, "/requestReceivedTimestamp"),
    }
}

fn word(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
