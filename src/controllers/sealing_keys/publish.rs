//! The public halves, for everybody to seal to: in a ConfigMap and over HTTP.

use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{GetParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde_json::json;

use super::load::{Key, Loaded};
use crate::controllers::api::{self, Api, ApiError, FIELD_MANAGER};
use crate::seal::{KeyId, KeyKind, KeyState};

/// Name of the ConfigMap.
const NAME: &str = "bulla-sealing-keys";
/// Its data key.
const KEYS: &str = "keys.json";

/// The published list of public keys, as JSON. Clones share it.
#[derive(Clone, Default)]
pub struct PublishedKeys(Arc<RwLock<Arc<str>>>);

impl PublishedKeys {
    /// The list; empty until the keys are known.
    #[must_use]
    pub fn json(&self) -> Arc<str> {
        // A writer that panicked leaves the old list or the new one, both whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The certificate of this key in PEM, if it is published and has one.
    #[must_use]
    pub fn certificate(&self, id: &KeyId) -> Option<String> {
        let listing: serde_json::Value = serde_json::from_str(&self.json()).ok()?;
        let id = id.to_string();
        let entry = listing.get("keys")?.as_array()?.iter().find(|entry| entry["id"] == *id)?;
        Some(entry.get("certificate")?.as_str()?.to_owned())
    }

    /// Replaces the list; says whether it changed.
    pub(super) fn set(&self, listing: &str) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **current != *listing;
        if changed {
            *current = listing.into();
        }
        changed
    }
}

#[derive(Serialize)]
struct Listing<'a> {
    keys: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    r#type: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    created: &'a str,
}

/// The list in JSON, oldest key first. Retired keys are not in it.
pub(super) fn listing(loaded: &Loaded) -> String {
    let keys = loaded.keys.iter().filter(|key| key.state != KeyState::Retired).map(entry).collect();
    serde_json::to_string(&Listing { keys }).unwrap_or_default()
}

fn entry(key: &Key) -> Entry<'_> {
    let kind = key.identity.kind();
    Entry {
        id: key.identity.key_id().to_string(),
        r#type: kind.as_str(),
        state: key.state.as_str(),
        recipient: (kind != KeyKind::Rsa).then(|| key.identity.recipient().to_string()),
        certificate: key.certificate.as_deref(),
        created: &key.created,
    }
}

/// Writes the ConfigMap if it does not say so already.
pub(super) async fn config_map(api: &Api, namespace: &str, listing: &str) -> Result<(), ApiError> {
    let at = api::at::<ConfigMap>(namespace);
    let existing: Result<ConfigMap, _> = api.call(api::with_body(at.get(NAME, &GetParams::default())?)).await;
    let manager = Some(FIELD_MANAGER.to_owned());
    let request = match existing {
        Ok(map) if map.data.as_ref().and_then(|data| data.get(KEYS)).is_some_and(|keys| keys == listing) => {
            return Ok(());
        }
        Ok(_) => {
            let parameters = PatchParams { field_manager: manager, ..PatchParams::default() };
            at.patch(NAME, &parameters, &Patch::Merge(json!({ "data": { KEYS: listing } })))?
        }
        Err(ApiError::NotFound) => {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": NAME, "namespace": namespace }, "data": { KEYS: listing },
            });
            let body = serde_json::to_vec(&map).map_err(|_| ApiError::Unreadable)?;
            at.create(&PostParams { field_manager: manager, ..PostParams::default() }, body)?
        }
        Err(error) => return Err(error),
    };
    api.write(api::with_body(request)).await.map(drop)
}
