//! The stores that can be opened here: `fake`, and `file` where its bytes and an identity are at hand.

use std::path::PathBuf;
use std::sync::Arc;

use bulla::providers::{Gate, Provider, fake, file};
use bulla::resource::secret_store;
use bulla::seal::Identity;
use bulla_crds::secret_store::{FileProvider, FileRef, StoreProvider};

use super::check::{Finding, check_store};
use super::documents::{Documents, Store};
use crate::failure::Outcome;
use crate::identities;

/// What this machine has to open stores with.
#[derive(Debug, Default)]
pub(crate) struct Offline {
    /// Files of private keys, beside those that stores name.
    pub(crate) identities: Vec<PathBuf>,
    /// The folder that a `path` is in; without one, the folder of the store's manifest.
    pub(crate) files: Option<PathBuf>,
}

/// A store as this command sees it.
pub(super) enum Opened {
    /// It can be asked.
    Yes(Arc<dyn Provider>),
    /// It is not asked, and why not.
    No(String),
    /// It cannot work.
    Broken(Vec<Finding>),
}

/// Opens a store for an ExternalSecret in the namespace `user`.
pub(super) async fn open(documents: &Documents, store: &Store, user: &str, offline: &Offline) -> Outcome<Opened> {
    let findings = check_store(store);
    let Ok(spec) = &store.spec else { return Ok(Opened::Broken(findings)) };
    if !findings.is_empty() {
        return Ok(Opened::Broken(findings));
    }
    let provider = match &spec.provider {
        StoreProvider::Fake(settings) => fake::connect(secret_store::fake_settings(settings), Gate::unmetered("Fake")),
        StoreProvider::File(settings) => {
            let source = match source(documents, store, settings, user, offline) {
                Ok(source) => source,
                Err(why) => return Ok(Opened::No(why)),
            };
            let identities = identities(documents, store, settings, user, offline)?;
            if identities.is_empty() {
                let why =
                    "no key to open its file with: pass --identity, or give the Secret that it names with --store";
                return Ok(Opened::No(why.to_owned()));
            }
            file::connect(file::Settings { source, identities }, Gate::unmetered("File"))
        }
        StoreProvider::Aws(_)
        | StoreProvider::Vault(_)
        | StoreProvider::OpenBao(_)
        | StoreProvider::Kubernetes(_)
        | StoreProvider::Other(_)
        | StoreProvider::Several(_)
        | StoreProvider::Missing => return Ok(Opened::No(format!("{} is asked over a network", spec.provider.key()))),
    };
    let checked = match provider {
        Ok(provider) => provider.validate().await.map(|()| provider),
        Err(error) => Err(error),
    };
    Ok(checked.map_or_else(
        |error| {
            let path = format!("spec.provider.{}", spec.provider.key());
            Opened::Broken(vec![Finding::of(&store.place, path, error.message)])
        },
        Opened::Yes,
    ))
}

/// Where a reference of the store points.
fn namespace<'a>(store: &'a Store, selected: Option<&'a str>, user: &'a str) -> &'a str {
    if store.is_cluster {
        selected.filter(|selected| !selected.is_empty()).unwrap_or(user)
    } else if store.namespace.is_empty() {
        user
    } else {
        &store.namespace
    }
}

fn source(
    documents: &Documents,
    store: &Store,
    settings: &FileProvider,
    user: &str,
    offline: &Offline,
) -> Result<file::Source, String> {
    if let Some(path) = &settings.path {
        let folder = offline.files.as_deref().unwrap_or(&store.folder);
        let path = secret_store::file_path(store.is_cluster, Some(folder), path)?;
        if !path.exists() {
            return Err(format!("{} is not here: name its folder with --file-store-root", path.display()));
        }
        return Ok(file::Source::Path(path));
    }
    let (reference, kind) = match (&settings.config_map_ref, &settings.secret_ref) {
        (Some(reference), _) => (reference, "ConfigMap"),
        (None, Some(reference)) => (reference, "Secret"),
        (None, None) => return Err("it names no file".to_owned()),
    };
    let FileRef { name, key, namespace: selected } = reference;
    let namespace = namespace(store, selected.as_deref(), user);
    let values = match kind {
        "Secret" => documents.secret(namespace, name),
        _ => documents.config_map(namespace, name),
    };
    let values = values.ok_or_else(|| format!("{kind} {name} is not in the given files: give it with --store"))?;
    let bytes = values.get(key).ok_or_else(|| format!("{kind} {name} in the given files has no key {key}"))?;
    Ok(file::Source::Bytes(bytes.expose().to_vec()))
}

fn identities(
    documents: &Documents,
    store: &Store,
    settings: &FileProvider,
    user: &str,
    offline: &Offline,
) -> Outcome<Vec<Identity>> {
    let mut found = identities::read(&offline.identities)?;
    if let Some(selector) = &settings.identity_secret_ref {
        let values = documents.secret(namespace(store, selector.namespace.as_deref(), user), &selector.name);
        let key = selector.key.as_deref().filter(|key| !key.is_empty()).unwrap_or("identity");
        let text = values.and_then(|values| values.get(key)).and_then(|value| std::str::from_utf8(value.expose()).ok());
        found.extend(text.and_then(|text| Identity::parse_all(text).ok()).into_iter().flatten());
    }
    Ok(found)
}
