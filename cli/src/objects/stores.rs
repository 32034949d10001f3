//! Which provider is behind a store's name.

use std::collections::BTreeMap;

use bulla_crds::{ClusterSecretStore, SecretStore};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::Value;

use super::StoreName;

/// Stores in one page of a list.
const PAGE: u32 = 500;

/// The providers of all stores that may be read, by namespace (empty for a ClusterSecretStore) and name.
#[derive(Default)]
pub(crate) struct Providers(BTreeMap<(String, String), String>);

impl Providers {
    /// Lists the stores. What may not be read stays unknown: it is a convenience.
    pub(crate) async fn read(client: &Client, namespace: Option<&str>) -> Self {
        let (own, cluster) = (ApiResource::erase::<SecretStore>(&()), ApiResource::erase::<ClusterSecretStore>(&()));
        let own = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &own),
            None => Api::all_with(client.clone(), &own),
        };
        let mut providers = Self::default();
        for api in [own, Api::all_with(client.clone(), &cluster)] {
            providers.list(&api).await;
        }
        providers
    }

    async fn list(&mut self, api: &Api<DynamicObject>) {
        let mut parameters = ListParams::default().limit(PAGE);
        while let Ok(page) = api.list(&parameters).await {
            for store in page.items {
                let provider = store.data.pointer("/spec/provider").and_then(Value::as_object);
                let Some(provider) = provider.and_then(|provider| provider.keys().next()) else { continue };
                let metadata = store.metadata;
                let place = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
                self.0.insert(place, provider.clone());
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => return,
            }
        }
    }

    /// Fills in the provider of a store that is named in `namespace`.
    pub(crate) fn fill(&self, namespace: &str, store: &mut StoreName) {
        let namespace = if store.kind == "ClusterSecretStore" { "" } else { namespace };
        store.provider = self.0.get(&(namespace.to_owned(), store.name.clone())).cloned();
    }
}
