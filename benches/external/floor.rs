//! The least that any controller must do: the provider's calls, and one Secret created and one status patched an
//! object. No watch, nothing looked up, nothing waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, Resource as _};
use serde_json::{Map, Value, json};

use crate::arguments::Scenario;
use crate::cluster::bed::{NAMESPACE, Object, create, in_parallel, patch_status};
use crate::cluster::process::Process;
use crate::objects::{self, KIND};
use crate::source::{Source, VALUE};

/// Writes at the same time: as many as the controller makes.
const WIDTH: usize = 48;

/// What a bare client needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// Calls to the provider.
    pub(crate) calls: usize,
    /// For the provider's calls alone.
    pub(crate) reading: Duration,
    /// For the writes alone.
    pub(crate) writing: Duration,
    /// For both at the same time.
    pub(crate) both: Duration,
    /// The client's processor time for both.
    pub(crate) cpu: Duration,
    /// The API server's.
    pub(crate) server_cpu: Duration,
}

/// Reads all that `source` has and writes `count` Secrets and statuses, on an API server of its own.
pub(crate) async fn run(scenario: Scenario, count: usize, source: &Source) -> anyhow::Result<Floor> {
    let bed = objects::bed().await?;
    let (token, _) = bed.account("floor").await;
    let mut objects = objects::fill(&bed, scenario, 2 * count, source.keys(), 3600).await?;
    let others = objects.split_off(count);
    let client = bed.server.client_as(&token, "bulla-floor");
    let began = Instant::now();
    let calls = source.read_all().await?;
    let reading = began.elapsed();
    let began = Instant::now();
    write(&client, scenario, objects).await?;
    let writing = began.elapsed();
    bed.rest().await;
    let (cpu, server_cpu) = (Process::this().cpu(), bed.api_server.cpu());
    let began = Instant::now();
    tokio::try_join!(source.read_all(), write(&client, scenario, others))?;
    let both = began.elapsed();
    let cpu = Process::this().cpu().saturating_sub(cpu);
    let server_cpu = bed.api_server.cpu().saturating_sub(server_cpu);
    Ok(Floor { calls, reading, writing, both, cpu, server_cpu })
}

async fn write(client: &Client, scenario: Scenario, objects: Vec<Object>) -> anyhow::Result<()> {
    let (client, objects) = (client.clone(), Arc::new(objects));
    let done = in_parallel(objects.len(), WIDTH, move |number| {
        let (client, objects) = (client.clone(), Arc::clone(&objects));
        async move { pair(&client, scenario, &objects[number]).await }
    });
    done.await.map(drop)
}

async fn pair(client: &Client, scenario: Scenario, object: &Object) -> anyhow::Result<()> {
    let path = format!("{}?fieldManager=floor", Secret::url_path(&(), Some(NAMESPACE)));
    let written = create(client, &path, serde_json::to_vec(&secret(scenario, object))?).await?;
    let version = written.metadata.resource_version.context("a version")?;
    let body = serde_json::to_vec(&status(&object.name, &version))?;
    patch_status(client, &KIND.path(), &object.name, body).await.map(drop)
}

/// As large as the Secret that Bulla writes.
fn secret(scenario: Scenario, object: &Object) -> Value {
    let hash = "0".repeat(56);
    let data: Map<_, _> =
        scenario.properties().iter().map(|&key| (key.into(), STANDARD.encode(VALUE).into())).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": object.name,
            "namespace": NAMESPACE,
            "labels": {
                "reconcile.external-secrets.io/managed": "true",
                "reconcile.external-secrets.io/created-by": hash,
            },
            "annotations": {"reconcile.external-secrets.io/data-hash": hash},
            "ownerReferences": [{
                "apiVersion": KIND.api_version,
                "kind": "ExternalSecret",
                "name": object.name,
                "uid": object.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "type": "Opaque",
        "data": data,
    })
}

/// As large as the status that Bulla writes.
fn status(name: &str, version: &str) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({"status": {
        "observedGeneration": 1,
        "refreshTime": now,
        "nextRefreshTime": now,
        "syncReason": "FirstSync",
        "syncedResourceVersion": format!("1-{}", "0".repeat(56)),
        "binding": {"name": name},
        "secret": {"resourceVersion": version},
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": now,
            "reason": "SecretSynced",
            "message": "secret synced",
        }],
    }})
}
