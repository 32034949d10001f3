//! What happens while an editor is open: signals, its end, and questions to the person.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use rustix::process::{Pid, Signal as Kill};
use rustix::termios::{OptionalActions, Termios};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::keeper::Keeper;
use crate::failure::{Failure, OrFail as _, Outcome, usage};
use crate::output;

/// How long an editor that was told to end may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How an editor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    /// In words.
    Badly(String),
}

/// The signals that end this program, handled from the first moment on: before there is plaintext.
pub(crate) struct Session {
    runtime: Runtime,
    signals: Signals,
    terminal: Option<Termios>,
}

struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Whether the editor gets from the terminal what this program gets.
    has_terminal: bool,
}

impl Session {
    /// Begins to handle signals.
    pub(crate) fn begin() -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals {
                interrupt: signal(SignalKind::interrupt())?,
                quit: signal(SignalKind::quit())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
                has_terminal: std::io::stdin().is_terminal(),
            }
        };
        // An editor that is killed leaves the terminal as it wanted it.
        let terminal = rustix::termios::tcgetattr(std::io::stdin()).ok();
        Ok(Self { runtime, signals, terminal })
    }

    /// Runs an editor and waits until it has ended.
    ///
    /// # Errors
    /// It did not start, or this program was told to end: the editor has ended then, too.
    pub(crate) fn edit(&mut self, command: std::process::Command, keeper: &mut Keeper) -> Outcome<Ended> {
        let program = command.get_program().to_string_lossy().into_owned();
        let Self { runtime, signals, terminal } = self;
        let ended = runtime.block_on(async {
            let mut command = tokio::process::Command::from(command);
            let mut child = command
                .kill_on_drop(true)
                .spawn()
                .or_usage(format!("starting the editor {program}; choose another with $VISUAL or $EDITOR"))?;
            keeper.watch(child.id());
            let stopped = tokio::select! {
                status = child.wait() => Err(status?),
                name = signals.end(true) => Ok(name),
            };
            let name = match stopped {
                Ok(name) => name,
                Err(status) => {
                    keeper.watch(None);
                    return Ok(if status.success() { Ended::Well } else { Ended::Badly(status.to_string()) });
                }
            };
            if let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
                rustix::process::kill_process(pid, Kill::TERM).unwrap_or_default();
            }
            if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                child.kill().await?;
            }
            keeper.watch(None);
            Err(ended_by(name))
        });
        if let (Some(terminal), false) = (terminal, matches!(ended, Ok(Ended::Well))) {
            rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Drain, terminal).unwrap_or_default();
        }
        ended
    }

    /// Asks a question to which yes is the answer of whoever just presses Enter. Where nobody answers it is no.
    pub(crate) fn confirms(&mut self, question: &str) -> Outcome<bool> {
        output::ask(&format!("{question} [Y/n] "));
        let (tell, answer) = tokio::sync::oneshot::channel();
        // Not a task of the runtime, which would wait for it in the end.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line).unwrap_or_default();
            drop(tell.send((read > 0).then_some(line)));
        });
        let Self { runtime, signals, .. } = self;
        let line = runtime.block_on(async {
            tokio::select! {
                line = answer => Ok(line.unwrap_or_default()),
                name = signals.end(false) => Err(ended_by(name)),
            }
        })?;
        if line.is_none() {
            output::note("");
        }
        Ok(line.is_some_and(|line| matches!(line.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")))
    }
}

impl Signals {
    /// Waits for one that ends this program. While an editor has the terminal, what is typed there is for the editor.
    async fn end(&mut self, editor_is_open: bool) -> &'static str {
        loop {
            let (name, is_typed) = tokio::select! {
                _ = self.interrupt.recv() => ("SIGINT", true),
                _ = self.quit.recv() => ("SIGQUIT", true),
                _ = self.terminate.recv() => ("SIGTERM", false),
                _ = self.hangup.recv() => ("SIGHUP", false),
            };
            if !(is_typed && editor_is_open && self.has_terminal) {
                return name;
            }
        }
    }
}

fn ended_by(name: &str) -> Failure {
    usage!("ended by {name}: nothing is changed, and nothing is left of the edit")
}
