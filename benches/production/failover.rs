//! From the end of the replica that works to the first write of the other.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bulla::seal::{Binding, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::json;

use crate::Shown;
use crate::arguments::Arguments;
use crate::cluster::bed::{Bed, CONTROLLER_NAMESPACE, NAMESPACE, create};
use crate::cluster::controller::{ACCOUNT, Bulla};
use crate::keys;
use crate::objects;
use crate::shared::progress;
use crate::shared::table::{median, number, render, target};

/// The Lease of the replica that works.
const LEASE: &str = "bulla-controller-0";
/// Objects that are in sync when it ends.
const OBJECTS: usize = 1_000;
/// Longer than any takeover.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the working replica ends.
const ENDS: [(&str, &str); 2] = [("-KILL", "kill -9, nothing is given back"), ("-TERM", "an orderly stop")];

pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Shown> {
    let key = keys::native(false)?;
    let bed = objects::bed().await?;
    bed.add_key(&key.secret).await?;
    let (token, _) = bed.account(ACCOUNT).await;
    objects::fill(&bed, OBJECTS, &key.recipient).await?;
    let mut replicas = Vec::new();
    for name in ["a", "b"] {
        replicas.push((name.to_owned(), start(&bed, &token, name)?));
    }
    bed.until_synced(OBJECTS, || replicas.iter().try_for_each(|(_, replica)| replica.check())).await?;
    let client = bed.server.client();
    let (mut rows, mut targets, mut born) = (Vec::new(), Vec::new(), 0);
    for (signal, what) in ENDS {
        let mut times = Vec::new();
        for _ in 0..arguments.rounds.max(1) {
            let holder = holder(&client).await?;
            let place = replicas.iter().position(|(name, _)| *name == holder).context("the holder of the Lease")?;
            let (_, working) = replicas.remove(place);
            let began = Instant::now();
            working.process.signal(signal)?;
            born += 1;
            let name = format!("born-{born}");
            seal_one(&client, &key.recipient, &name).await?;
            until_there(&client, &name).await?;
            times.push(began.elapsed().as_secs_f64());
            progress(&format!("  {what}: {:.2} s", began.elapsed().as_secs_f64()));
            drop(working);
            let next = format!("{holder}{born}");
            let replica = start(&bed, &token, &next)?;
            replica.until_ready().await?;
            replicas.push((next, replica));
        }
        let middle = median(times.iter().copied());
        let longest = times.iter().copied().fold(0.0, f64::max);
        let shortest = times.iter().copied().fold(f64::INFINITY, f64::min);
        rows.push(vec![
            what.to_owned(),
            times.len().to_string(),
            number(Some(shortest), 2),
            number(middle, 2),
            number(Some(longest), 2),
        ]);
        let limit = if signal == "-KILL" { 15.0 } else { 3.0 };
        targets.push(target(
            &format!("failover, {what}"),
            format!("{longest:.1} s"),
            format!("below {limit} s"),
            longest < limit,
        ));
    }
    let head = [
        "failover, from the signal until a new object has its Secret",
        "rounds",
        "shortest s",
        "median s",
        "longest s",
    ];
    Ok(Shown { text: render(&head, &rows), targets })
}

fn start(bed: &Bed, token: &str, name: &str) -> anyhow::Result<Bulla> {
    Bulla::start(bed, token, &["--leader-elect=true".to_owned(), format!("--identity={name}")])
}

/// The replica that works, once there is one.
async fn holder(client: &Client) -> anyhow::Result<String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), CONTROLLER_NAMESPACE);
    let began = Instant::now();
    loop {
        let lease = leases.get_opt(LEASE).await.context("reading the Lease")?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity).filter(|holder| !holder.is_empty());
        if let Some(holder) = holder {
            return Ok(holder);
        }
        ensure!(began.elapsed() < PATIENCE, "nobody holds the Lease");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn seal_one(client: &Client, recipient: &Recipient, name: &str) -> anyhow::Result<()> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let binding = Binding::new(Scope::Strict, Place { namespace: NAMESPACE, name, key: objects::DATA_KEY }, today);
    let sealed = seal(std::slice::from_ref(recipient), &Plaintext::copy_of(objects::VALUE), &binding)?;
    let object = json!({
        "apiVersion": objects::KIND.api_version, "kind": "SealedSecret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"encryptedData": {objects::DATA_KEY: sealed}},
    });
    create(client, &objects::KIND.path(), serde_json::to_vec(&object)?).await.map(drop)
}

async fn until_there(client: &Client, name: &str) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let began = Instant::now();
    while secrets.get_metadata_opt(name).await.context("looking for the Secret")?.is_none() {
        if began.elapsed() > PATIENCE {
            bail!("no other replica took over in {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
