//! What is in no commit: values that ExternalSecrets take from stores elsewhere. Counted, never asked for.

use std::collections::BTreeMap;
use std::path::Path;

use bulla_crds::external_secret::StoreRef;
use serde::Serialize;

use crate::external::{Documents, Take};

/// The stores whose values the repository has itself.
const INSIDE: [&str; 2] = ["fake", "file"];

/// What one file has of it.
#[derive(Default)]
pub(super) struct Found {
    /// Namespace and store reference of each ExternalSecret.
    externals: Vec<(String, Option<StoreRef>)>,
    /// Whether it is of the whole cluster, namespace, name, provider.
    stores: Vec<(bool, String, String, String)>,
}

impl Found {
    /// Reads a file of the newest commit. What cannot be read is for `bulla verify` to say.
    pub(super) fn read(path: &str, text: &str, namespace: Option<&str>) -> Self {
        if !text.contains("ExternalSecret") && !text.contains("SecretStore") {
            return Self::default();
        }
        let mut documents = Documents::default();
        let read = documents.read_text(Path::new(path), path, text, namespace.unwrap_or_default(), Take::All);
        if read.is_err() {
            return Self::default();
        }
        let externals = documents.externals.iter().map(|external| {
            let store = external.object.spec.as_ref().ok().and_then(|spec| spec.secret_store_ref.clone());
            (external.namespace().to_owned(), store)
        });
        let stores = documents.stores.iter().map(|store| {
            let provider = store.spec.as_ref().map_or("", |spec| spec.provider.key());
            (store.is_cluster, store.namespace.clone(), store.name.clone(), provider.to_owned())
        });
        Self { externals: externals.collect(), stores: stores.collect() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.externals.is_empty() && self.stores.is_empty()
    }
}

/// All of it.
#[derive(Default)]
pub(super) struct Outside {
    externals: Vec<(String, Option<StoreRef>)>,
    stores: Vec<(bool, String, String, String)>,
}

/// How much of a rebuild comes from elsewhere.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FromOutside {
    /// ExternalSecrets, and ClusterExternalSecrets as one each.
    pub(crate) external_secrets: usize,
    /// Those whose values are in the repository: in a store of the provider file or fake.
    pub(crate) in_repository: usize,
    /// The others, by the provider of their store; `unknown` where no store of the repository is named.
    pub(crate) by_provider: BTreeMap<String, usize>,
    /// Stores in the repository whose values are not.
    pub(crate) stores: usize,
}

impl Outside {
    pub(super) fn add(&mut self, found: Found) {
        self.externals.extend(found.externals);
        self.stores.extend(found.stores);
    }

    pub(super) fn done(self) -> FromOutside {
        use bulla_crds::external_secret::StoreKind;
        let mut told = FromOutside { external_secrets: self.externals.len(), ..FromOutside::default() };
        told.stores = self.stores.iter().filter(|(.., provider)| !INSIDE.contains(&provider.as_str())).count();
        let mut stores: BTreeMap<(bool, &str), Vec<(&str, &str)>> = BTreeMap::new();
        for (is_cluster, namespace, name, provider) in &self.stores {
            stores.entry((*is_cluster, name)).or_default().push((namespace, provider));
        }
        for (namespace, reference) in &self.externals {
            let named = reference.as_ref().and_then(|reference| {
                let is_cluster = reference.kind() == StoreKind::ClusterSecretStore;
                let named = stores.get(&(is_cluster, reference.name.as_str()))?;
                // A namespace that nobody writes down may be any.
                let fits =
                    |(of, _): &&(&str, &str)| is_cluster || of.is_empty() || namespace.is_empty() || of == namespace;
                named.iter().find(fits).map(|(_, provider)| *provider)
            });
            match named.filter(|provider| !provider.is_empty()) {
                Some(provider) if INSIDE.contains(&provider) => told.in_repository += 1,
                Some(provider) => *told.by_provider.entry(provider.to_owned()).or_default() += 1,
                None => *told.by_provider.entry("unknown".to_owned()).or_default() += 1,
            }
        }
        told
    }
}
