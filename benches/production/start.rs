//! Starts over objects that are in sync, without and with other people's Secrets in the cluster.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use crate::Shown;
use crate::arguments::Arguments;
use crate::cluster::bed::{Bed, CONTROLLER_NAMESPACE, create, in_parallel};
use crate::cluster::controller::{ACCOUNT, Bulla};
use crate::cluster::process::{Memory, Process};
use crate::keys;
use crate::objects;
use crate::shared::progress;
use crate::shared::table::{mb, number, render, target};
use crate::support::servers;
use crate::support::upstream::UpstreamController;

/// The namespace of the foreign Secrets.
const FOREIGN: &str = "foreign";
/// What one of them holds, in bytes.
const BYTES: usize = 10_000;
/// After it says that it is ready, memory settles.
const SETTLE: Duration = Duration::from_secs(5);

/// A start.
struct Start {
    seconds: Option<f64>,
    cpu: Duration,
    memory: Memory,
}

pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Shown> {
    let key = keys::native(true)?;
    let bed = objects::bed().await?;
    bed.add_key(&key.secret).await?;
    let (token, _) = bed.account(ACCOUNT).await;
    objects::fill(&bed, arguments.objects, &key.recipient).await?;
    progress("  first sync");
    let mut bulla = Bulla::start(&bed, &token, &[])?;
    bed.until_synced(arguments.objects, || bulla.check()).await?;
    bulla.end();
    bed.rest().await;

    let alone = bulla_starts(&bed, &token).await?;
    progress("  foreign Secrets");
    foreign(&bed, arguments.foreign).await?;
    let among = bulla_starts(&bed, &token).await?;
    // Upstream's memory is that of all Secrets in the cluster; it would need hours for the objects.
    let upstream = upstream_starts(&bed).await?;

    let head = ["start", "SealedSecrets", "foreign Secrets of 10 KB", "until ready s", "CPU s", "peak MiB", "RSS MiB"];
    let row = |what: &str, foreign: usize, start: &Start| {
        vec![
            what.to_owned(),
            arguments.objects.to_string(),
            foreign.to_string(),
            number(start.seconds, 2),
            number(Some(start.cpu.as_secs_f64()), 2),
            number(Some(start.memory.peak), 1),
            number(Some(start.memory.now), 1),
        ]
    };
    let rows = [
        row("Bulla", 0, &alone),
        row("Bulla", arguments.foreign, &among),
        row("upstream, 20 s after its start", arguments.foreign, &upstream),
    ];
    let (peak, growth) = (mb(among.memory.peak), mb(among.memory.now - alone.memory.now));
    let targets = vec![
        target("resident, among foreign Secrets", format!("{peak:.1} MB"), "below 40 MB".to_owned(), peak < 40.0),
        target("growth by foreign Secrets", format!("{growth:.1} MB"), "below 2 MB".to_owned(), growth < 2.0),
    ];
    Ok(Shown { text: render(&head, &rows), targets })
}

async fn bulla_starts(bed: &Bed, token: &str) -> anyhow::Result<Start> {
    bed.rest().await;
    let mut bulla = Bulla::start(bed, token, &[])?;
    let ready = bulla.until_ready().await?;
    let began = bulla.process.began().context("the controller's start")?;
    let cpu = bulla.process.cpu();
    tokio::time::sleep(SETTLE).await;
    let memory = bulla.process.memory();
    bulla.end();
    Ok(Start { seconds: Some(ready.duration_since(began)?.as_secs_f64()), cpu, memory })
}

async fn upstream_starts(bed: &Bed) -> anyhow::Result<Start> {
    let flags = ["--kubeclient-qps=-1", "--key-renew-period=0"];
    let controller = UpstreamController::start(&bed.server, CONTROLLER_NAMESPACE, &flags).await;
    let process = Process::running(&servers::path("sealed-secrets-controller")).context("upstream's process")?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let start = Start { seconds: None, cpu: process.cpu(), memory: process.memory() };
    controller.stop();
    Ok(start)
}

/// Secrets that are nobody's of ours, as Helm leaves them.
async fn foreign(bed: &Bed, count: usize) -> anyhow::Result<()> {
    bed.server.create_namespace(FOREIGN).await;
    let client = bed.server.client();
    let text = "x".repeat(BYTES);
    in_parallel(count, 32, move |number| {
        let (client, text) = (client.clone(), text.clone());
        async move {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
                "metadata": {"name": format!("sh.helm.release.v1.app-{number:06}.v1"), "labels": {"owner": "helm"}},
                "stringData": {"release": text},
            });
            let path = format!("/api/v1/namespaces/{FOREIGN}/secrets");
            create(&client, &path, serde_json::to_vec(&secret)?).await.map(drop)
        }
    })
    .await
    .context("making foreign Secrets")?;
    Ok(())
}
