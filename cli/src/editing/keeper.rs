//! A process beside this one that takes plaintext away when this one ends, however it ends.
//!
//! It is the same program in a session of its own, so that what is sent to a terminal or a process group does not
//! reach it. It reads a pipe that only this process writes to: the end of the pipe is the end of this process.

use std::io::{BufRead as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use super::storage;
use crate::failure::{OrFail as _, Outcome, usage};

/// How long an editor that was told to end may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Both ends of the pipe: the process that reads it, and what is written to.
pub(crate) struct Keeper {
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// Starts it, and waits until it watches.
    pub(super) fn start(folder: &Path) -> Outcome<Self> {
        let mut process = Command::new("/proc/self/exe")
            .arg0("bulla")
            .args(["edit", "--keep"])
            .arg(folder)
            // Nothing of the environment is needed there, and much of it is nobody's business.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .or_usage("starting what watches over the edit")?;
        let pipe = process.stdin.take();
        let mut ready = [0];
        let said = process.stdout.take().map(|mut out| std::io::Read::read_exact(&mut out, &mut ready));
        let keeper = Self { process, pipe };
        match said {
            Some(Ok(())) => Ok(keeper),
            Some(Err(_)) | None => Err(usage!("what watches over the edit did not start: nothing was opened")),
        }
    }

    /// Names the editor, which is to end with this process; `None` when it has ended.
    pub(crate) fn watch(&mut self, editor: Option<u32>) {
        if let Some(pipe) = &mut self.pipe {
            // Where nobody reads any more there is nobody to tell; the folder is wiped by this process then.
            writeln!(pipe, "{}", editor.unwrap_or_default()).unwrap_or_default();
        }
    }

    /// Ends it, when the folder is wiped.
    pub(super) fn end(&mut self) {
        drop(self.pipe.take());
        drop(self.process.wait());
    }
}

/// What the other process does: waits for the end of the pipe, then ends the editor and wipes the folder.
pub(crate) fn keep(folder: &Path) -> Outcome {
    if !storage::is_ours(folder) {
        return Err(usage!("--keep is for `bulla edit` itself: {} is no folder of its making", folder.display()));
    }
    // Fails for the leader of a group, which somebody who runs this by hand may be.
    rustix::process::setsid().map(drop).unwrap_or_default();
    let mut out = std::io::stdout();
    out.write_all(b"k")?;
    out.flush()?;
    let mut editor = None;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        editor = line
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    }
    if let Some(editor) = editor {
        end(&editor);
    }
    storage::wipe(folder);
    Ok(())
}

/// Ends the editor, which has nobody left to work for.
fn end(editor: &OwnedFd) {
    for signal in [Signal::HUP, Signal::KILL] {
        if rustix::process::pidfd_send_signal(editor, signal).is_err() {
            return;
        }
        let mut ended = [rustix::event::PollFd::new(editor, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec::try_from(PATIENCE).ok();
        if rustix::event::poll(&mut ended, patience.as_ref()).is_ok_and(|count| count > 0) {
            return;
        }
    }
}
