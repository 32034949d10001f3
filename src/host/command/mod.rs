//! Runs one program: no shell, an environment of its own, a process group of its own, bounded in time and in what it says.
//!
//! What it says may quote a line of a file that has a secret, so all of it goes through a [`Scrubber`] before anybody
//! sees it.

mod scrub;

use std::ffi::OsStr;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use self::scrub::Scrubber;
use super::process::Running;

/// How long a program may take if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How much of what a program said is shown, in bytes.
const SHOWN: usize = 4 << 10;
/// How much of it is kept until then: the last bytes, since a program that fails says why at its end.
const KEPT: usize = 64 << 10;
/// How long the output of a program that has ended is waited for; what it left running may hold the pipe open.
const LINGER: Duration = Duration::from_millis(200);
/// Where programs are looked for: the caller's own path is not asked.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The one variable besides `HOME` that is handed on: others may hold the agent's own secrets.
const RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";

/// A program, its arguments and its bounds.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    argv: Vec<&'a OsStr>,
    environment: Vec<(&'a str, &'a OsStr)>,
    limit: Duration,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// What it said on both outputs, without secrets and control characters: the last 4 KiB.
    pub output: String,
}

/// Why a program did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no program to run.
    #[error("the command is empty")]
    Empty,
    /// It could not be started.
    #[error("{program} could not be started: {source}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It was ended, with all that it started, since it took too long.
    #[error("{program} was ended after {} s{}", limit.as_secs_f32(), said(output))]
    TimedOut {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
        /// What it said until then.
        output: String,
    },
    /// It ended badly.
    #[error("{program} ended with {}{}", code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}")), said(output))]
    Failed {
        /// The program.
        program: String,
        /// Its exit code; nothing if a signal ended it.
        code: Option<i32>,
        /// What it said.
        output: String,
    },
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(":\n{output}") }
}

impl<'a> Command<'a> {
    /// A program and its arguments.
    pub fn new(argv: impl IntoIterator<Item = &'a (impl AsRef<OsStr> + ?Sized + 'a)>) -> Self {
        Self { argv: argv.into_iter().map(AsRef::as_ref).collect(), environment: Vec::new(), limit: TIMEOUT }
    }

    /// More arguments.
    #[must_use]
    pub fn and(mut self, arguments: impl IntoIterator<Item = &'a (impl AsRef<OsStr> + ?Sized + 'a)>) -> Self {
        self.argv.extend(arguments.into_iter().map(AsRef::as_ref));
        self
    }

    /// Another limit than [`TIMEOUT`].
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// A variable besides `PATH`, `HOME`, `LANG` and `XDG_RUNTIME_DIR`. Never a secret: others can read a process's environment.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        self.environment.push((name, value.as_ref()));
        self
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// If it could not be started or took too long; then all of its process group is gone.
    pub async fn ended(self, scrubber: &Scrubber) -> Result<Ended, CommandError> {
        let program = self.argv.first().ok_or(CommandError::Empty)?.to_string_lossy().into_owned();
        let not_started = |source| CommandError::NotStarted { program: program.clone(), source };
        let (running, pipe) = self.start().map_err(not_started)?;
        let mut output = pipe::Receiver::from_owned_fd(OwnedFd::from(pipe)).map_err(not_started)?;
        let mut kept = Tail::default();
        let ended = {
            let reading = kept.read(&mut output);
            tokio::pin!(reading);
            let mut all = false;
            let ended = timeout(self.limit, async {
                // Whoever fills the pipe must be read from, or it never ends.
                tokio::select! {
                    ended = running.waited() => ended,
                    () = &mut reading => {
                        all = true;
                        running.waited().await
                    }
                }
            })
            .await;
            match ended {
                Ok(ended) => {
                    // What it started, a service perhaps, runs on.
                    let status = ended.and_then(|()| running.reap()).map_err(not_started)?;
                    // Done already, or what was left running has the pipe: then the rest is not ours.
                    if !all && timeout(LINGER, &mut reading).await.is_err() {
                        tracing::debug!(program, "left something running");
                    }
                    Some(status)
                }
                // It is ended with all that it started.
                Err(_elapsed) => {
                    drop(running);
                    None
                }
            }
        };
        let output = kept.shown(scrubber);
        match ended {
            Some(status) => Ok(Ended { code: status.code(), output }),
            None => Err(CommandError::TimedOut { program, limit: self.limit, output }),
        }
    }

    /// Runs it, and takes an exit code other than 0 for an error.
    ///
    /// # Errors
    /// If it did not end with 0.
    pub async fn succeeds(self, scrubber: &Scrubber) -> Result<String, CommandError> {
        let program = self.argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
        let Ended { code, output } = self.ended(scrubber).await?;
        if code == Some(0) { Ok(output) } else { Err(CommandError::Failed { program, code, output }) }
    }

    fn start(&self) -> io::Result<(Running, PipeReader)> {
        let [program, arguments @ ..] = self.argv.as_slice() else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let (reader, writer) = io::pipe()?;
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8")])
            .env("HOME", std::env::var_os("HOME").unwrap_or_else(|| "/".into()))
            // A user's service manager is found by it.
            .envs(std::env::var_os(RUNTIME_DIR).map(|folder| (RUNTIME_DIR, folder)))
            .envs(self.environment.iter().copied())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        Ok((Running::spawn(&mut command)?, reader))
    }
}

/// The last bytes of an output, wiped on drop.
#[derive(Default)]
struct Tail {
    bytes: Zeroizing<Vec<u8>>,
    cut: bool,
}

impl Tail {
    async fn read(&mut self, from: &mut pipe::Receiver) {
        // All of it at once: a buffer that grows leaves copies behind that nobody wipes.
        self.bytes.reserve_exact(KEPT);
        let mut chunk = Zeroizing::new([0_u8; 4096]);
        loop {
            match from.read(&mut *chunk).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let over = (self.bytes.len() + count).saturating_sub(KEPT);
                    if over > 0 {
                        self.bytes.drain(..over);
                        self.cut = true;
                    }
                    self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                }
            }
        }
    }

    fn shown(&self, scrubber: &Scrubber) -> String {
        let bytes = self.bytes.as_slice();
        // A line that lacks its beginning may hold the end of a secret.
        let begin =
            if self.cut { bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1) } else { 0 };
        let text = scrubber.scrub(bytes.get(begin..).unwrap_or_default());
        let text = text.trim();
        let mut from = text.len().saturating_sub(SHOWN);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let mark = if self.cut || from > 0 { "… " } else { "" };
        format!("{mark}{}", text.get(from..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
