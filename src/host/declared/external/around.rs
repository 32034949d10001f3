//! What a commit has around its ExternalSecrets: the stores, and the objects that their settings name.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bulla_crds::SecretStoreSpec;
use bulla_crds::external_secret::StoreKind;
use bulla_crds::secret_store::StoreProvider;
use futures::FutureExt as _;
use futures::future::ready;
use sha2::{Digest as _, Sha256};

use super::{Admitted, Declared, Files, Full};
use crate::providers::file;
use crate::resource::external_secret::TemplateObject;
use crate::resource::secret_store as resource;
use crate::seal::{Identity, Keyring};
use crate::secret::{Plaintext, Target, Values};
use crate::stores::{Accounts, Objects, Part, Read, StoreError, StoreId, admission};
use crate::sync::external::access::is_ours;
use crate::sync::schedule::Class;

/// The controller class of hosts, as that of a controller that was given none.
const CLASS: &str = "default";

/// A store, or why it cannot be used.
type Spec = Result<SecretStoreSpec, String>;

/// See the module.
pub(super) struct Around {
    stores: HashMap<StoreId, Spec>,
    /// Of stores that are files of the commit, their bytes.
    files: HashMap<StoreId, Result<Vec<u8>, String>>,
    secrets: BTreeMap<Full, Result<Values, String>>,
    config_maps: BTreeMap<Full, BTreeMap<String, String>>,
    /// What ExternalSecrets made before.
    made: HashMap<Full, Arc<Target>>,
    /// The folder of the host that the paths of `file` stores are in; without one they are files of the commit.
    folder: Option<PathBuf>,
    admitted: Admitted,
    keyring: Arc<Keyring>,
    versions: RandomState,
    digest: u64,
}

/// What it is made of.
pub(super) struct Parts {
    pub(super) stores: Vec<(StoreId, Declared<Result<SecretStoreSpec, String>>)>,
    pub(super) secrets: BTreeMap<Full, Result<Values, String>>,
    pub(super) config_maps: BTreeMap<Full, BTreeMap<String, String>>,
    pub(super) made: HashMap<Full, Arc<Target>>,
    pub(super) files: Arc<Files>,
    pub(super) folder: Option<PathBuf>,
    pub(super) admitted: Admitted,
    pub(super) keyring: Arc<Keyring>,
    /// Makes the numbers that change with what is read; the same ones in each pass.
    pub(super) versions: RandomState,
}

impl Around {
    /// Reads what there is. It blocks.
    pub(super) fn gather(parts: Parts) -> Self {
        let Parts { stores: declared, secrets, config_maps, made, files, folder, admitted, keyring, versions } = parts;
        let mut stores: HashMap<StoreId, Spec> = HashMap::new();
        let mut paths = Vec::new();
        for (id, Declared { object: spec, file, .. }) in declared {
            let path = spec.as_ref().ok().and_then(|spec| in_commit(spec, &id, folder.as_deref(), &file));
            paths.extend(path.map(|path| (id.clone(), path)));
            let spec = match stores.remove(&id) {
                None => spec,
                Some(_) => Err(format!("it is declared more than once, the last time in {}", file.display())),
            };
            stores.insert(id, spec);
        }
        let files = read(&files, paths);
        let mut this =
            Self { stores, files, secrets, config_maps, made, folder, admitted, keyring, versions, digest: 0 };
        this.digest = this.version(&this.everything());
        this
    }

    /// Changes when anything does that settings of stores may name.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }

    fn version(&self, of: &impl Hash) -> u64 {
        self.versions.hash_one(of)
    }

    fn everything(&self) -> Vec<u64> {
        let secrets = self.secrets.iter().map(|(name, values)| match values {
            Ok(values) => self.version(&(name, self.values(values))),
            Err(_) => self.version(name),
        });
        let config_maps = self.config_maps.iter().map(|entry| self.version(&entry));
        let mut made: Vec<_> =
            self.made.iter().map(|(name, target)| self.version(&(name, self.values(&target.data)))).collect();
        let mut files: Vec<_> = self.files.iter().map(|entry| self.version(&entry)).collect();
        made.sort_unstable();
        files.sort_unstable();
        secrets.chain(config_maps).chain(made).chain(files).collect()
    }

    fn values(&self, values: &Values) -> u64 {
        let mut hasher = self.versions.build_hasher();
        for (key, value) in values {
            (key, value.expose()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Every store.
    pub(super) fn ids(&self) -> impl Iterator<Item = &StoreId> {
        self.stores.keys()
    }

    /// A store, if the host may ask it and `namespace` may use it.
    pub(super) fn store(&self, id: &StoreId, namespace: &str) -> Result<&SecretStoreSpec, StoreError> {
        let spec = self.stores.get(id).ok_or_else(|| self.missing(id))?;
        let spec = spec.as_ref().map_err(|problem| StoreError::Invalid(format!("{id}: {problem}")))?;
        if !is_ours(spec.controller.as_deref(), CLASS) {
            let class = spec.controller.clone().unwrap_or_default();
            return Err(StoreError::Unmanaged { store: id.to_string(), class });
        }
        self.admitted.check(&spec.provider).map_err(|why| StoreError::Denied(format!("{id}: {why}")))?;
        if !id.is_cluster() || spec.conditions.is_empty() {
            return Ok(spec);
        }
        match admission::admit(id, &spec.conditions, namespace, None) {
            Ok(()) => Ok(spec),
            Err(StoreError::NotReady { .. }) => Err(StoreError::Denied(format!(
                "{id} does not name namespace {namespace:?} in its conditions, and a host knows no labels of \
                 namespaces: name it in spec.conditions[].namespaces"
            ))),
            Err(error) => Err(error),
        }
    }

    fn missing(&self, id: &StoreId) -> StoreError {
        let named = |other: &&StoreId| other.kind == id.kind && other.name == id.name;
        self.stores.keys().filter(named).min().map_or_else(
            || StoreError::NotFound { store: id.to_string() },
            |other| {
                let (there, here) = (&other.namespace, &id.namespace);
                StoreError::Denied(format!(
                    "namespace {here:?} has no {id}: the one of namespace {there:?} serves that namespace only, a \
                     ClusterSecretStore serves all that its conditions admit"
                ))
            },
        )
    }

    /// Feeds what an answer of the store depends on, besides credentials and what a server holds.
    pub(super) fn describe(&self, id: &StoreId, user: &str, hash: &mut Sha256) {
        let Some(Ok(spec)) = self.stores.get(id) else { return };
        hash.update(format!("{id}:"));
        hash.update(serde_json::to_vec(spec).unwrap_or_default());
        if let Some(Ok(bytes)) = self.files.get(id) {
            hash.update(bytes);
        }
        let StoreProvider::File(settings) = &spec.provider else { return };
        for reference in [&settings.config_map_ref, &settings.secret_ref].into_iter().flatten() {
            let selected = reference.namespace.as_deref().filter(|_| id.is_cluster()).unwrap_or(user);
            let full = (selected.to_owned(), reference.name.clone());
            if let Some(text) = self.config_maps.get(&full).and_then(|map| map.get(&reference.key)) {
                hash.update(text);
            }
            if let Some(Ok(values)) = self.secrets.get(&full)
                && let Some(value) = values.get(&reference.key)
            {
                hash.update(value.expose());
            }
        }
    }

    /// The texts of an object that holds templates.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn texts(&self, namespace: &str, object: &TemplateObject) -> Result<Values, String> {
        let full = (namespace.to_owned(), object.name.clone());
        if object.is_secret {
            return self.of_secret(&full, copy);
        }
        let map = self.config_maps.get(&full).ok_or_else(|| no_config_map(namespace, &object.name))?;
        Ok(map.iter().map(|(key, text)| (key.clone(), Plaintext::copy_of(text.as_bytes()))).collect())
    }

    fn of_secret<T>(&self, full: &Full, take: impl FnOnce(&Values) -> T) -> Result<T, String> {
        let (namespace, name) = full;
        match (self.secrets.get(full), self.made.get(full)) {
            (Some(Ok(values)), _) => Ok(take(values)),
            (Some(Err(problem)), _) => {
                Err(format!("secret {name:?} of namespace {namespace:?} does not open: {problem}"))
            }
            (None, Some(target)) => Ok(take(&target.data)),
            (None, None) => Err(format!(
                "there is no SealedSecret {name:?} in namespace {namespace:?}: a host has those of its own groups, as \
                 the repository says"
            )),
        }
    }
}

fn no_config_map(namespace: &str, name: &str) -> String {
    format!("there is no ConfigMap {name:?} in namespace {namespace:?} of the repository")
}

pub(super) fn copy(values: &Values) -> Values {
    values.iter().map(|(key, value)| (key.clone(), Plaintext::copy_of(value.expose()))).collect()
}

/// The file of the commit that a store is, if it is one: beside its manifest, or below that.
fn in_commit(spec: &SecretStoreSpec, id: &StoreId, folder: Option<&Path>, manifest: &Path) -> Option<PathBuf> {
    let StoreProvider::File(settings) = &spec.provider else { return None };
    let path = settings.path.as_deref().filter(|_| folder.is_none() && id.is_cluster())?;
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let parts = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
    inside.then(|| manifest.parent().unwrap_or(Path::new("")).join(parts.collect::<PathBuf>()))
}

fn read(files: &Files, paths: Vec<(StoreId, PathBuf)>) -> HashMap<StoreId, Result<Vec<u8>, String>> {
    let one = |path: PathBuf| {
        let bytes = files.size(&path, file::MAX_FILE as u64).and_then(|_| {
            let bytes = files.read(std::slice::from_ref(&path)).pop();
            bytes.unwrap_or_else(|| Err("was not read".to_owned()))
        });
        bytes.map_err(|problem| format!("{} {problem}", path.display()))
    };
    paths.into_iter().map(|(id, path)| (id, one(path))).collect()
}

/// What is not there, or does not open, heals with another commit.
fn unread(problem: String) -> StoreError {
    StoreError::Material { problem, class: Class::Blocked }
}

impl Objects for Around {
    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str, key: &'a str) -> Read<'a, Option<Plaintext>> {
        let part = self.of_secret(&(namespace.to_owned(), name.to_owned()), |values| {
            let value = values.get(key).map(|value| Plaintext::copy_of(value.expose()));
            Part { version: self.version(&value.as_ref().map(Plaintext::expose)), value }
        });
        ready(part.map_err(unread)).boxed()
    }

    fn config_map<'a>(&'a self, namespace: &'a str, name: &'a str, key: &'a str) -> Read<'a, Option<Vec<u8>>> {
        let map = self.config_maps.get(&(namespace.to_owned(), name.to_owned()));
        let part = map.ok_or_else(|| unread(no_config_map(namespace, name))).map(|map| {
            let text = map.get(key);
            Part { version: self.version(&text), value: text.map(|text| text.as_bytes().to_vec()) }
        });
        ready(part).boxed()
    }

    fn file<'a>(&'a self, store: &'a StoreId, path: &'a str) -> Read<'a, file::Source> {
        let part = match self.files.get(store) {
            Some(Ok(bytes)) => Ok(Part { version: self.version(bytes), value: file::Source::Bytes(bytes.clone()) }),
            Some(Err(problem)) => Err(StoreError::Invalid(format!("spec.provider.file.path: {problem}"))),
            None => {
                // Without a folder it says what is wrong with the path: only such are not among the files.
                let folder = self.folder.as_deref().unwrap_or(Path::new(""));
                let path = resource::file_path(store.is_cluster(), Some(folder), path);
                path.map(|path| Part { version: 0, value: file::Source::Path(path) }).map_err(StoreError::Invalid)
            }
        };
        ready(part).boxed()
    }

    fn identities(&self) -> Option<Vec<Identity>> {
        Some(identities(&self.keyring))
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        None
    }
}

/// The native keys of a keyring, oldest first.
pub(super) fn identities(keyring: &Keyring) -> Vec<Identity> {
    let texts = keyring.iter().filter_map(|(identity, _)| identity.to_text());
    texts.filter_map(|text| Identity::parse_all(&text).ok()).flatten().collect()
}

/// The store of that name and kind, as seen from `namespace`.
pub(super) fn id(kind: StoreKind, namespace: Option<&String>, name: Option<&String>) -> StoreId {
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    StoreId::new(kind, &text(namespace), &text(name))
}
