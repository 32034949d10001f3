//! The ExternalSecrets that are measured, and what they need.

use anyhow::Context as _;
use bulla::seal::Identity;
use bulla_crds::names;
use serde_json::{Value, json};

use crate::arguments::Scenario;
use crate::cluster::bed::{Bed, Kind, NAMESPACE, Object};
use crate::source::{Source, key};

/// What is measured.
pub(crate) const KIND: Kind =
    Kind { plural: "externalsecrets", api_version: "external-secrets.io/v1", condition: "Ready" };

const STORE: &str = "store";

/// A server with Bulla's CRDs and a sealing key: making one is no part of what is measured.
pub(crate) async fn bed() -> anyhow::Result<Bed> {
    let crds: Result<Vec<_>, _> = bulla_crds::all().iter().map(serde_json::to_vec).collect();
    let bed = Bed::new(KIND, &crds?).await?;
    let identity = Identity::generate_x25519()?;
    let text = identity.to_text().context("an identity as text")?;
    let key = json!({
        "metadata": {"name": "bulla-sealing-key-bench", "labels": {names::SEALING_KEY: names::KEY_ACTIVE}},
        "type": "Opaque",
        "stringData": {"identity": *text, "recipient": identity.recipient().to_string()},
    });
    bed.add_key(&serde_json::from_value(key)?).await?;
    Ok(bed)
}

/// Makes the store and its credentials.
pub(crate) async fn add_store(bed: &mut Bed, source: &Source) -> anyhow::Result<()> {
    bed.add(&format!("/api/v1/namespaces/{NAMESPACE}/secrets"), &source.credentials()).await?;
    let store = json!({
        "apiVersion": KIND.api_version,
        "kind": "SecretStore",
        "metadata": {"name": STORE, "namespace": NAMESPACE},
        "spec": {"provider": source.provider()},
    });
    bed.add(&format!("/apis/{}/namespaces/{NAMESPACE}/secretstores", KIND.api_version), &store).await
}

/// Makes `count` ExternalSecrets, refreshed every `interval` seconds, then lets the server come to rest.
pub(crate) async fn fill(
    bed: &Bed,
    scenario: Scenario,
    count: usize,
    keys: usize,
    interval: usize,
) -> anyhow::Result<Vec<Object>> {
    bed.fill(count, move |number, name| {
        let remote = key(number, keys);
        let item = |property: &&str| json!({"secretKey": property, "remoteRef": {"key": remote, "property": property}});
        let data: Vec<Value> = scenario.properties().iter().map(item).collect();
        Ok(json!({
            "apiVersion": KIND.api_version,
            "kind": "ExternalSecret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "refreshInterval": format!("{interval}s"),
                "secretStoreRef": {"name": STORE},
                "data": data,
            },
        }))
    })
    .await
}
