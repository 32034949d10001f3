//! The host: the agent's own code in this process, with folders of the stage in place of `/etc`, `/run` and `/var/lib`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bulla::host::agent::{self, Condition, Request, Status};
use bulla::host::config::Config;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::stage::Stage;
use crate::cluster;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, Access};

/// The settings of the host, below the stage.
pub(super) const SETTINGS: &str = "frodo/host.yaml";
/// How long anything may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// As much as the first thread of a program has: in builds without optimisation the agent needs more than other threads do.
const STACK: usize = 8 << 20;

/// A host, with an application on it.
pub(super) struct Host {
    /// Its folder on the disk.
    folder: PathBuf,
    run: PathBuf,
    pub(super) app: App,
    agent: Option<Agent>,
}

struct Agent {
    stop: CancellationToken,
    thread: JoinHandle<Result<(), agent::Error>>,
}

impl Host {
    /// Puts an application on it. Its settings are there already.
    pub(super) fn new(stage: &Stage) -> Outcome<Self> {
        let folder = stage.root().join("frodo");
        fs::create_dir(folder.join("root"))?;
        let app = App::start(&folder.join("root/etc/app/app.conf"), &folder.join("reloads"))?;
        Ok(Self { folder, run: stage.run_folder().join("frodo"), app, agent: None })
    }

    /// What its settings need besides what `bulla host enroll` writes, to stay within the stage.
    pub(super) fn stay_within(stage: &Stage) -> Outcome {
        let file = stage.root().join(SETTINGS);
        let text = fs::read_to_string(&file)?;
        output::write_file(&file, format!("{text}{}", within(stage, "frodo")).as_bytes(), Access::Ordinary)
    }

    /// Has its settings name these keys, in its folder.
    pub(super) fn use_keys(stage: &Stage, keys: &str) -> Outcome {
        let file = stage.root().join(SETTINGS);
        let text = fs::read_to_string(&file)?;
        let lines = text.lines().map(|line| match line.starts_with("identities:") {
            true => format!("identities: [{keys}]\n"),
            false => format!("{line}\n"),
        });
        output::write_file(&file, lines.collect::<String>().as_bytes(), Access::Ordinary)
    }

    /// Starts the agent, and waits until it has looked at the repository.
    pub(super) fn start(&mut self) -> Outcome {
        let file = self.folder.join("host.yaml");
        let config = Config::read(&file).or_usage("the settings of the demo's host")?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = cluster::runtime()?;
        let thread = std::thread::Builder::new().name("agent".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || runtime.block_on(agent::follow(config, &file, None, stopped)))?;
        self.agent = Some(Agent { stop, thread });
        let end = Instant::now() + PATIENCE;
        while agent::ask(&self.run, &Request::Sync).is_err() {
            if self.agent.as_ref().is_some_and(|agent| agent.thread.is_finished()) {
                self.stop()?;
            }
            if Instant::now() > end {
                return Err(super::broken("the agent answers"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Stops the agent; files stay.
    pub(super) fn stop(&mut self) -> Outcome {
        let Some(Agent { stop, thread }) = self.agent.take() else { return Ok(()) };
        stop.cancel();
        let ended = thread.join().map_err(|_| refuse!("the agent panicked"))?;
        ended.or_usage("the agent")
    }

    /// What its agent says.
    pub(super) fn status(&self) -> Outcome<Status> {
        Status::read(&self.run).or_refuse("the host's status")
    }

    /// Whether it is as its repository says, from this commit.
    pub(super) fn is_at(&self, commit: &str) -> Outcome<bool> {
        let status = self.status()?;
        Ok(status.condition == Condition::InSync && status.good.is_some_and(|good| good.commit == commit))
    }

    /// A declared path on this machine.
    pub(super) fn declared(&self, path: &str) -> PathBuf {
        self.folder.join("root").join(path.trim_start_matches('/'))
    }

    /// What a program reads at a declared path.
    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.declared(path)).unwrap_or_default()
    }

    /// Waits until something holds.
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Self) -> Outcome<bool>) -> Outcome<Duration> {
        let began = Instant::now();
        while !holds(self)? {
            if began.elapsed() > PATIENCE {
                return Err(super::broken(what));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(began.elapsed())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A step did not hold: that is told, and what the agent then says is not.
        drop(self.stop());
    }
}

/// The settings that keep the host `name` within the stage.
pub(super) fn within(stage: &Stage, name: &str) -> String {
    let disk = if stage.is_in_memory() { "" } else { "allowDisk: true\n" };
    format!("root: root\nstate: state\nrun: {}\nmanager: none\n{disk}", stage.run_folder().join(name).display())
}

/// What `bulla-controller host --once` does, in this process: how the host of these settings is then.
pub(super) fn once(file: &Path) -> Outcome<Condition> {
    let config = Config::read(file).or_usage("the settings of the demo's second host")?;
    cluster::block_on(async { agent::once(config, file, agent::Once::Remote, None).await.or_usage("the agent") })
}
