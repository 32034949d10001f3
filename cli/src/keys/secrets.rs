//! The key Secrets: their metadata, never their data.

use bulla_crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::cluster::PublishedKey;
use crate::failure::{OrFail as _, Outcome};

/// Name of upstream's first key Secret, which has no label.
pub(crate) const LEGACY: &str = "sealed-secrets-key";

/// A key Secret.
#[derive(Clone, Debug)]
pub(crate) struct KeySecret {
    pub(crate) name: String,
    /// The ids of its keys; empty where no controller has written them.
    pub(crate) ids: Vec<String>,
    /// What its label says, in our words.
    pub(crate) state: String,
    /// Whether it is one of upstream's TLS Secrets.
    pub(crate) is_upstreams: bool,
    /// When it was made: by the controller's clock where it says so, else by the API server's.
    pub(crate) created: Option<Timestamp>,
}

/// The key Secrets, or why they cannot be listed.
pub(crate) enum Secrets {
    Known(Vec<KeySecret>),
    Forbidden(String),
}

impl Secrets {
    /// Lists them.
    pub(crate) async fn read(client: &Client, namespace: &str) -> Outcome<Self> {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let mut known = Vec::new();
        for label in [names::SEALING_KEY, names::UPSTREAM_SEALING_KEY] {
            let is_upstreams = label == names::UPSTREAM_SEALING_KEY;
            match api.list_metadata(&ListParams::default().labels(label)).await {
                Ok(list) => {
                    let secrets = list.items.into_iter().map(|secret| secret.metadata);
                    // A label of ours wins where a Secret has both.
                    let own = secrets.filter(|metadata| {
                        !is_upstreams
                            || metadata.labels.as_ref().is_none_or(|all| !all.contains_key(names::SEALING_KEY))
                    });
                    known.extend(own.map(|metadata| read(&metadata, label)));
                }
                Err(kube::Error::Api(status)) if status.code == 403 => return Ok(Self::Forbidden(status.message)),
                Err(error) => return Err(error).or_usage(format!("listing the key Secrets in namespace {namespace}")),
            }
        }
        if !known.iter().any(|secret: &KeySecret| secret.name == LEGACY)
            && let Ok(Some(secret)) = api.get_metadata_opt(LEGACY).await
        {
            known.push(read(&secret.metadata, names::UPSTREAM_SEALING_KEY));
        }
        Ok(Self::Known(known))
    }

    /// Fills in the ids of Secrets that do not name them, by the date that the controller publishes with each key: it is
    /// that of the key's Secret. Only where one Secret and one key have it, and both are of the same kind.
    pub(crate) fn recognise(&mut self, published: &[PublishedKey]) {
        let Self::Known(known) = self else { return };
        let named: Vec<String> = known.iter().flat_map(|secret| secret.ids.clone()).collect();
        let date = |key: &PublishedKey| key.created.as_ref().and_then(|created| created.parse::<Timestamp>().ok());
        let dates: Vec<_> = known.iter().map(|secret| secret.created).collect();
        for secret in known.iter_mut().filter(|secret| secret.ids.is_empty() && secret.created.is_some()) {
            let fits = published.iter().filter(|key| {
                let is_rsa = key.kind == "rsa";
                !named.contains(&key.id) && is_rsa == secret.is_upstreams && date(key) == secret.created
            });
            let fits: Vec<_> = fits.collect();
            let is_alone = dates.iter().filter(|date| **date == secret.created).count() == 1;
            if let ([one], true) = (fits.as_slice(), is_alone) {
                secret.ids.push(one.id.clone());
            }
        }
    }

    /// Those that could be listed.
    pub(crate) fn known(&self) -> &[KeySecret] {
        match self {
            Self::Known(known) => known,
            Self::Forbidden(_) => &[],
        }
    }
}

fn read(metadata: &ObjectMeta, label: &str) -> KeySecret {
    let is_upstreams = label == names::UPSTREAM_SEALING_KEY;
    let text = |map: Option<&std::collections::BTreeMap<String, String>>, name: &str| {
        map.and_then(|map| map.get(name)).cloned().unwrap_or_default()
    };
    let word = text(metadata.labels.as_ref(), label);
    let state = match (is_upstreams, word.as_str()) {
        // The legacy one has no label and is in use.
        (true, "" | names::UPSTREAM_SEALING_KEY_ACTIVE) => names::KEY_ACTIVE,
        (_, names::KEY_COMPROMISED) => names::KEY_COMPROMISED,
        (true, _) => names::KEY_RETIRED,
        (false, word) => word,
    };
    let ids = text(metadata.annotations.as_ref(), names::KEY_IDS);
    KeySecret {
        name: metadata.name.clone().unwrap_or_default(),
        ids: ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        state: state.to_owned(),
        is_upstreams,
        created: text(metadata.annotations.as_ref(), names::KEY_CREATED_AT)
            .parse()
            .ok()
            .or_else(|| metadata.creation_timestamp.as_ref().map(|time| time.0)),
    }
}

/// Sets the label of a key Secret, and nothing else; only its metadata comes back.
pub(crate) async fn mark(client: &Client, namespace: &str, secret: &KeySecret, state: &str) -> Outcome {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let label = if secret.is_upstreams { names::UPSTREAM_SEALING_KEY } else { names::SEALING_KEY };
    let patch = Patch::Merge(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "labels": { label: state } },
    }));
    let parameters = PatchParams { field_manager: Some("bulla".to_owned()), ..PatchParams::default() };
    let patched = api.patch_metadata(&secret.name, &parameters, &patch).await;
    patched.map(drop).or_usage(format!("labelling Secret {namespace}/{} {label}={state}", secret.name))
}
