//! The least that any controller must do: one Secret created and one status patched an object. No watch, no
//! cryptography, nothing looked up.

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::Recipient;
use bulla_crds::{SealedSecret, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, Resource as _};
use serde_json::{Value, json};

use crate::cluster::bed::{NAMESPACE, Object, Written, create, in_parallel, patch_status};
use crate::cluster::measure::{Clock, Run};
use crate::cluster::process::Process;
use crate::objects::{self, DATA_KEY, VALUE};
use crate::shared::progress;

/// The numbers of requests at the same time that are tried.
const WIDTHS: [usize; 5] = [16, 32, 48, 64, 96];
/// Objects for each try.
const TRIED: usize = 400;

/// Finds how many requests at the same time are best for the floor, on a server of its own.
pub(crate) async fn best_width(recipient: &Recipient) -> anyhow::Result<usize> {
    let bed = objects::bed().await?;
    let mut objects = objects::fill(&bed, TRIED * (WIDTHS.len() + 1), recipient).await?;
    let (token, _) = bed.account("floor").await;
    let client = bed.server.client_as(&token, "bulla-floor");
    // The first batch warms the server up.
    write(&client, objects.split_off(objects.len() - TRIED), 64).await?;
    let mut best = (0.0, 0);
    for width in WIDTHS {
        let batch = objects.split_off(objects.len() - TRIED);
        let began = std::time::Instant::now();
        write(&client, batch, width).await?;
        let rate = TRIED as f64 / began.elapsed().as_secs_f64();
        progress(&format!("  floor with {width} requests at the same time: {rate:.0} objects/s"));
        if rate > best.0 {
            best = (rate, width);
        }
    }
    Ok(best.1)
}

/// Writes `count` Secrets and statuses.
pub(crate) async fn run(count: usize, width: usize, recipient: &Recipient) -> anyhow::Result<Run> {
    let bed = objects::bed().await?;
    let (token, user) = bed.account("floor").await;
    let objects = objects::fill(&bed, count, recipient).await?;
    let clock = Clock::start(&bed, user);
    let cpu = Process::this().cpu();
    write(&bed.server.client_as(&token, "bulla-floor"), objects, width).await?;
    let cpu = Process::this().cpu().saturating_sub(cpu);
    bed.until_synced(count, || Ok(())).await?;
    clock.stop(&bed, count, cpu, None)
}

async fn write(client: &Client, objects: Vec<Object>, width: usize) -> anyhow::Result<()> {
    let (client, objects) = (client.clone(), Arc::new(objects));
    let count = objects.len();
    let done = in_parallel(count, width, move |number| {
        let (client, objects) = (client.clone(), Arc::clone(&objects));
        async move { pair(&client, &objects[number]).await }
    });
    done.await.map(drop)
}

async fn pair(client: &Client, object: &Object) -> anyhow::Result<()> {
    let path = format!("{}?fieldManager=floor", Secret::url_path(&(), Some(NAMESPACE)));
    let written = create_secret(client, &path, object).await?;
    let version = written.metadata.resource_version.context("a version")?;
    let body = serde_json::to_vec(&status(&version))?;
    patch_status(client, &SealedSecret::url_path(&(), Some(NAMESPACE)), &object.name, body).await.map(drop)
}

async fn create_secret(client: &Client, path: &str, object: &Object) -> anyhow::Result<Written> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": object.name,
            "namespace": NAMESPACE,
            "labels": {names::MANAGED_BY: names::MANAGED_BY_SEALED_SECRET},
            "annotations": {},
            "finalizers": [],
            "ownerReferences": [{
                "apiVersion": "bitnami.com/v1alpha1",
                "kind": "SealedSecret",
                "name": object.name,
                "uid": object.uid,
                "controller": true,
            }],
        },
        "type": "Opaque",
        "data": {DATA_KEY: STANDARD.encode(VALUE)},
    });
    create(client, path, serde_json::to_vec(&body)?).await
}

/// As large as the status that Bulla writes.
fn status(version: &str) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str| {
        json!({
            "type": kind,
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": now,
            "lastUpdateTime": now,
            "reason": "Unsealed",
            "message": "",
        })
    };
    let id = "0123456789abcdef";
    json!({"status": {
        "observedGeneration": 1,
        "conditions": [condition("Synced"), condition("Ready")],
        "scope": "strict",
        "keyIds": [id],
        "keyValues": {id: 1},
        "secret": {"resourceVersion": version, "digest": format!("{id}:{}", "0".repeat(64))},
    }})
}
