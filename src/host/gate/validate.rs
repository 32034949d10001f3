//! Before the flip: the services' own `validate` commands.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

use super::view::{Mounts, SCRIPT, View};
use crate::host::command::{Command, CommandError, Ended, Scrubber, TIMEOUT};
use crate::host::desired::Service;
use crate::host::units::{self, Change};

/// The folder of the staged files, for commands that ask.
const STAGED: &str = "BULLA_STAGED";

/// All commands ended with 0.
#[derive(Debug, Default)]
pub struct Validated {
    /// The services whose commands ran.
    pub services: Vec<String>,
    /// Whether they saw the staged files at their paths.
    pub isolation: Option<Isolation>,
    /// Paths that could not be shown to them; they saw what is there now.
    pub hidden: Vec<PathBuf>,
}

/// How a command came to see the staged files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// In a mount namespace: at their paths.
    Namespace,
    /// In a mount namespace of a user namespace: at their paths. To it, all files are the agent's own user's.
    UserNamespace,
    /// Not at all: neither was allowed here. It saw the files that are there now, and `BULLA_STAGED` in its environment.
    None,
}

/// The services' own word that they would not take the files: at least one.
#[derive(Debug)]
pub struct Refusal(pub Vec<Refused>);

/// A service's own word that it would not take the files.
#[derive(Debug, thiserror::Error)]
#[error("{service} does not take it: {why}")]
pub struct Refused {
    /// The service.
    pub service: String,
    /// What its command said, without secrets.
    pub why: CommandError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("\n"))
    }
}

impl std::error::Error for Refusal {}

/// Runs the `validate` commands of those of `services` that are about one of the `changes`, one after the other, with the staged files at their paths where this
/// machine allows it (see [`View`]). Nobody else sees anything of it.
///
/// # Errors
/// [`Refusal`], with the words of every service that refuses.
pub async fn validate(
    services: &[Service],
    changes: &[Change],
    view: impl Into<View>,
    scrubber: &Scrubber,
) -> Result<Validated, Refusal> {
    let mut refusals = Vec::new();
    let mut validated = Validated::default();
    let asked: Vec<&Service> =
        units::affected(services, changes).into_iter().filter(|service| !service.validate.is_empty()).collect();
    if asked.is_empty() {
        return Ok(validated);
    }
    let view = &view.into();
    let looked = {
        let view = view.clone();
        tokio::task::spawn_blocking(move || (view.mounts(), Scratch::make(&view.scratch))).await
    };
    let (mounts, scratch) = match looked {
        Ok((mounts, Ok(scratch))) => (Some(mounts), Some(scratch)),
        Ok((_, Err(error))) => {
            tracing::warn!(%error, folder = %view.scratch.display(), "a folder for mounts could not be made");
            (None, None)
        }
        Err(_panicked) => (None, None),
    };
    let room = Room::new(view, mounts.as_ref(), scrubber).await;
    for service in asked {
        tracing::debug!(service = service.name, isolation = ?room.isolation, "validating");
        match room.run(&service.validate, TIMEOUT, scrubber).await {
            Ok(_said) => validated.services.push(service.name.clone()),
            Err(why) => refusals.push(Refused { service: service.name.clone(), why }),
        }
    }
    drop(scratch);
    validated.isolation = Some(room.isolation);
    validated.hidden = mounts.as_ref().map(|mounts| mounts.hidden.clone()).unwrap_or_default();
    if refusals.is_empty() { Ok(validated) } else { Err(Refusal(refusals)) }
}

/// Where commands run.
struct Room<'a> {
    view: &'a View,
    mounts: Option<&'a Mounts>,
    isolation: Isolation,
}

impl<'a> Room<'a> {
    /// The best that is allowed here: tried out with a command that does nothing.
    async fn new(view: &'a View, mounts: Option<&'a Mounts>, scrubber: &Scrubber) -> Self {
        let mut room = Self { view, mounts, isolation: Isolation::None };
        if mounts.is_none() {
            return room;
        }
        for isolation in [Isolation::Namespace, Isolation::UserNamespace] {
            room.isolation = isolation;
            match room.run(&["true"], Duration::from_secs(10), scrubber).await {
                Ok(_nothing) => return room,
                Err(error) => tracing::info!(%error, ?isolation, "this isolation does not work here"),
            }
        }
        room.isolation = Isolation::None;
        room
    }

    async fn run(
        &self,
        argv: &[impl AsRef<OsStr>],
        limit: Duration,
        scrubber: &Scrubber,
    ) -> Result<String, CommandError> {
        let command: &[&str] = match self.isolation {
            Isolation::Namespace => &["unshare", "-m"],
            Isolation::UserNamespace => &["unshare", "-U", "-r", "-m"],
            Isolation::None => {
                let command = Command::new(argv).with(STAGED, &self.view.staged).within(limit);
                return command.succeeds(scrubber).await;
            }
        };
        let mark = mark();
        let words: &[OsString] = self.mounts.map(|mounts| mounts.words.as_slice()).unwrap_or_default();
        let shell = ["sh", "-c", SCRIPT, "sh", &mark];
        let command = Command::new(command).and(&shell).and(words).and(&["run"]).and(argv);
        let ended = command.with(STAGED, &self.view.staged).within(limit).ended(scrubber).await;
        let program = argv.first().map(|program| program.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
        match ended? {
            Ended { code: Some(0), output } => Ok(output),
            // It never came to the command.
            Ended { code, output } if output.contains(&mark) => {
                let output = output.replacen(&mark, "", 1).trim().to_owned();
                Err(CommandError::Failed { program: format!("what was to show {program} the new files"), code, output })
            }
            Ended { code, output } => Err(CommandError::Failed { program, code, output }),
        }
    }
}

/// Says that the command itself never began; nobody who is not told can say it.
fn mark() -> String {
    let mut random = [0_u8; 16];
    // Without luck it is a mark that could be guessed, which only a command would do that was let in already.
    if getrandom(&mut random, GetRandomFlags::empty()).is_err() {
        tracing::debug!("no random numbers");
    }
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder to mount on, removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn make(at: &Path) -> io::Result<Self> {
        match fs::DirBuilder::new().mode(0o700).create(at) {
            // Left behind by one that was killed; it is empty, since its mounts were the namespace's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(at)?.is_dir() => {}
            made => made?,
        }
        Ok(Self(at.to_path_buf()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::debug!(%error, folder = %self.0.display(), "a folder for mounts was not removed");
        }
    }
}
