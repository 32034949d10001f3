//! The two controllers as processes of their own, each on a server that was filled before.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::cluster::audit::Tally;
use crate::cluster::bed::{Bed, CONTROLLER_NAMESPACE};
use crate::cluster::controller::{ACCOUNT, Bulla};
use crate::cluster::measure::{Clock, Run, Spent};
use crate::cluster::process::{Memory, Process};
use crate::keys::SealingKey;
use crate::objects;
use crate::support::servers;
use crate::support::upstream::UpstreamController;

/// So long nothing is asked of the server before a restart counts as over.
const QUIET: Duration = Duration::from_secs(2);

/// `arguments` for a replica that is the only one: renewals of its Lease are no part of what is counted, and would keep
/// the server from ever being quiet.
fn alone(arguments: &[String]) -> Vec<String> {
    arguments.iter().cloned().chain(["--leader-elect=false".to_owned()]).collect()
}

/// Lets Bulla sync `count` new objects.
pub(crate) async fn bulla(count: usize, key: &SealingKey, arguments: &[String]) -> anyhow::Result<Run> {
    let bed = objects::bed().await?;
    bed.add_key(&key.secret).await?;
    let (token, user) = bed.account(ACCOUNT).await;
    objects::fill(&bed, count, &key.recipient).await?;
    let (run, _) = sync(&bed, count, &token, user, arguments).await?;
    Ok(run)
}

async fn sync(
    bed: &Bed,
    count: usize,
    token: &str,
    user: String,
    arguments: &[String],
) -> anyhow::Result<(Run, Bulla)> {
    let clock = Clock::start(bed, user);
    let bulla = Bulla::start(bed, token, &alone(arguments))?;
    bed.until_synced(count, || bulla.check()).await?;
    let run = clock.stop(bed, count, bulla.process.cpu(), Some(&bulla.spent()?))?;
    Ok((run, bulla))
}

/// What a restart over unchanged objects costs.
#[derive(Clone, Debug)]
pub(crate) struct Restart {
    pub(crate) objects: usize,
    /// From the start of the process until every object had been looked at, in seconds.
    pub(crate) seconds: f64,
    pub(crate) cpu: Duration,
    pub(crate) tally: Tally,
    /// After the first sync.
    pub(crate) memory_of_sync: Memory,
    /// After the restart.
    pub(crate) memory: Memory,
    /// The first sync of as many objects.
    pub(crate) sync: Run,
}

impl Restart {
    /// Changes of any kind.
    pub(crate) const fn writes(&self) -> usize {
        self.tally.writes + self.tally.events
    }
}

/// Lets Bulla sync `count` objects, stops it in order and starts it again.
pub(crate) async fn restart(count: usize, key: &SealingKey, arguments: &[String]) -> anyhow::Result<Restart> {
    let bed = objects::bed().await?;
    bed.add_key(&key.secret).await?;
    let (token, user) = bed.account(ACCOUNT).await;
    objects::fill(&bed, count, &key.recipient).await?;
    let (sync, mut bulla) = sync(&bed, count, &token, user.clone(), arguments).await?;
    // Events that were left are sent now, and must not be taken for the restart's.
    tokio::time::sleep(QUIET).await;
    let memory_of_sync = bulla.process.memory();
    bulla.end();
    bed.rest().await;

    let clock = Clock::start(&bed, user);
    let bulla = Bulla::start(&bed, &token, &alone(arguments))?;
    let ready = bulla.until_ready().await?;
    let spent = bulla.spent()?;
    let mut tally = clock.tally()?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = clock.tally()?;
        if now.requests() == tally.requests() {
            break;
        }
        tally = now;
    }
    Ok(Restart {
        objects: count,
        seconds: ready.duration_since(spent.began)?.as_secs_f64(),
        cpu: bulla.process.cpu(),
        tally,
        memory_of_sync,
        memory: bulla.process.memory(),
        sync,
    })
}

/// Lets the upstream controller sync `count` new objects.
pub(crate) async fn upstream(count: usize, key: &SealingKey, flags: &[&str]) -> anyhow::Result<Run> {
    let bed = Bed::new(objects::KIND, &[std::fs::read(servers::path("sealed-secrets-crd"))?]).await?;
    bed.add_key(&key.secret).await?;
    let (_, user) = bed.account(UpstreamController::SERVICE_ACCOUNT).await;
    objects::fill(&bed, count, &key.recipient).await?;
    let clock = Clock::start(&bed, user);
    let flags: Vec<&str> = flags.iter().copied().chain(["--key-renew-period=0"]).collect();
    let controller = UpstreamController::start(&bed.server, CONTROLLER_NAMESPACE, &flags).await;
    let process = Process::running(&servers::path("sealed-secrets-controller")).context("upstream's process")?;
    let check = || {
        ensure!(process.is_alive(), "upstream's controller ended: {}", controller.log());
        Ok(())
    };
    bed.until_synced(count, check).await?;
    let began = process.began().context("upstream's start")?;
    clock.stop(&bed, count, process.cpu(), Some(&Spent { began, memory: process.memory() }))
}
