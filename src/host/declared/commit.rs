//! What stands in the manifests of a commit, as far as it is for this host.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use bulla_crds::host::{Host, Reading, is_host};
use bulla_crds::{ClusterSecretStore, ExternalSecret, SealedSecret, SecretStore};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::documents::{self, may_be_config_map, may_be_host};
use super::{Declared, Files, Full, Who};
use crate::host::desired::{Keep, Problem};

/// The largest manifest, in bytes.
const MAX_MANIFEST: u64 = 4 << 20;
/// The largest in JSON, in bytes: unlike YAML it is read without a limit of nodes, and a node takes some 50 times the
/// memory of its text.
const MAX_JSON: usize = 1 << 20;
/// JSON above this is data, in bytes.
const MAX_DATA: u64 = 16 << 20;
/// The most bytes that are read at once, and one file.
const MAX_BATCH: u64 = 16 << 20;
/// The most bytes of manifests.
const MAX_TOTAL: u64 = 256 << 20;
/// How many files are read at once.
const BATCH: usize = 256;

/// A Host document that is for this host.
pub(super) struct Document {
    pub(super) reading: Reading,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// What stands in the manifests.
#[derive(Default)]
pub(super) struct Commit {
    pub(super) hosts: Vec<Document>,
    pub(super) sealed: BTreeMap<Full, Vec<Declared<SealedSecret>>>,
    pub(super) externals: Vec<Declared<ExternalSecret>>,
    pub(super) stores: Vec<Declared<SecretStore>>,
    pub(super) cluster_stores: Vec<Declared<ClusterSecretStore>>,
    pub(super) config_maps: BTreeMap<Full, BTreeMap<String, String>>,
    /// Secrets that name no namespace, and where they are: for whoever looks for one of that name.
    pub(super) homeless: BTreeMap<String, String>,
    /// Names of what ClusterExternalSecrets make in clusters, and where these are: likewise.
    pub(super) of_clusters: BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
    pub(super) keep: Keep,
}

/// Reads the manifests.
pub(super) fn read(files: &Files, who: &Who) -> Commit {
    let mut commit = Commit::default();
    let mut manifests = Vec::new();
    let mut total = 0;
    for entry in files.iter().filter(|entry| entry.is_file && is_manifest(&entry.path)) {
        if is_json(&entry.path) {
            // Data is often JSON; a manifest of this size never is.
            if entry.size > MAX_DATA {
                continue;
            }
        } else if entry.size > MAX_MANIFEST {
            // Whether a Host document is in it is not known.
            commit.keep = Keep::Everything;
            commit.problem("a manifest", &entry.path, 1, "has more than 4 MiB and is not read: split it");
            continue;
        }
        total += entry.size;
        if total > MAX_TOTAL {
            commit.keep = Keep::Everything;
            commit.problem(
                "the manifests",
                &entry.path,
                1,
                "have more than 256 MiB: this and what follows is not read",
            );
            break;
        }
        manifests.push((entry.path.clone(), entry.size));
    }
    for batch in batches(manifests) {
        let batch = batch.as_slice();
        for (path, bytes) in batch.iter().zip(files.read(batch)) {
            match bytes {
                Ok(bytes) => commit.manifest(path, &bytes, who),
                Err(error) => {
                    // Whether a Host document was in it is not known.
                    commit.keep = Keep::Everything;
                    commit.problem("a manifest", path, 1, &format!("cannot be read: {error}"));
                }
            }
        }
    }
    commit
}

/// As many as are read at once, by number and by size.
fn batches(manifests: Vec<(PathBuf, u64)>) -> Vec<Vec<PathBuf>> {
    let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (path, size) in manifests {
        if !batch.is_empty() && (batch.len() == BATCH || bytes + size > MAX_BATCH) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(path);
    }
    batches.push(batch);
    batches
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Hidden files and folders hold the settings of tools.
fn is_manifest(path: &Path) -> bool {
    let is_hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
        && !path.components().any(is_hidden)
}

/// A path of the repository for people: without what would change how a line is seen.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Where in the repository something stands, for people.
pub(super) fn place(file: &Path, line: usize) -> String {
    format!("{}:{line}", shown(file))
}

impl Commit {
    /// Notes that something is wrong.
    pub(super) fn problem(&mut self, object: &str, file: &Path, line: usize, message: &str) {
        let at = Some(place(file, line));
        self.problems.push(Problem { object: object.to_owned(), at, message: message.to_owned() });
    }

    fn manifest(&mut self, path: &Path, bytes: &[u8], who: &Who) {
        let Ok(text) = std::str::from_utf8(bytes) else { return self.no_text(path, bytes) };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let wanted = |part: &str| documents::is_ours(part) || may_be_config_map(part);
        if !wanted(text) {
            return;
        }
        if is_json(path) && bytes.len() > MAX_JSON {
            // Else it is data.
            if documents::is_ours(text) {
                if may_be_host(text) {
                    self.keep = Keep::Everything;
                }
                let why = "has more than 1 MiB, which is the most for JSON, and is not read: split it, or write YAML";
                self.problem("a manifest", path, 1, why);
            }
            return;
        }
        for (part, document) in documents::read(is_json(path), text, wanted) {
            match document {
                Ok((line, value)) => self.objects(value, path, line, who),
                // A template of another tool, or data, is none of ours.
                Err(_) if !documents::is_ours(part) => {}
                Err((line, problem)) => {
                    if may_be_host(part) {
                        self.keep = Keep::Everything;
                    }
                    self.problem("a manifest", path, line, &format!("cannot be read: {problem}"));
                }
            }
        }
    }

    fn no_text(&mut self, path: &Path, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if documents::is_ours(&text) {
            if may_be_host(&text) {
                self.keep = Keep::Everything;
            }
            self.problem("a manifest", path, 1, "is not UTF-8 and is not read");
        }
    }

    /// The objects of a document; those of a List one by one.
    fn objects(&mut self, document: Value, path: &Path, line: usize, who: &Who) {
        let mut queue = vec![document];
        while let Some(mut object) = queue.pop() {
            let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
            match object.get_mut("items") {
                Some(Value::Array(items)) if is_list => queue.extend(items.drain(..).rev()),
                Some(_) | None => self.object(object, path, line, who),
            }
        }
    }

    fn object(&mut self, object: Value, path: &Path, line: usize, who: &Who) {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let group = version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind.as_str()) {
            _ if is_host(&object) => self.host(object, path, line, who),
            ("bitnami.com", "SealedSecret") => {
                if let Some((full, found)) = self.placed::<SealedSecret>(object, path, line, who, |o| &mut o.metadata) {
                    self.sealed.entry(full).or_default().push(found);
                }
            }
            ("external-secrets.io", "ExternalSecret") => {
                if let Some((_, found)) = self.placed::<ExternalSecret>(object, path, line, who, |o| &mut o.metadata) {
                    self.externals.push(found);
                }
            }
            ("external-secrets.io", "SecretStore") => {
                if let Some((_, found)) = self.placed::<SecretStore>(object, path, line, who, |o| &mut o.metadata) {
                    self.stores.push(found);
                }
            }
            ("external-secrets.io", "ClusterSecretStore") => match serde_json::from_value(object) {
                Ok(object) => self.cluster_stores.push(Declared { object, file: path.to_owned(), line }),
                Err(_) => self.problem("a ClusterSecretStore", path, line, "cannot be read"),
            },
            ("external-secrets.io", "ClusterExternalSecret") => {
                let names = ["/metadata/name", "/spec/externalSecretName", "/spec/externalSecretSpec/target/name"];
                let names = names.iter().filter_map(|pointer| object.pointer(pointer)?.as_str());
                let at = place(path, line);
                self.of_clusters.extend(names.map(|name| (name.to_owned(), at.clone())));
            }
            ("", "ConfigMap") => self.config_map(&object, who),
            _ => {}
        }
    }

    /// Reads an object of a namespace, if it is one of the host's.
    fn placed<T: serde::de::DeserializeOwned>(
        &mut self,
        object: Value,
        path: &Path,
        line: usize,
        who: &Who,
        metadata: fn(&mut T) -> &mut ObjectMeta,
    ) -> Option<(Full, Declared<T>)> {
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Ok(mut object) = serde_json::from_value::<T>(object) else {
            self.problem(&kind, path, line, "cannot be read");
            return None;
        };
        let metadata = metadata(&mut object);
        let name = metadata.name.clone().unwrap_or_default();
        let Some(namespace) = metadata.namespace.clone().filter(|namespace| !namespace.is_empty()) else {
            self.homeless.entry(name).or_insert_with(|| place(path, line));
            return None;
        };
        if !who.admits(&namespace) {
            return None;
        }
        if name.is_empty() {
            self.problem(&kind, path, line, "has no metadata.name");
            return None;
        }
        Some(((namespace, name), Declared { object, file: path.to_owned(), line }))
    }

    fn config_map(&mut self, object: &Value, who: &Who) {
        let text = |field: &str| object.get("metadata")?.get(field)?.as_str().map(str::to_owned);
        let (Some(namespace), Some(name)) = (text("namespace"), text("name")) else { return };
        if who.admits(&namespace) {
            let data = object.get("data").and_then(Value::as_object).into_iter().flatten();
            let data = data.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            self.config_maps.insert((namespace, name), data.collect());
        }
    }

    fn host(&mut self, object: Value, path: &Path, line: usize, who: &Who) {
        let reading = Host::read_each(object);
        let tells_whose = |path: &str| {
            ["metadata", "spec.hosts", "spec.groups"].iter().any(|field| path.starts_with(field)) || path == "spec"
        };
        let is_for = reading.host.is_for(&who.name, &who.groups);
        // Whoever it is for, it may be this host.
        let is_unclear = reading.unread.iter().any(|one| tells_whose(&one.path));
        if !is_for && !is_unclear {
            return;
        }
        let object = called(&reading.host);
        for unread in &reading.unread {
            self.problem(&object, path, line, &unread.to_string());
        }
        if reading.is_partial || is_unclear {
            self.keep = Keep::Everything;
        }
        if is_for {
            self.hosts.push(Document { reading, file: path.to_owned(), line });
        }
    }
}

/// What messages call a document.
pub(super) fn called(host: &Host) -> String {
    let name: String = host.metadata.name.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("Host {name}")
}
