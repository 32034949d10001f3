//! Which ExternalSecrets a host needs, and what they and their stores need themselves.

use std::collections::{BTreeMap, BTreeSet};

use bulla_crds::external_secret::StoreKind;
use bulla_crds::{ExternalSecret, SecretStoreSpec, Unreadable};
use serde_json::Value;

use super::commit::Commit;
use super::{Declared, Full, Who};
use crate::resource::external_secret as asked;

/// The ExternalSecrets of a commit by the Secret that each makes.
pub(super) fn by_target(externals: Vec<Declared<ExternalSecret>>) -> BTreeMap<Full, Vec<Declared<ExternalSecret>>> {
    let mut by_target: BTreeMap<Full, Vec<_>> = BTreeMap::new();
    for external in externals {
        let metadata = &external.object.metadata;
        let named = || metadata.name.clone().unwrap_or_default();
        let target = asked::read(&external.object).map_or_else(|_| named(), |asked| asked.target);
        let full = (metadata.namespace.clone().unwrap_or_default(), target);
        by_target.entry(full).or_default().push(external);
    }
    by_target
}

/// Keeps the stores that these ExternalSecrets name.
pub(super) fn keep_stores(commit: &mut Commit, externals: &[Declared<ExternalSecret>]) {
    let mut named: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for external in externals {
        let namespace = external.object.metadata.namespace.clone();
        for store in asked::read(&external.object).map_or_else(|_| Vec::new(), |asked| asked.stores) {
            let is_cluster = store.kind() == StoreKind::ClusterSecretStore;
            named.insert((namespace.clone().filter(|_| !is_cluster), store.name));
        }
    }
    let is_named = |namespace: Option<String>, name: &Option<String>| {
        named.contains(&(namespace, name.clone().unwrap_or_default()))
    };
    commit.stores.retain(|store| is_named(store.object.metadata.namespace.clone(), &store.object.metadata.name));
    commit.cluster_stores.retain(|store| is_named(None, &store.object.metadata.name));
}

/// The secrets that stores and templates read.
pub(super) fn secrets(commit: &Commit, externals: &[Declared<ExternalSecret>], who: &Who) -> BTreeSet<Full> {
    let mut secrets = BTreeSet::new();
    for external in externals {
        let namespace = external.object.metadata.namespace.clone().unwrap_or_default();
        let objects = external.object.spec.as_ref().map_or_else(|_| Vec::new(), asked::template_objects);
        let names = objects.into_iter().filter(|object| object.is_secret).map(|object| object.name);
        secrets.extend(names.map(|name| (namespace.clone(), name)));
    }
    for store in &commit.stores {
        let namespace = store.object.metadata.namespace.as_deref();
        of_store(&store.object.spec, namespace, &mut secrets);
    }
    for store in &commit.cluster_stores {
        of_store(&store.object.spec, None, &mut secrets);
    }
    secrets.retain(|(namespace, _)| who.admits(namespace));
    secrets
}

/// Every reference to a secret in the settings of a store: objects called `…secretRef` that have a name.
fn of_store(spec: &Result<SecretStoreSpec, Unreadable>, namespace: Option<&str>, secrets: &mut BTreeSet<Full>) {
    let Some(spec) = spec.as_ref().ok().and_then(|spec| serde_json::to_value(spec).ok()) else { return };
    let mut queue = vec![("", &spec)];
    while let Some((field, value)) = queue.pop() {
        match value {
            Value::Object(fields) => {
                let text = |field: &str| fields.get(field).and_then(Value::as_str);
                if field.to_ascii_lowercase().ends_with("secretref")
                    && let Some(name) = text("name")
                    // A store of a namespace reads its own secrets only, whatever it says.
                    && let Some(namespace) = namespace.or_else(|| text("namespace"))
                {
                    secrets.insert((namespace.to_owned(), name.to_owned()));
                }
                queue.extend(fields.iter().map(|(field, value)| (field.as_str(), value)));
            }
            Value::Array(items) => queue.extend(items.iter().map(|item| (field, item))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
