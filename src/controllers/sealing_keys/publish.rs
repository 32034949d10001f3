//! The public halves, for everybody to seal to: in a ConfigMap and over HTTP.
//!
//! The ConfigMap is what `bulla seal` trusts. It is watched, and put back when somebody else writes or deletes it. Its
//! annotations are a letter box: whoever may write it may ask for a new key there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bulla_crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::make::Line;
use crate::controllers::api::{self, Api, ApiError, FIELD_MANAGER};
use crate::seal::{KeyId, KeyKind};

/// Name of the ConfigMap.
pub(super) const NAME: &str = "bulla-sealing-keys";
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
        let listing: Value = serde_json::from_str(&self.json()).ok()?;
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
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    created: String,
}

/// The list in JSON, oldest key first. Keys that do not open any more are not in it.
pub(super) fn listing(keys: &[Facts]) -> String {
    let keys = keys.iter().filter(|key| key.state.opens()).map(entry).collect();
    serde_json::to_string(&Listing { keys }).unwrap_or_default()
}

fn entry(key: &Facts) -> Entry<'_> {
    Entry {
        id: key.id.to_string(),
        r#type: key.kind.as_str(),
        state: key.state.as_str(),
        recipient: key.recipient.as_deref().filter(|_| key.kind != KeyKind::Rsa),
        certificate: key.certificate.as_deref(),
        created: key.created().to_string(),
    }
}

/// The ConfigMap as it is.
pub(super) async fn read(api: &Api, namespace: &str) -> Result<Option<ConfigMap>, ApiError> {
    match api.get(namespace, NAME).await {
        Ok(map) => Ok(Some(map)),
        Err(ApiError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The request for a new key that has not been served: a moment, in one form.
pub(super) fn request(map: &ConfigMap) -> Option<Timestamp> {
    let annotations = map.metadata.annotations.as_ref()?;
    let moment = |name: &str| annotations.get(name)?.parse::<Timestamp>().ok();
    let asked = moment(names::ROTATE_REQUESTED_AT)?;
    (moment(names::ROTATE_HANDLED_AT) != Some(asked)).then_some(asked)
}

/// A number beyond which nobody makes keys one by one: somebody wrote nonsense.
const NONSENSE: u32 = 1_000_000;

/// The highest number that a Secret of this line ever had, if the map says so.
pub(super) fn mark(map: &ConfigMap, line: Line) -> u32 {
    let says = map.metadata.annotations.as_ref().and_then(|annotations| annotations.get(line.mark())?.parse().ok());
    says.filter(|mark| *mark < NONSENSE).unwrap_or(0)
}

/// What the controller notes on the ConfigMap for itself.
pub(super) struct Notes {
    /// The request that was served.
    pub(super) handled: Option<Timestamp>,
    /// The highest numbers that there ever were, by line.
    pub(super) marks: [u32; 2],
}

impl Notes {
    /// The annotations that `map` lacks.
    fn missing(&self, map: Option<&ConfigMap>) -> BTreeMap<&'static str, String> {
        let handled = self.handled.map(|at| (names::ROTATE_HANDLED_AT, at.to_string()));
        let is_news = |line: &Line| self.marks[*line as usize] > map.map_or(0, |map| mark(map, *line));
        let marks = Line::ALL.into_iter().filter(is_news);
        let marks = marks.map(|line| (line.mark(), self.marks[line as usize].to_string()));
        handled.into_iter().chain(marks).collect()
    }
}

/// Writes the ConfigMap if it does not say so already, and gives its version.
pub(super) async fn write(
    api: &Api,
    namespace: &str,
    existing: Option<ConfigMap>,
    listing: &str,
    notes: &Notes,
) -> Result<String, ApiError> {
    let at = api::at::<ConfigMap>(namespace);
    let manager = Some(FIELD_MANAGER.to_owned());
    let existing = match existing {
        // Sealed by somebody: nothing but a new one can say something else.
        Some(map) if map.immutable == Some(true) => {
            let gone = api.send(api::with_body(at.delete(NAME, &DeleteParams::default())?)).await;
            gone.map(drop).or_else(|error| if error == ApiError::NotFound { Ok(()) } else { Err(error) })?;
            None
        }
        other => other,
    };
    let annotations = notes.missing(existing.as_ref());
    let request = match existing {
        Some(map) => {
            let is_right = map.data.as_ref().is_some_and(|data| {
                data.len() == 1 && data.get(KEYS).is_some_and(|keys| keys == listing) && map.binary_data.is_none()
            });
            if is_right && annotations.is_empty() {
                return Ok(map.metadata.resource_version.unwrap_or_default());
            }
            let parameters = PatchParams { field_manager: manager, ..PatchParams::default() };
            at.patch(NAME, &parameters, &Patch::Merge(patch(&map, listing, &annotations)))?
        }
        None => {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": NAME, "namespace": namespace, "annotations": annotations },
                "data": { KEYS: listing },
            });
            let body = serde_json::to_vec(&map).map_err(|_| ApiError::Unreadable)?;
            at.create(&PostParams { field_manager: manager, ..PostParams::default() }, body)?
        }
    };
    api.write(api::with_body(request)).await
}

/// What turns `map` into what it should be: everything else in it goes.
fn patch(map: &ConfigMap, listing: &str, annotations: &BTreeMap<&str, String>) -> Value {
    let foreign = map.data.iter().flat_map(|data| data.keys()).filter(|key| *key != KEYS);
    let mut data: Map<String, Value> = foreign.map(|key| (key.clone(), Value::Null)).collect();
    data.insert(KEYS.to_owned(), listing.into());
    let mut patch = json!({ "data": data, "binaryData": null });
    if !annotations.is_empty() {
        patch["metadata"] = json!({ "annotations": annotations });
    }
    patch
}
