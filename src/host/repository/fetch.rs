//! What is new on the branch.
//!
//! A poll that finds nothing new is one `git ls-remote` of one reference: a few milliseconds for a path, one
//! connection else. Only a new commit is fetched, into `refs/bulla/tip`.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::clone::{CloneError, TIP, has_full_file};
use super::git::{GitError, one_line};
use super::{CommitId, Repository};
use crate::host::process::Stopped;

/// The most names of branches in a message.
const MOST_NAMES: usize = 10;

/// Why nothing was fetched. What was fetched before is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server, path or bundle cannot be reached or read.
    #[error("{url} cannot be read: {text}")]
    Unreachable {
        /// Where.
        url: String,
        /// What git says.
        text: String,
    },
    /// The server does not know us.
    #[error(
        "{url} refuses this host: {text}; check access.passwordFile (https) or access.sshKey (ssh), and that its owner may \
         read the repository"
    )]
    Unauthorized {
        /// Where.
        url: String,
        /// What git says.
        text: String,
    },
    /// The server is not the one that it was, or nobody knows it.
    #[error(
        "the key of the server of {url} is not known: {text}; put the right one, which its operator tells, in access.knownHosts"
    )]
    HostKey {
        /// Where.
        url: String,
        /// What git says.
        text: String,
    },
    /// There is no repository.
    #[error("there is no repository at {url}: {text}")]
    NoRepository {
        /// Where.
        url: String,
        /// What git says.
        text: String,
    },
    /// Another user owns it.
    #[error("{url} belongs to another user, whose settings git would read: change its owner, or set access.trustOwner")]
    Owner {
        /// Where.
        url: String,
    },
    /// It has no commits.
    #[error("the repository at {url} is empty: push branch {branch}")]
    Empty {
        /// Where.
        url: String,
        /// What was looked for.
        branch: String,
    },
    /// It has no such branch.
    #[error("{url} has no branch {branch}; it has {}", .there.join(", "))]
    NoBranch {
        /// Where.
        url: String,
        /// What was looked for.
        branch: String,
        /// Some of what is there.
        there: Vec<String>,
    },
    /// A bundle goes on from commits that we do not have.
    #[error(
        "the bundle {url} goes on from {}, which this host does not have: bring the bundles in between, or one with the \
         whole history (`git bundle create FILE {branch}`)", .missing.iter().map(CommitId::short).collect::<Vec<_>>().join(", ")
    )]
    NoBase {
        /// Where.
        url: String,
        /// The branch.
        branch: String,
        /// What it goes on from.
        missing: Vec<CommitId>,
    },
    /// A file that is not a whole bundle.
    #[error(
        "{url} is not a whole bundle: wait until the copy has ended, or make it anew (`git bundle verify FILE`): {text}"
    )]
    HalfBundle {
        /// Where.
        url: String,
        /// What git says.
        text: String,
    },
    /// It took too long.
    #[error("{url} did not answer in time: {stopped}")]
    Timeout {
        /// Where.
        url: String,
        /// What was stopped.
        stopped: Stopped,
    },
    /// There is more than is allowed.
    #[error(
        "the clone of {url} would have more than {most_bytes} bytes: raise mostBytes, or make the repository smaller"
    )]
    TooLarge {
        /// Where.
        url: String,
        /// The limit.
        most_bytes: u64,
    },
    /// It has objects that no git makes.
    #[error("{url} has objects that are malformed, which a tool with a fault or an attacker made: {text}")]
    Malformed {
        /// Where.
        url: String,
        /// What git says.
        text: String,
    },
    /// The clone cannot be written.
    #[error(transparent)]
    Clone(#[from] CloneError),
}

impl From<std::io::Error> for FetchError {
    fn from(error: std::io::Error) -> Self {
        Self::Clone(error.into())
    }
}

impl Repository {
    /// Looks what is the newest commit of the branch, and fetches it if it is not here yet. Nothing says yet that this
    /// host may follow it: see [`Repository::judge`].
    ///
    /// A clone that is damaged is made anew. Dropping the future ends git.
    ///
    /// # Errors
    /// [`FetchError`]; what was fetched before is as it was.
    pub async fn fetch(&self) -> Result<CommitId, FetchError> {
        let newest = self.look().await?;
        if self.tip().as_ref() == Some(&newest) && !self.suspect.load(Ordering::Relaxed) {
            return Ok(newest);
        }
        let lock = self.folder.lock().await?.ok_or(CloneError::Busy)?;
        let tip = self.fetch_new(&newest, &lock).await?;
        self.suspect.store(false, Ordering::Relaxed);
        self.set_tip(Some(tip.clone()));
        Ok(tip)
    }

    async fn fetch_new(&self, newest: &CommitId, lock: &File) -> Result<CommitId, FetchError> {
        let Some(clone) = self.existing()? else {
            return self.clone_anew(newest, lock).await;
        };
        if self.suspect.load(Ordering::Relaxed)
            && let Some(damage) = self.is_damaged(&clone).await
        {
            return self.replace(&clone, &damage, newest, lock).await;
        }
        if self.maintain(&clone, lock).await.is_ok_and(|bytes| bytes > self.most_bytes) {
            return Err(FetchError::TooLarge { url: self.url().into(), most_bytes: self.most_bytes });
        }
        match self.fetch_into(&clone, lock).await {
            Err(error @ FetchError::Unreachable { .. }) => match self.is_damaged(&clone).await {
                Some(damage) => self.replace(&clone, &damage, newest, lock).await,
                None => Err(error),
            },
            other => other,
        }
    }

    async fn replace(
        &self,
        clone: &Path,
        damage: &GitError,
        newest: &CommitId,
        lock: &File,
    ) -> Result<CommitId, FetchError> {
        tracing::warn!(%damage, clone = %clone.display(), "the clone is damaged and is made anew");
        self.clone_anew(newest, lock).await
    }

    async fn clone_anew(&self, newest: &CommitId, lock: &File) -> Result<CommitId, FetchError> {
        let new = self.empty(newest).await?;
        let tip = self.fetch_into(&new, lock).await?;
        self.put_in_place().await?;
        Ok(tip)
    }

    async fn fetch_into(&self, clone: &Path, lock: &File) -> Result<CommitId, FetchError> {
        let what = format!("+refs/heads/{}:{TIP}", self.branch);
        let arguments = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--refmap=",
            "--",
            self.url(),
            &what,
        ];
        let fetched = self.git.run_locked(clone, &arguments, lock, self.most_bytes).await;
        fetched.map_err(|error| {
            // git is killed where a pack grows beyond the limit, and does not say why it ended.
            if matches!(error, GitError::Failed { .. }) && has_full_file(clone, self.most_bytes) {
                return FetchError::TooLarge { url: self.url().into(), most_bytes: self.most_bytes };
            }
            self.explain(error)
        })?;
        self.reference(clone, TIP).await.ok_or_else(|| {
            let text = format!("branch {} does not point to a commit", self.branch);
            FetchError::Malformed { url: self.url().into(), text }
        })
    }

    /// The newest commit of the branch there.
    async fn look(&self) -> Result<CommitId, FetchError> {
        let name = format!("refs/heads/{}", self.branch);
        let found = self.references(&name).await?;
        if let Some((commit, _)) = found.into_iter().find(|(_, there)| *there == name) {
            return Ok(commit);
        }
        let (url, branch) = (self.url().to_owned(), self.branch.clone());
        let there = self.references("refs/heads/*").await?;
        if there.is_empty() {
            return Err(FetchError::Empty { url, branch });
        }
        let more = there.len().saturating_sub(MOST_NAMES);
        let short = |(_, name): &(CommitId, String)| one_line(name.trim_start_matches("refs/heads/").as_bytes(), 80);
        let mut names: Vec<String> = there.iter().take(MOST_NAMES).map(short).collect();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        Err(FetchError::NoBranch { url, branch, there: names })
    }

    /// The references there that match, and what they point to.
    async fn references(&self, pattern: &str) -> Result<Vec<(CommitId, String)>, FetchError> {
        let arguments = ["ls-remote", "--quiet", "--", self.url(), pattern];
        let output = self.git.run(None, &arguments).await.map_err(|error| self.explain(error))?;
        let text = String::from_utf8_lossy(&output);
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        Ok(lines.filter_map(|(commit, name)| Some((commit.parse().ok()?, name.to_owned()))).collect())
    }

    /// What an error of git means.
    fn explain(&self, error: GitError) -> FetchError {
        let url = self.url().to_owned();
        let text = match error {
            GitError::Failed { text, .. } => text,
            GitError::Stopped(stopped @ (Stopped::Timeout { .. } | Stopped::Stalled { .. })) => {
                return FetchError::Timeout { url, stopped };
            }
            other @ (GitError::Stopped(_) | GitError::Answer { .. }) => return CloneError::Git(other).into(),
        };
        if let Some(bundle) = self.remote.bundle()
            && !bundle.exists()
        {
            return FetchError::NoRepository { url, text: "the bundle is not there".into() };
        }
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["prerequisite"]) {
            let missing = text.split(|it: char| !it.is_ascii_hexdigit()).filter_map(|word| word.parse().ok());
            let missing = missing.take(MOST_NAMES).collect();
            return FetchError::NoBase { url, branch: self.branch.clone(), missing };
        }
        if says(&["dubious ownership", "safe.directory"]) {
            return FetchError::Owner { url };
        }
        if says(&["Host key verification failed", "HOST IDENTIFICATION HAS CHANGED", "No ED25519 host key is known"]) {
            return FetchError::HostKey { url, text };
        }
        if says(&[
            "terminal prompts disabled",
            "Authentication failed",
            "Permission denied (",
            "returned error: 401",
            "returned error: 403",
        ]) {
            return FetchError::Unauthorized { url, text };
        }
        if self.remote.bundle().is_some() && !says(&["fsck error"]) {
            return FetchError::HalfBundle { url, text };
        }
        if says(&["fsck error"]) {
            return FetchError::Malformed { url, text };
        }
        if says(&["does not appear to be a git repository", "not found", "does not exist", "No such file"]) {
            return FetchError::NoRepository { url, text };
        }
        FetchError::Unreachable { url, text }
    }
}
