//! Whether this host may follow a commit: history only grows, and whoever it asks for has signed every commit.
//!
//! A server that replays an old commit, or somebody who forces another history onto the branch, is refused: what this
//! host had last is an ancestor of everything that it takes. Only a person moves it to another history.

use std::process::Stdio;
use std::sync::atomic::Ordering;

use super::clone::CloneError;
use super::git::{GitError, one_line};
use super::signatures::Verdict;
use super::{CommitId, Repository};

/// Why a commit is not followed. The host keeps what it has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The last good commit is not an ancestor of it.
    #[error(
        "history was rewritten: the branch is at {tip} now, and the last good commit {good} is {}. This host stays at what \
         it has. Look at `bulla host status`; if the rewrite is meant, run the agent once with `--accept-rewrite {tip}`, else push \
         a branch that goes on from {good}", if *.lost { "not in the repository any more" } else { "not before it" }
    )]
    Rewritten {
        /// What this host had last.
        good: CommitId,
        /// What the branch is at.
        tip: CommitId,
        /// Whether the last good commit is gone altogether.
        lost: bool,
    },
    /// The anchor of the settings is not an ancestor of it.
    #[error(
        "commit {anchor}, which repository.anchor asks for, is not before {tip}: this is another repository or branch, or \
         its history was rewritten"
    )]
    NotAnchored {
        /// The commit of the settings.
        anchor: CommitId,
        /// What the branch is at.
        tip: CommitId,
    },
    /// A commit in the range is not signed by whom the settings name.
    #[error(
        "commit {commit} is refused: {why}. Nothing from it on is followed. Sign it (`git commit --amend -S`) and push \
         again, or, if the signer is to be trusted, add the key to repository.signatures"
    )]
    Unsigned {
        /// The oldest such commit.
        commit: CommitId,
        /// What is wrong.
        why: String,
    },
    /// It is not in the clone.
    #[error("commit {commit} is not in the clone in the state folder")]
    Unknown {
        /// It.
        commit: CommitId,
    },
    /// It could not be found out.
    #[error("{tip} could not be judged and is not followed")]
    Unjudged {
        /// What the branch is at.
        tip: CommitId,
        /// Why not.
        #[source]
        source: CloneError,
    },
}

/// A commit, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub commit: CommitId,
    /// Who wrote it, as they say.
    pub author: String,
    /// When it was committed, as they say, in seconds since 1970.
    pub seconds: i64,
    /// Its first line.
    pub subject: String,
}

impl Repository {
    /// Decides whether this host may go on from the `last` good commit to `tip`, which was fetched.
    ///
    /// `tip` has to be `last` or a descendant of it. Where signatures are asked for, every commit after `last` up to
    /// `tip` is checked, with those that a merge brings in. Without a `last`, all after the anchor of the settings are,
    /// and `tip` alone if there is no anchor. To accept a rewrite is to call this with the accepted commit as `last`.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge(&self, last: Option<&CommitId>, tip: &CommitId) -> Result<(), Refused> {
        self.or_damaged(self.judge_range(last, tip).await, tip).await
    }

    /// Decides whether this host may go on from `good` to `tip` although `tip` is no descendant: somebody said that the
    /// history was rewritten with reason. The anchor of the settings has to be before it all the same. Where signatures
    /// are asked for, every commit that `good` does not have is checked.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_rewrite(&self, good: &CommitId, tip: &CommitId) -> Result<(), Refused> {
        self.or_damaged(self.judge_other(good, tip).await, tip).await
    }

    /// A clone that is damaged has lost commits too, and that is not the server's doing.
    async fn or_damaged(&self, judged: Result<(), Refused>, tip: &CommitId) -> Result<(), Refused> {
        if matches!(
            judged,
            Err(Refused::Unknown { .. } | Refused::Unjudged { .. } | Refused::Rewritten { lost: true, .. })
        ) && let Some(damage) = self.is_damaged(&self.folder.clone()).await
        {
            self.suspect.store(true, Ordering::Relaxed);
            return Err(Refused::Unjudged { tip: tip.clone(), source: CloneError::Damaged(damage) });
        }
        judged
    }

    async fn judge_range(&self, last: Option<&CommitId>, tip: &CommitId) -> Result<(), Refused> {
        self.is_here(tip).await?;
        let Some(good) = last else {
            self.is_anchored(tip).await?;
            return self.is_signed(self.anchor.as_ref(), tip).await;
        };
        if good == tip {
            return Ok(());
        }
        let unjudged = unjudged(tip);
        let lost = !self.has(good).await.map_err(&unjudged)?;
        if lost || !self.is_before(good, tip).await.map_err(&unjudged)? {
            return Err(Refused::Rewritten { good: good.clone(), tip: tip.clone(), lost });
        }
        self.is_signed(Some(good), tip).await
    }

    async fn judge_other(&self, good: &CommitId, tip: &CommitId) -> Result<(), Refused> {
        self.is_here(tip).await?;
        self.is_anchored(tip).await?;
        let from = if self.has(good).await.map_err(unjudged(tip))? { Some(good) } else { self.anchor.as_ref() };
        self.is_signed(from, tip).await
    }

    async fn is_here(&self, tip: &CommitId) -> Result<(), Refused> {
        let is_here = self.has(tip).await.map_err(unjudged(tip))?;
        if is_here { Ok(()) } else { Err(Refused::Unknown { commit: tip.clone() }) }
    }

    /// Whether the anchor of the settings, if there is one, is before `tip`.
    async fn is_anchored(&self, tip: &CommitId) -> Result<(), Refused> {
        let Some(anchor) = &self.anchor else { return Ok(()) };
        let unjudged = unjudged(tip);
        // Of a commit that is not there git does not say what it is before.
        if self.has(anchor).await.map_err(&unjudged)? && self.is_before(anchor, tip).await.map_err(&unjudged)? {
            return Ok(());
        }
        Err(Refused::NotAnchored { anchor: anchor.clone(), tip: tip.clone() })
    }

    /// Whether every commit after `from` up to `tip` is signed as the settings ask; `tip` alone without a `from`.
    async fn is_signed(&self, from: Option<&CommitId>, tip: &CommitId) -> Result<(), Refused> {
        let Some(signatures) = &self.signatures else { return Ok(()) };
        let range = match from {
            Some(from) => self.between(from, tip).await.map_err(unjudged(tip))?,
            None => vec![tip.clone()],
        };
        match self.verify(signatures, &range).await.map_err(unjudged(tip))? {
            Verdict::Good => Ok(()),
            Verdict::Bad { commit, why } => Err(Refused::Unsigned { commit, why }),
        }
    }

    /// Who made a commit and what for.
    ///
    /// # Errors
    /// It is not in the clone.
    pub async fn summary(&self, commit: &CommitId) -> Result<Summary, GitError> {
        let arguments = ["log", "-1", "--no-show-signature", "--format=%ct%x00%an%x00%s", commit.as_str(), "--"];
        let output = self.git.run(Some(&self.folder.clone()), &arguments).await?;
        let mut parts = output.splitn(3, |byte| *byte == 0);
        let mut part = || one_line(parts.next().unwrap_or_default(), 200);
        let seconds = part().parse().unwrap_or_default();
        Ok(Summary { commit: commit.clone(), seconds, author: part(), subject: part() })
    }

    /// The commits after `from` up to `to`, the oldest first.
    ///
    /// # Errors
    /// One of them is not in the clone.
    pub async fn between(&self, from: &CommitId, to: &CommitId) -> Result<Vec<CommitId>, GitError> {
        let not = format!("^{from}");
        let arguments = ["rev-list", "--topo-order", "--reverse", to.as_str(), &not, "--"];
        let limits = crate::host::process::Limits { output: 64 << 20, ..self.git.limits() };
        let ended = self.git.end(Some(&self.folder.clone()), &arguments, Stdio::null(), limits).await?;
        let wrong = |answer| GitError::Answer { what: "rev-list".into(), answer };
        if !ended.status.success() {
            return Err(GitError::Failed { what: "rev-list".into(), text: self.git.clean(&ended.errors) });
        }
        let text = String::from_utf8(ended.output).map_err(|_| wrong("what is not text".into()))?;
        text.lines().map(|line| line.parse().map_err(|_| wrong(format!("{line:?}, which is no commit")))).collect()
    }

    async fn has(&self, commit: &CommitId) -> Result<bool, GitError> {
        let name = format!("{commit}^{{commit}}");
        self.yes_or_no(&["cat-file", "-e", &name]).await
    }

    async fn is_before(&self, old: &CommitId, new: &CommitId) -> Result<bool, GitError> {
        let arguments = ["merge-base", "--is-ancestor", old.as_str(), new.as_str()];
        let ended = self.git.end(Some(&self.folder.clone()), &arguments, Stdio::null(), self.git.limits()).await?;
        match ended.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(GitError::Failed { what: "merge-base".into(), text: self.git.clean(&ended.errors) }),
        }
    }

    async fn yes_or_no(&self, arguments: &[&str]) -> Result<bool, GitError> {
        let ended = self.git.end(Some(&self.folder.clone()), arguments, Stdio::null(), self.git.limits()).await?;
        match ended.status.code() {
            Some(0) => Ok(true),
            // Of `cat-file -e`: 1 is no object, 128 no such name, as where it is no commit.
            Some(1 | 128) => Ok(false),
            _ => Err(GitError::Failed { what: arguments.join(" "), text: self.git.clean(&ended.errors) }),
        }
    }
}

/// It could not be found out whether `tip` may be followed.
fn unjudged<E: Into<CloneError>>(tip: &CommitId) -> impl Fn(E) -> Refused {
    move |source| Refused::Unjudged { tip: tip.clone(), source: source.into() }
}
