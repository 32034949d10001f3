//! ExternalSecrets on a host: asked of the real servers, kept for a start without network.

#[cfg(feature = "aws")]
mod aws;
mod cache;
mod stores;
mod vault;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bulla::host::declared::external::{Admitted, External, Settings};
use bulla::host::declared::{Answered, Answers as _, Declared, Files, Folder, Full, Request, Wanted};
use bulla::resource;
use bulla::seal::{Binding, Identity, KeyState, Keyring, Place, Scope, seal};
use bulla::secret::{Plaintext, Target};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The group that the host is in, and the namespace of its secrets.
const GROUP: &str = "web";

/// A host with a repository, a state folder and a key of its own.
struct Host {
    name: &'static str,
    keyring: Arc<Keyring>,
    identity: Identity,
    repository: TempDir,
    state: TempDir,
    documents: Vec<Value>,
    file_stores: Option<std::path::PathBuf>,
    admitted: Admitted,
}

impl Host {
    fn new() -> Self {
        Self::with(Identity::generate_hybrid().unwrap())
    }

    fn with(identity: Identity) -> Self {
        let copy = Identity::parse_all(&identity.to_text().unwrap()).unwrap().remove(0);
        let mut keyring = Keyring::new();
        keyring.insert(copy, KeyState::Active);
        let folder = || tempfile::tempdir().unwrap();
        let (repository, state) = (folder(), folder());
        let (keyring, documents) = (Arc::new(keyring), Vec::new());
        let (file_stores, admitted) = (None, Admitted::default());
        Self { name: "frodo", keyring, identity, repository, state, documents, file_stores, admitted }
    }

    /// An agent that just started.
    fn external(&self) -> External {
        External::new(Settings {
            state: Some(self.state.path().to_owned()),
            file_stores: self.file_stores.clone(),
            admitted: self.admitted.clone(),
            ..Settings::new(self.name, Arc::clone(&self.keyring))
        })
    }

    /// Commits a document, in place of the one of the same kind and name.
    fn commit(&mut self, document: Value) {
        let id = |document: &Value| {
            let metadata = &document["metadata"];
            (document["kind"].clone(), metadata["namespace"].clone(), metadata["name"].clone())
        };
        self.documents.retain(|other| id(other) != id(&document));
        self.documents.push(document);
    }

    fn remove(&mut self, kind: &str, name: &str) {
        self.documents.retain(|document| document["kind"] != kind || document["metadata"]["name"] != name);
    }

    /// Commits a SealedSecret of the group, sealed to the host.
    fn seal(&mut self, name: &str, values: &[(&str, &str)]) {
        let sealed = values.iter().map(|(key, value)| {
            let place = Place { namespace: GROUP, name, key };
            let binding = Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
            let value = Plaintext::copy_of(value.as_bytes());
            let sealed = seal(&[self.identity.recipient().clone()], &value, &binding).unwrap();
            ((*key).to_owned(), sealed)
        });
        let sealed: BTreeMap<_, _> = sealed.collect();
        self.commit(json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"namespace": GROUP, "name": name}, "spec": {"encryptedData": sealed}
        }));
    }

    /// Commits an ExternalSecret of the group.
    fn external_secret(&mut self, name: &str, spec: Value) {
        self.commit(json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
            "metadata": {"namespace": GROUP, "name": name}, "spec": spec
        }));
    }

    /// Commits a SecretStore of the group.
    fn store(&mut self, name: &str, provider: Value) {
        self.commit(json!({
            "apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
            "metadata": {"namespace": GROUP, "name": name}, "spec": {"provider": provider}
        }));
    }

    /// Commits a ClusterSecretStore.
    fn cluster_store(&mut self, name: &str, spec: Value) {
        self.commit(json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore",
            "metadata": {"name": name}, "spec": spec
        }));
    }

    /// Writes a file of the repository.
    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.repository.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted {
            externals: Vec::new(),
            stores: Vec::new(),
            cluster_stores: Vec::new(),
            secrets: BTreeMap::new(),
            config_maps: BTreeMap::new(),
            files: Arc::new(Files::of(Arc::new(Folder(self.repository.path().to_owned()))).unwrap()),
        };
        for document in &self.documents {
            let read = document.clone();
            match document["kind"].as_str().unwrap() {
                "ExternalSecret" => {
                    wanted.externals.push(declared(Request::new(serde_json::from_value(read).unwrap())));
                }
                "SecretStore" => wanted.stores.push(declared(serde_json::from_value(read).unwrap())),
                "ClusterSecretStore" => wanted.cluster_stores.push(declared(serde_json::from_value(read).unwrap())),
                "ConfigMap" => {
                    let data = serde_json::from_value(document["data"].clone()).unwrap();
                    wanted.config_maps.insert(full(document), data);
                }
                "SealedSecret" => {
                    let object = serde_json::from_value(read).unwrap();
                    let opened = resource::open(&object, &self.keyring, Timestamp::now());
                    let values = opened.map(|desired| desired.target.data).map_err(|error| error.to_string());
                    wanted.secrets.insert(full(document), values);
                }
                kind => panic!("{kind}"),
            }
        }
        wanted
    }

    /// One pass of the agent.
    async fn pass(&self, external: &mut External) -> Answered {
        external.answers(self.wanted()).await
    }

    /// Passes of the agent when it is told to come back, until one is as it should be.
    async fn pass_until(&self, external: &mut External, is_right: impl Fn(&Answered) -> bool) -> Answered {
        for _ in 0..200 {
            let answered = self.pass(external).await;
            if is_right(&answered) {
                return answered;
            }
            let next = answered.refresh.expect("a time for the next pass");
            tokio::time::sleep(next.min(Duration::from_secs(1))).await;
        }
        panic!("200 passes, and it is not right");
    }
}

fn full(document: &Value) -> Full {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&document["metadata"]["namespace"]), text(&document["metadata"]["name"]))
}

fn declared<T>(object: T) -> Declared<T> {
    Declared { object, file: "secrets/objects.yaml".into(), line: 1 }
}

/// The text of a value of the only ExternalSecret.
fn only<'a>(answered: &'a Answered, key: &str) -> Option<&'a str> {
    assert_eq!(answered.targets.len(), 1);
    text(answered.targets[0].as_ref().ok()?, key)
}

fn text<'a>(target: &'a Target, key: &str) -> Option<&'a str> {
    target.data.get(key).map(|value| std::str::from_utf8(value.expose()).unwrap())
}

fn texts(target: &Target) -> BTreeMap<&str, &str> {
    target.data.keys().map(|key| (key.as_str(), text(target, key).unwrap())).collect()
}

/// Why the only ExternalSecret has no Secret.
fn refused(answered: &Answered) -> &str {
    assert_eq!(answered.targets.len(), 1);
    answered.targets[0].as_ref().err().expect("no Secret")
}

/// What is to be known of the only ExternalSecret although it has a Secret.
fn note(answered: &Answered) -> Option<&str> {
    assert!(answered.targets.iter().all(Result::is_ok));
    answered.stale.first().map(|(_, note)| note.as_str())
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// An ExternalSecret that takes the keys of one remote secret.
fn takes(store: &str, key: &str, interval: &str) -> Value {
    json!({
        "refreshInterval": interval, "secretStoreRef": {"name": store},
        "dataFrom": [{"extract": {"key": key}}]
    })
}
