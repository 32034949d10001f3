//! One run of git: a clean environment, the settings file of ours and no other, one transport, a time limit.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::OpenError;
use super::access::{self, Access};
use super::clone::Folder;
use super::remote::{By, Remote};
use crate::host::process::{self, Ended, Limits, Running, Stopped};

/// The most bytes of memory of one process of git.
const MOST_MEMORY: u64 = 1 << 30;

/// However slowly a fetch gets on, it ends after this time.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How often it is looked whether it gets on.
const LOOK: Duration = Duration::from_secs(5);

/// What runs git.
#[derive(Debug)]
pub(super) struct Git {
    environment: Vec<(&'static str, String)>,
    home: PathBuf,
    time: Duration,
    /// A file whose first line must not be in messages.
    token: Option<PathBuf>,
}

/// git did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// It did not run to its end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// It says no.
    #[error("`git {what}`: {text}")]
    Failed {
        /// Its command.
        what: String,
        /// What it says, cleaned and shortened.
        text: String,
    },
    /// It said something else than it should.
    #[error("`git {what}` answered with {answer}")]
    Answer {
        /// Its command.
        what: String,
        /// What is wrong with the answer.
        answer: String,
    },
}

impl Git {
    pub(super) fn new(access: &Access, remote: &Remote, folder: &Folder, time: Duration) -> Result<Self, OpenError> {
        let home = folder.home();
        let settings = folder.config().to_string_lossy().into_owned();
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
        let mut environment = vec![
            ("PATH", path),
            ("HOME", home.to_string_lossy().into_owned()),
            ("XDG_CONFIG_HOME", home.to_string_lossy().into_owned()),
            // `gpg` gets one where it is asked for (`signatures`).
            ("GNUPGHOME", "/nonexistent".into()),
            ("LC_ALL", "C".into()),
            ("TZ", "UTC".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_SYSTEM", "/dev/null".into()),
            ("GIT_CONFIG_GLOBAL", settings),
            ("GIT_ATTR_NOSYSTEM", "1".into()),
            ("GIT_CEILING_DIRECTORIES", folder.root().to_string_lossy().into_owned()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_ALLOW_PROTOCOL", remote.protocol().into()),
            ("GIT_PROTOCOL_FROM_USER", "0".into()),
            ("GIT_NO_REPLACE_OBJECTS", "1".into()),
            ("GIT_NO_LAZY_FETCH", "1".into()),
            ("GIT_LITERAL_PATHSPECS", "1".into()),
            ("GIT_PAGER", "cat".into()),
            ("GIT_EDITOR", "false".into()),
        ];
        if *remote.by() == By::Ssh {
            environment.push(("GIT_SSH_COMMAND", access::ssh_command(access)?));
            environment.push(("GIT_SSH_VARIANT", "ssh".into()));
        }
        Ok(Self { environment, home, time, token: access.token_file.clone() })
    }

    /// The environment of git and of what it starts.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// A command of git, in the repository `repository` or in none.
    pub(super) fn command<A: AsRef<OsStr>>(&self, repository: Option<&Path>, arguments: &[A]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(self.environment()).current_dir(&self.home);
        if let Some(repository) = repository {
            command.env("GIT_DIR", repository);
        }
        command.args(arguments);
        command
    }

    /// Runs git and takes what it prints.
    ///
    /// # Errors
    /// [`GitError`], for every end but success.
    pub(super) async fn run<A: AsRef<OsStr>>(
        &self,
        repository: Option<&Path>,
        arguments: &[A],
    ) -> Result<Vec<u8>, GitError> {
        self.success(arguments, self.end(repository, arguments, Stdio::null(), self.limits()).await?)
    }

    /// Runs git while it holds the lock of the clone, also beyond the end of this process, and lets it write no file
    /// larger than `most` bytes. It may take as long as the packs of the clone grow: lines are slow, and repositories large.
    pub(super) async fn run_locked<A: AsRef<OsStr>>(
        &self,
        repository: &Path,
        arguments: &[A],
        lock: &File,
        most: u64,
    ) -> Result<Vec<u8>, GitError> {
        let lock = lock.try_clone().map_err(|source| Stopped::Lost { program: "git".into(), source })?;
        let limits = Limits { file: Some(most), time: self.time.max(LONGEST), ..self.limits() };
        let mut work = pin!(self.end(Some(repository), arguments, Stdio::from(lock), limits));
        let mut last = (bytes_of_packs(repository), Instant::now());
        loop {
            if let Ok(ended) = timeout((self.time / 4).min(LOOK), &mut work).await {
                return self.success(arguments, ended?);
            }
            let bytes = bytes_of_packs(repository);
            if bytes != last.0 {
                last = (bytes, Instant::now());
            } else if last.1.elapsed() >= self.time {
                return Err(Stopped::Stalled { program: "git".into(), after: self.time }.into());
            }
        }
    }

    /// Runs git to whatever end.
    pub(super) async fn end<A: AsRef<OsStr>>(
        &self,
        repository: Option<&Path>,
        arguments: &[A],
        stdin: Stdio,
        limits: Limits,
    ) -> Result<Ended, GitError> {
        // On the heap: many runs in one future would make it a large one.
        Ok(Box::pin(process::run(&mut self.command(repository, arguments), stdin, limits)).await?)
    }

    /// Starts git to talk with it.
    pub(super) fn start<A: AsRef<OsStr>>(&self, repository: &Path, arguments: &[A]) -> Result<Running, GitError> {
        let mut command = self.command(Some(repository), arguments);
        Ok(Running::start(command.stdin(Stdio::piped()), self.limits())?)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { memory: Some(MOST_MEMORY), ..Limits::of(self.time) }
    }

    fn success<A: AsRef<OsStr>>(&self, arguments: &[A], ended: Ended) -> Result<Vec<u8>, GitError> {
        if ended.status.success() {
            return Ok(ended.output);
        }
        let what = arguments.first().map(|it| it.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
        let mut text = self.clean(&ended.errors);
        if text.is_empty() {
            text = ended.status.to_string();
        }
        Err(GitError::Failed { what, text })
    }

    /// What git says, in one line, without what a terminal would obey, without the token, and not too long.
    pub(super) fn clean(&self, errors: &[u8]) -> String {
        let text = one_line(errors, 800);
        let token = self.token.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        match token.as_deref().and_then(|token| token.lines().next()) {
            Some(token) if !token.is_empty() => text.replace(token.trim(), "***"),
            _ => text,
        }
    }

    /// Older ones read the settings of the user.
    pub(super) async fn check_version(&self) -> Result<(), OpenError> {
        let output = self.run(None, &["version"]).await.map_err(OpenError::NoGit)?;
        let found = one_line(&output, 80);
        let mut numbers = found.trim_start_matches("git version ").split('.').map_while(|it| it.parse::<u32>().ok());
        match (numbers.next(), numbers.next()) {
            (Some(2), Some(32..)) | (Some(3..), _) => Ok(()),
            _ => Err(OpenError::OldGit { found }),
        }
    }
}

/// What the packs of a clone have, also those that come just now.
fn bytes_of_packs(clone: &Path) -> u64 {
    let files = std::fs::read_dir(clone.join("objects/pack")).into_iter().flatten().flatten();
    files.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}

/// Text of others in one line, without control characters, and its last `most` characters.
pub(super) fn one_line(text: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(|line| line.rsplit('\r').next().unwrap_or_default().trim());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let joined: String = lines.join("; ").chars().filter(|it| !it.is_control() && !is_bidi(*it)).collect();
    let long = joined.chars().count();
    if long <= most { joined } else { format!("…{}", joined.chars().skip(long - most).collect::<String>()) }
}

/// Characters that turn the order of the others around.
fn is_bidi(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
