//! A command, run to its end or to the end of its time, and what the kernel says that it used.
//!
//! A child's peak begins at that of its parent, since both share their memory until the child has become another
//! program. So a second process of this benchmark starts it, which has used little.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

use crate::shared::table::median;

/// The first argument of the second process.
const WORD: &str = "--launch";

/// What one run used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// The exit code; `None` for a run that was stopped when its time was over.
    pub(crate) code: Option<i32>,
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of all cores.
    pub(crate) cpu: f64,
    /// Peak resident memory in MiB.
    pub(crate) peak: f64,
}

/// A command to measure.
pub(crate) struct Measured {
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: PathBuf,
    /// Where its standard output goes.
    output: PathBuf,
    limit: Duration,
}

impl Measured {
    /// `program`, run in `folder`.
    pub(crate) fn new<A: AsRef<OsStr>>(program: &Path, arguments: &[A], folder: &Path, output: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: arguments.iter().map(|argument| argument.as_ref().to_owned()).collect(),
            folder: folder.to_owned(),
            output: output.to_owned(),
            limit: Duration::from_secs(600),
        }
    }

    /// The same with less time, or more.
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Runs it once. Any exit code is an answer.
    pub(crate) fn run(&self) -> anyhow::Result<Usage> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORD).arg(self.limit.as_millis().to_string()).arg(&self.output);
        command.arg(&self.program).args(&self.arguments).current_dir(&self.folder);
        // Nothing of the user's configuration.
        let home = self.output.parent().context("a file has a folder")?;
        command.env("HOME", home).env("XDG_STATE_HOME", home.join("state")).env("KUBECONFIG", "/dev/null");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("XDG_CONFIG_HOME");
        let done = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(done.status.success(), "{} could not be run", self.program.display());
        serde_json::from_slice(&done.stdout).context("what the second process says")
    }
}

/// The run in the middle of several, by time.
pub(crate) fn middle(runs: &[Usage]) -> Option<Usage> {
    let of = |what: fn(&Usage) -> f64| median(runs.iter().map(what));
    let code = runs.iter().find(|run| run.code != Some(0)).or(runs.first())?.code;
    Some(Usage { code, wall: of(|run| run.wall)?, cpu: of(|run| run.cpu)?, peak: of(|run| run.peak)? })
}

/// Does what the second process is for, if this is it.
pub(crate) fn is_launched() -> anyhow::Result<bool> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|word| word != WORD) {
        return Ok(false);
    }
    let mut next = || arguments.next().context("an argument is missing");
    let limit = Duration::from_millis(next()?.to_string_lossy().parse()?);
    let output = PathBuf::from(next()?);
    let mut command = Command::new(next()?);
    command.args(arguments).stdin(Stdio::null());
    command.stderr(File::create(output.with_extension("stderr"))?).stdout(File::create(output)?);
    let usage = wait(command, limit)?;
    crate::shared::report(&serde_json::to_string(&usage)?)?;
    Ok(true)
}

fn wait(mut command: Command, limit: Duration) -> anyhow::Result<Usage> {
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{:?}", command.get_program()))?;
    let watchdog = Watchdog::over(&child, limit)?;
    let used = child.wait4()?;
    let wall = began.elapsed().as_secs_f64();
    let is_stopped = watchdog.end();
    let cpu = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    let peak = used.rusage.maxrss as f64 / 1024.0 / 1024.0;
    Ok(Usage { code: used.status.code().filter(|_| !is_stopped), wall, cpu, peak })
}

/// Ends a process whose time is over.
struct Watchdog {
    done: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watchdog {
    fn over(child: &Child, limit: Duration) -> anyhow::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
        let (done, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let is_late = ended.recv_timeout(limit).is_err();
            is_late && kill_process(pid, Signal::KILL).is_ok()
        });
        Ok(Self { done, thread })
    }

    /// The process has ended. Whether it was made to.
    fn end(self) -> bool {
        self.done.send(()).ok();
        self.thread.join().unwrap_or(false)
    }
}
