//! Every rule that can be checked without asking a store.

use std::collections::BTreeMap;

use bulla::resource::external_secret::{self as resource, Asked, SpecError};
use bulla::resource::secret_store;
use bulla::sync::external::Source;
use bulla_crds::external_secret::StoreRef;
use bulla_crds::secret_store::{SecretStoreSpec, StoreProvider, validate};
use serde::Serialize;

use super::documents::{Documents, External, Place, Store};

/// The label that every namespace has: its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Something that the schema or a rule does not allow, or that could not work. It quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// Kind, namespace and name.
    pub(crate) object: String,
    /// Where in the object.
    pub(crate) path: String,
    pub(crate) message: String,
    /// Whether it only says that a store is not among the files: in a repository it may be elsewhere.
    #[serde(skip)]
    pub(crate) is_missing_store: bool,
}

impl Finding {
    pub(super) fn of(place: &Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        let Place { file, line, object, root } = place.clone();
        let path: String = path.into();
        let inner = path.strip_prefix("spec").filter(|_| !path.starts_with(root));
        let path = inner.map_or_else(|| path.clone(), |inner| format!("{root}{inner}"));
        Self { file, line, object, path, message: message.into(), is_missing_store: false }
    }
}

/// Everything that is wrong with the documents: their fields, their ExternalSecrets, and the stores that these name.
pub(crate) fn check(documents: &Documents) -> Vec<Finding> {
    let mut findings = documents.findings.clone();
    let mut used: Vec<&Store> = Vec::new();
    for external in &documents.externals {
        match resource::read(&external.object) {
            Err(error) => findings.extend(spec_findings(&external.place, error)),
            Ok(asked) => {
                for reference in &asked.stores {
                    match allowed(documents, external, reference) {
                        Ok(store) if used.iter().any(|known| std::ptr::eq(*known, store)) => {}
                        Ok(store) => used.push(store),
                        Err(message) => {
                            let path = path_of(external, reference, &asked);
                            let is_missing_store = documents.store(reference, external.namespace()).is_none();
                            let finding = Finding::of(&external.place, path, message);
                            findings.push(Finding { is_missing_store, ..finding });
                        }
                    }
                }
            }
        }
    }
    for store in used {
        findings.extend(check_store(store));
    }
    findings
}

/// Everything that is wrong with the stores, whether an ExternalSecret names them or not.
pub(crate) fn check_stores(documents: &Documents) -> Vec<Finding> {
    documents.stores.iter().flat_map(check_store).collect()
}

/// Remote keys that no entry of their store has: of stores that have their entries in the manifest.
pub(crate) fn check_keys(documents: &Documents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for external in &documents.externals {
        let Ok(asked) = resource::read(&external.object) else { continue };
        let store = |index: usize| {
            let reference = asked.stores.get(index)?;
            let store = documents.store(reference, external.namespace())?;
            let StoreProvider::Fake(settings) = &store.spec.as_ref().ok()?.provider else { return None };
            Some((store, settings))
        };
        let single = asked.items.data.iter().enumerate().map(|(index, item)| {
            (format!("spec.data[{index}].remoteRef.key"), item.store, Some(item.remote.key.as_str()))
        });
        let many = asked.items.data_from.iter().enumerate().map(|(index, item)| {
            let key = match &item.source {
                Source::Extract(remote) => Some(remote.key.as_str()),
                Source::Find { .. } => None,
            };
            (format!("spec.dataFrom[{index}].extract.key"), item.store, key)
        });
        for (path, index, key) in single.chain(many) {
            let (Some(key), Some((store, settings))) = (key, store(index)) else { continue };
            if settings.data.iter().all(|entry| entry.key != key) {
                let message = format!("{} has no key {key:?}", store.place.object);
                findings.push(Finding::of(&external.place, path, message));
            }
        }
    }
    findings
}

fn spec_findings(place: &Place, error: SpecError) -> Vec<Finding> {
    match error {
        SpecError::Unreadable(unreadable) => vec![Finding::of(place, unreadable.path, unreadable.problem)],
        SpecError::Violations(violations) => {
            let mut seen = Vec::new();
            for violation in violations {
                // Two readers may find the same thing wrong in the same place.
                let same_place = |known: &Finding| known.path == violation.path;
                if !seen.iter().any(same_place) {
                    seen.push(Finding::of(place, violation.path, violation.message));
                }
            }
            seen
        }
        other => vec![Finding::of(place, "spec", other.to_string())],
    }
}

/// Where the ExternalSecret names that store first.
fn path_of(external: &External, reference: &StoreRef, asked: &Asked) -> String {
    let usual = external.object.spec.as_ref().ok().and_then(|spec| spec.secret_store_ref.as_ref());
    if usual.is_some_and(|usual| usual.name == reference.name && usual.kind() == reference.kind()) {
        return "spec.secretStoreRef".to_owned();
    }
    let store = asked.stores.iter().position(|known| known == reference);
    let single = asked.items.data.iter().position(|item| Some(item.store) == store);
    let many = asked.items.data_from.iter().position(|item| Some(item.store) == store);
    match (single, many) {
        (Some(index), _) => format!("spec.data[{index}].sourceRef.storeRef"),
        (None, Some(index)) => format!("spec.dataFrom[{index}].sourceRef.storeRef"),
        (None, None) => "spec".to_owned(),
    }
}

/// The store that is named, if the namespace may use it.
pub(super) fn allowed<'a>(
    documents: &'a Documents,
    external: &External,
    reference: &StoreRef,
) -> Result<&'a Store, String> {
    let (kind, name) = (reference.kind().as_str(), &reference.name);
    let store = documents.store(reference, external.namespace()).ok_or_else(|| {
        let place = if external.namespace().is_empty() || kind == "ClusterSecretStore" {
            String::new()
        } else {
            format!(" in namespace {}", external.namespace())
        };
        format!("there is no {kind} {name:?}{place} in the given files: name the file that has it with --store")
    })?;
    if let Ok(spec) = &store.spec
        && let Verdict::Denied(why) = conditions(documents, store, spec, external.namespace())
    {
        return Err(why);
    }
    Ok(store)
}

/// Whether a store's conditions admit a namespace.
pub(super) enum Verdict {
    Admitted,
    Denied(String),
    /// That depends on what no file here says.
    Unknown(String),
}

/// Judges the conditions of a ClusterSecretStore.
pub(super) fn conditions(documents: &Documents, store: &Store, spec: &SecretStoreSpec, namespace: &str) -> Verdict {
    if !store.is_cluster || spec.conditions.is_empty() {
        return Verdict::Admitted;
    }
    if namespace.is_empty() {
        let (kind, name) = ("ClusterSecretStore", &store.name);
        return Verdict::Unknown(format!(
            "{kind} {name} has conditions, and the namespace is not known: pass --namespace"
        ));
    }
    let known = documents.namespaces.get(namespace);
    let mut labels = known.cloned().unwrap_or_default();
    labels.insert(NAME_LABEL.to_owned(), namespace.to_owned());
    let by_other_labels = |spec: &SecretStoreSpec| spec.conditions.iter().any(|c| c.namespace_selector.is_some());
    match secret_store::admit(&store.name, &spec.conditions, namespace, &labels) {
        Ok(()) => Verdict::Admitted,
        Err(_) if known.is_none() && by_other_labels(spec) => Verdict::Unknown(format!(
            "ClusterSecretStore {} chooses namespaces by labels, and those of {namespace} are not known: give its Namespace with --store",
            store.name
        )),
        Err(error) => Verdict::Denied(error.to_string()),
    }
}

/// Everything that is wrong with one store.
pub(super) fn check_store(store: &Store) -> Vec<Finding> {
    let place = &store.place;
    let spec = match &store.spec {
        Ok(spec) => spec,
        Err(unreadable) => return vec![Finding::of(place, unreadable.path.clone(), unreadable.problem.clone())],
    };
    let namespace = Some(store.namespace.as_str()).filter(|namespace| !store.is_cluster && !namespace.is_empty());
    let mut findings: Vec<_> = validate(spec, store.is_cluster, namespace)
        .into_iter()
        .map(|violation| Finding::of(place, violation.path, violation.message))
        .collect();
    match &spec.provider {
        StoreProvider::Other(name) => {
            let message = "this provider is not supported: aws, vault, openBao, kubernetes, file and fake are";
            findings.push(Finding::of(place, format!("spec.provider.{name}"), message));
        }
        StoreProvider::File(file) => {
            if let Some(path) = &file.path
                && let Err(why) = secret_store::file_path(store.is_cluster, Some("/".as_ref()), path)
            {
                let (path, message) = why.split_once(": ").unwrap_or(("spec.provider.file.path", why.as_str()));
                findings.push(Finding::of(place, path, message));
            }
        }
        StoreProvider::Aws(_)
        | StoreProvider::Vault(_)
        | StoreProvider::OpenBao(_)
        | StoreProvider::Kubernetes(_)
        | StoreProvider::Fake(_)
        | StoreProvider::Several(_)
        | StoreProvider::Missing => {}
    }
    findings
}

/// What `conditions` could not decide, by ExternalSecret.
pub(super) fn open_questions(documents: &Documents, external: &External, stores: &[&Store]) -> Vec<String> {
    let mut notes = BTreeMap::new();
    for store in stores {
        if let Ok(spec) = &store.spec
            && let Verdict::Unknown(why) = conditions(documents, store, spec, external.namespace())
        {
            notes.insert(store.name.clone(), why);
        }
    }
    notes.into_values().collect()
}
