//! A commit in a folder, with secrets that are really sealed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bulla::host::declared::{Answered, Answers, Entry, Folder, Nobody, Source, Wanted, Who, declare};
use bulla::host::desired::{Content, Desired, File};
use bulla::seal::{Binding, Identity, KeyState, Keyring, Place, Scope, seal};
use bulla::secret::Plaintext;
use jiff::Timestamp;
use tempfile::TempDir;

pub(super) struct World {
    pub(super) folder: TempDir,
    identity: Identity,
}

impl World {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), identity: Identity::generate_x25519().unwrap() }
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The text of a sealed value for this place.
    pub(super) fn sealed(&self, namespace: &str, name: &str, key: &str, value: &str) -> String {
        let binding = Binding::new(Scope::Strict, Place { namespace, name, key }, jiff::civil::date(2026, 11, 21));
        seal(&[self.identity.recipient().clone()], &Plaintext::copy_of(value.as_bytes()), &binding).unwrap()
    }

    /// A SealedSecret with these values.
    pub(super) fn secret(&self, namespace: &str, name: &str, values: &[(&str, &str)]) -> String {
        let values: Vec<_> = values
            .iter()
            .map(|(key, value)| format!("    {key}: {}\n", self.sealed(namespace, name, key, value)))
            .collect();
        sealed_secret(namespace, name, &values.concat())
    }

    pub(super) fn keyring(&self) -> Arc<Keyring> {
        let mut keyring = Keyring::new();
        let text = self.identity.to_text().unwrap();
        for identity in Identity::parse_all(&text).unwrap() {
            keyring.insert(identity, KeyState::Active);
        }
        Arc::new(keyring)
    }

    pub(super) async fn declare(&self) -> Desired {
        self.declare_with(&mut Nobody).await
    }

    pub(super) async fn declare_with(&self, answers: &mut impl Answers) -> Desired {
        let source: Arc<dyn Source> = Arc::new(Folder(self.folder.path().to_owned()));
        declare(source, &frodo(), self.keyring(), answers, Timestamp::UNIX_EPOCH).await.unwrap()
    }
}

/// A host of the groups `edge` and `web`.
pub(super) fn frodo() -> Who {
    Who { name: "frodo".to_owned(), groups: vec!["edge".to_owned(), "web".to_owned()], ..Who::default() }
}

pub(super) fn sealed_secret(namespace: &str, name: &str, values: &str) -> String {
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  encryptedData:\n{values}"
    )
}

/// A Host document for the group `edge` with this spec, in YAML.
pub(super) fn host(name: &str, spec: &str) -> String {
    format!("apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: {name}, namespace: edge}}\nspec:\n{spec}")
}

/// What is in each file; nothing where the last good content stays.
pub(super) fn contents(desired: &Desired) -> BTreeMap<String, Option<String>> {
    let text = |file: &File| match &file.content {
        Content::Bytes(bytes) => Some(String::from_utf8_lossy(bytes.expose()).into_owned()),
        Content::LastGood => None,
    };
    desired.files.iter().map(|file| (file.path.display().to_string(), text(file))).collect()
}

/// The problems, one a line.
pub(super) fn problems(desired: &Desired) -> Vec<String> {
    desired.problems.iter().map(ToString::to_string).collect()
}

/// A source that counts what is read of it.
pub(super) struct Counting {
    inner: Folder,
    pub(super) read: AtomicUsize,
}

impl Counting {
    pub(super) fn of(folder: &Path) -> Self {
        Self { inner: Folder(folder.to_owned()), read: AtomicUsize::new(0) }
    }
}

impl Source for Counting {
    fn entries(&self) -> Result<Vec<Entry>, String> {
        self.inner.entries()
    }

    fn read(&self, paths: &[std::path::PathBuf]) -> Vec<Result<Vec<u8>, String>> {
        self.read.fetch_add(paths.len(), Ordering::Relaxed);
        self.inner.read(paths)
    }
}

/// Answers every ExternalSecret with the value `fetched` under the key `token`, and remembers what it was given.
#[derive(Default)]
pub(super) struct Everything {
    pub(super) asked: Vec<String>,
    pub(super) stores: Vec<String>,
    pub(super) secrets: BTreeMap<String, Result<Vec<String>, String>>,
}

impl Answers for Everything {
    async fn answers(&mut self, wanted: Wanted) -> Answered {
        let targets = wanted.externals.iter().map(|external| {
            let (_, name) = external.object.full();
            self.asked.push(name.clone());
            if name.starts_with("broken") {
                return Err("the store says no".to_owned());
            }
            Ok(bulla::secret::Target {
                namespace: "edge".to_owned(),
                name,
                shape: bulla::secret::Shape::default(),
                data: BTreeMap::from([("token".to_owned(), Plaintext::copy_of(b"fetched"))]),
            })
        });
        let targets = targets.collect();
        self.stores = wanted.stores.iter().filter_map(|store| store.object.metadata.name.clone()).collect();
        let of = |((namespace, name), values): (&(String, String), &Result<bulla::secret::Values, String>)| {
            let keys = values.as_ref().map(|values| values.keys().cloned().collect()).map_err(Clone::clone);
            (format!("{namespace}/{name}"), keys)
        };
        self.secrets = wanted.secrets.iter().map(of).collect();
        Answered { targets, refresh: Some(std::time::Duration::from_secs(60)), ..Answered::default() }
    }
}
