//! Child processes that cannot outlive the test process.
//!
//! A destructor is not enough: statics are never dropped, and Ctrl-C or SIGKILL run nothing at all.
//! So every server is started by `tests/servers/leash`, which kills the server's process group and
//! removes its files when the pipe that this process holds is closed, and the kernel closes it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::servers;

/// A running server; dropping it ends the server's whole process group and waits for that.
#[derive(Debug)]
pub(crate) struct Leash {
    name: String,
    child: Child,
    log: PathBuf,
}

/// How a server ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End<'a> {
    /// So long between SIGTERM and SIGKILL; zero is SIGKILL at once.
    pub(crate) grace: Duration,
    /// A folder to remove once the server is gone.
    pub(crate) remove: Option<&'a Path>,
}

impl Leash {
    /// Starts what `command` says (program, arguments, environment, folder; its streams are not
    /// looked at). Both output streams go to the file `log`, appended.
    pub(crate) fn spawn(name: &str, command: &Command, log: &Path, end: End<'_>) -> Self {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()));
        let mut leash = Command::new(servers::script("leash"));
        leash.arg("--grace").arg(end.grace.as_secs_f64().to_string());
        if let Some(folder) = end.remove {
            leash.arg("--remove").arg(folder);
        }
        leash.arg("--").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => leash.env(key, value),
                None => leash.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            leash.current_dir(folder);
        }
        let child = leash
            // Ctrl-C in a terminal reaches this process only; the leash follows by its pipe.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("cloning a file handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} (the leash needs Python 3): {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// How the server ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("waiting for a child")
    }

    /// The number of the server's own process (not that of its leash), for signals; `None` once it is gone.
    pub(crate) fn server(&self) -> Option<u32> {
        let leash = self.child.id();
        let children = fs::read_to_string(format!("/proc/{leash}/task/{leash}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Ends the server, waits until it is gone and returns its status: the server's own exit code,
    /// or 128 and the signal's number (137 where it had to be killed).
    pub(crate) fn end(&mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().expect("waiting for a child")
    }

    /// Everything that the server has printed so far.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(no log of {}: {error})", self.name),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The last lines of the log, for a panic's message.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("last output of {}:\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Nothing is left to do where waiting fails: the leash ends by itself.
        self.child.wait().ok();
    }
}
