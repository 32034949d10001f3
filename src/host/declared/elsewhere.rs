//! Which ExternalSecrets a host needs, and what they and their stores need themselves.

use std::collections::{BTreeMap, BTreeSet};

use bulla_crds::external_secret::StoreKind;
use bulla_crds::{ExternalSecret, SecretStoreSpec, Unreadable};
use serde_json::Value;

use super::commit::Commit;
use super::{Declared, Full, Request, Who};
use crate::resource::external_secret::template_objects;

/// The ExternalSecrets of a commit by the Secret that each makes.
pub(super) fn by_target(externals: Vec<Declared<ExternalSecret>>) -> BTreeMap<Full, Vec<Declared<Request>>> {
    let mut by_target: BTreeMap<Full, Vec<_>> = BTreeMap::new();
    for Declared { object, file, line } in externals {
        let object = Request::new(object);
        by_target.entry(object.target()).or_default().push(Declared { object, file, line });
    }
    by_target
}

/// Keeps the stores that these ExternalSecrets name. Those of other namespaces stay too: nobody may use them, and who
/// tries is told where they are.
pub(super) fn keep_stores(commit: &mut Commit, externals: &[Declared<Request>]) {
    let named: BTreeSet<(StoreKind, String)> = externals.iter().flat_map(|external| stores(&external.object)).collect();
    let is_named = |kind: StoreKind, name: &Option<String>| named.contains(&(kind, name.clone().unwrap_or_default()));
    commit.stores.retain(|store| is_named(StoreKind::SecretStore, &store.object.metadata.name));
    commit.cluster_stores.retain(|store| is_named(StoreKind::ClusterSecretStore, &store.object.metadata.name));
}

fn stores(request: &Request) -> impl Iterator<Item = (StoreKind, String)> {
    request.stores().iter().map(|store| (store.kind(), store.name.clone()))
}

/// The secrets that stores and templates read.
pub(super) fn secrets(commit: &Commit, externals: &[Declared<Request>], who: &Who) -> BTreeSet<Full> {
    let mut secrets = BTreeSet::new();
    for external in externals {
        let request = &external.object;
        let (namespace, _) = request.full();
        let objects = request.object.spec.as_ref().map_or_else(|_| Vec::new(), template_objects);
        let names = objects.into_iter().filter(|object| object.is_secret).map(|object| object.name);
        secrets.extend(names.map(|name| (namespace.clone(), name)));
        let named: Vec<_> = stores(request).collect();
        let is_named = |kind: StoreKind, name: &Option<String>| {
            named.iter().any(|(other, named)| *other == kind && name.as_ref() == Some(named))
        };
        let of_namespace = commit.stores.iter().filter(|store| {
            let metadata = &store.object.metadata;
            is_named(StoreKind::SecretStore, &metadata.name) && metadata.namespace.as_ref() == Some(&namespace)
        });
        of_namespace.for_each(|store| of_store(&store.object.spec, false, &namespace, &mut secrets));
        let of_all = commit
            .cluster_stores
            .iter()
            .filter(|store| is_named(StoreKind::ClusterSecretStore, &store.object.metadata.name));
        of_all.for_each(|store| of_store(&store.object.spec, true, &namespace, &mut secrets));
    }
    secrets.retain(|(namespace, _)| who.admits(namespace));
    secrets
}

/// Every secret that the settings of a store may name: whatever has a name there. A store of a namespace reads what its
/// own namespace has; one for all reads where it says, or else in the namespace `user` of who asks.
fn of_store(spec: &Result<SecretStoreSpec, Unreadable>, is_cluster: bool, user: &str, secrets: &mut BTreeSet<Full>) {
    let Some(spec) = spec.as_ref().ok().and_then(|spec| serde_json::to_value(&spec.provider).ok()) else { return };
    let mut queue = vec![&spec];
    while let Some(value) = queue.pop() {
        match value {
            Value::Object(fields) => {
                let text = |field: &str| fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
                if let Some(name) = text("name") {
                    let namespace = text("namespace").filter(|_| is_cluster).unwrap_or(user);
                    secrets.insert((namespace.to_owned(), name.to_owned()));
                }
                queue.extend(fields.values());
            }
            Value::Array(items) => queue.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
