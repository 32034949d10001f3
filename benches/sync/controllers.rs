//! The two controllers as processes of their own, each on a server that was filled before.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};

use crate::audit::Tally;
use crate::bed::{Bed, CONTROLLER_NAMESPACE};
use crate::keys::SealingKey;
use crate::measure::{Clock, Run, Spent};
use crate::process::{Memory, Process};
use crate::support::apiserver::free_port;
use crate::support::leash::{End, Leash};
use crate::support::servers;
use crate::support::upstream::UpstreamController;

/// The account of Bulla's controller.
const ACCOUNT: &str = "bulla-controller";
/// So long nothing is asked of the server before a restart counts as over.
const QUIET: Duration = Duration::from_secs(2);

/// Bulla's release binary, running.
struct Bulla {
    leash: Leash,
    process: Process,
    port: u16,
}

impl Bulla {
    fn start(bed: &Bed, token: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_bulla-controller"));
        let port = free_port();
        let mut command = Command::new(program);
        command.arg("run").arg("--kubeconfig").arg(bed.server.kubeconfig_as(ACCOUNT, token));
        command.args(["--controller-namespace", CONTROLLER_NAMESPACE]).arg(format!("--listen=127.0.0.1:{port}"));
        command.args(arguments);
        let end = End { grace: Duration::from_secs(20), ..End::default() };
        let log = bed.server.folder().join("bulla-controller.log");
        let mut leash = Leash::spawn(ACCOUNT, &command, &log, end);
        let began = Instant::now();
        loop {
            if let Some(process) = Process::running(program) {
                return Ok(Self { leash, process, port });
            }
            let ended = leash.ended().is_some() || began.elapsed() > Duration::from_secs(10);
            ensure!(!ended, "bulla-controller did not start; {}", leash.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.process.is_alive(), "bulla-controller ended; {}", self.leash.log_tail());
        Ok(())
    }

    /// Waits until the controller says that it has looked at every object.
    async fn until_ready(&self) -> anyhow::Result<SystemTime> {
        let began = Instant::now();
        while !is_ready(self.port) {
            self.check()?;
            ensure!(began.elapsed() < Duration::from_secs(120), "not ready in two minutes; {}", self.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(SystemTime::now())
    }

    fn spent(&self) -> anyhow::Result<Spent> {
        let began = self.process.began().context("the controller's start")?;
        Ok(Spent { began, memory: self.process.memory() })
    }
}

/// Lets Bulla sync `count` new objects.
pub(crate) async fn bulla(count: usize, key: &SealingKey, arguments: &[String]) -> anyhow::Result<Run> {
    let bed = Bed::with_our_crd().await?;
    bed.add_key(&key.secret).await?;
    let (token, user) = bed.account(ACCOUNT).await;
    bed.fill(count, &key.recipient).await?;
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
    let bulla = Bulla::start(bed, token, arguments)?;
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
    let bed = Bed::with_our_crd().await?;
    bed.add_key(&key.secret).await?;
    let (token, user) = bed.account(ACCOUNT).await;
    bed.fill(count, &key.recipient).await?;
    let (sync, mut bulla) = sync(&bed, count, &token, user.clone(), arguments).await?;
    // Events that were left are sent now, and must not be taken for the restart's.
    tokio::time::sleep(QUIET).await;
    let memory_of_sync = bulla.process.memory();
    bulla.leash.end();
    bed.rest().await;

    let clock = Clock::start(&bed, user);
    let bulla = Bulla::start(&bed, &token, arguments)?;
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
    let bed = Bed::new(&std::fs::read(servers::path("sealed-secrets-crd"))?).await?;
    bed.add_key(&key.secret).await?;
    let (_, user) = bed.account(UpstreamController::SERVICE_ACCOUNT).await;
    bed.fill(count, &key.recipient).await?;
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

/// Whether `/readyz` says yes. A request on the loopback, far faster than the pause between two.
fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.lines().next().is_some_and(|line| line.contains(" 200 ")))
}
