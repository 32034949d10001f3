//! One look at the repository: fetch, judge, take.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::Agent;
use super::status::Condition;
use super::take::{Taken, Why};
use crate::host::repository::{CommitId, FetchError};

/// After this time of a fetch something else is looked at, and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the repository is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// It is.
    Remote,
    /// What is known of it has to do.
    Nobody,
}

impl Agent {
    /// Fetches, and brings the host to the tip where that is possible; else it stays as it is. How it went is in the
    /// status.
    pub(super) async fn pass(&mut self, ask: Ask) {
        if ask == Ask::Remote {
            self.read_keys();
        }
        let tip = match ask {
            Ask::Nobody => self.good(),
            Ask::Remote => self.fetch().await,
        };
        // Boxed: a commit's way is long, and stacks of threads are short.
        Box::pin(self.bring(tip)).await;
        self.publish();
    }

    /// Keys may have been renewed since: they are small files. While they cannot be read, those that are known go on.
    fn read_keys(&mut self) {
        match self.config.keyring() {
            Ok(keyring) => {
                self.keyring = Arc::new(keyring);
                self.external.set_keyring(Arc::clone(&self.keyring));
            }
            Err(error) => warn!(error = super::chain(&error), "keys cannot be read again"),
        }
    }

    async fn fetch(&mut self) -> Option<CommitId> {
        match self.fetch_and_look().await {
            Ok(tip) => {
                self.status.fetched = Some(Timestamp::now());
                self.status.fetch_error = None;
                self.status.tip = Some(tip.to_string());
                Some(tip)
            }
            Err(error) => {
                warn!(error = super::chain(&error), "the repository cannot be asked");
                self.status.fetch_error = Some(super::chain(&error));
                None
            }
        }
    }

    /// Fetches; while the server takes its time, changes by hand are put back all the same.
    async fn fetch_and_look(&mut self) -> Result<CommitId, FetchError> {
        let repository = Arc::clone(&self.repository);
        let fetch = async move { repository.fetch().await };
        tokio::pin!(fetch);
        loop {
            match tokio::time::timeout(PATIENCE, &mut fetch).await {
                Ok(fetched) => return fetched,
                Err(_slow) => self.look_for_drift().await,
            }
        }
    }

    /// The last good commit.
    pub(super) fn good(&self) -> Option<CommitId> {
        self.state.good.as_ref().and_then(|good| good.commit.parse().ok())
    }

    /// The commit of the generation in use.
    pub(super) async fn in_use(&self) -> Option<CommitId> {
        let commit = self.with_sink(|sink| sink.current().commit.clone()).await;
        commit.and_then(|commit| commit.parse().ok())
    }

    /// Whether a commit may be taken.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub(super) async fn judge(&self, tip: &CommitId) -> Result<(), String> {
        let (good, accepted) = (self.good(), self.accepted.as_ref() == Some(tip));
        let judged = match &good {
            Some(good) if accepted => self.repository.judge_rewrite(good, tip).await,
            last => self.repository.judge(last.as_ref(), tip).await,
        };
        judged.map_err(|refused| super::chain(&refused))
    }

    async fn bring(&mut self, tip: Option<CommitId>) {
        let good = self.good();
        let Some(tip) = tip.or_else(|| good.clone()) else { return };
        self.status.refused = None;
        let is_new = good.as_ref() != Some(&tip);
        let may_be_taken = is_new && self.may_be_taken(&tip).await;
        if may_be_taken {
            match Box::pin(self.take(&tip, Why::New)).await {
                Taken::Done(changed) => {
                    info!(commit = tip.short(), changed, "in use");
                    self.accepted = None;
                    return;
                }
                Taken::Refused(why) => {
                    // As it was before, also what is in memory only.
                    warn!(commit = tip.short(), why, "refused");
                    self.state.condemn(tip.as_str(), why, Timestamp::now());
                    self.save();
                }
                Taken::Failed(why) => {
                    warn!(commit = tip.short(), why, "not taken");
                    self.state.trying = None;
                    self.save();
                    self.status.refused = Some(why);
                }
            }
        }
        let Some(good) = good else { return };
        // After a reboot, or a flip that was cut off: the last good commit is to be there in any case.
        let in_use = self.in_use().await;
        let is_there = in_use.as_ref() == Some(&good);
        // What could not be made before may be possible now: a key or a user came.
        let is_whole = self.status.problems.is_empty() && self.untold.is_empty();
        // After a start it is read once more: credentials, services and when values are due again are in memory only.
        if !is_there || !is_whole || self.known.as_ref() != Some(&good) {
            let why = if in_use.is_none() { Why::Boot } else { Why::Again };
            self.take_again(&good, why).await;
        }
    }

    async fn may_be_taken(&mut self, tip: &CommitId) -> bool {
        if let Some(bad) = self.state.why_bad(tip.as_str()) {
            info!(commit = tip.short(), why = bad.why, "known to be bad: not tried again");
            return false;
        }
        match self.judge(tip).await {
            Ok(()) => true,
            Err(refused) => {
                warn!(commit = tip.short(), why = refused, "not taken");
                self.status.refused = Some(refused);
                false
            }
        }
    }

    /// The commit in use once more: values from elsewhere are due, or files were changed by hand.
    pub(super) async fn take_again(&mut self, commit: &CommitId, why: Why) {
        match Box::pin(self.take(commit, why)).await {
            Taken::Done(changed) => info!(commit = commit.short(), changed, "as it should be"),
            Taken::Refused(why) | Taken::Failed(why) => {
                warn!(commit = commit.short(), why, "not as it should be");
                self.status.refused = Some(why);
            }
        }
    }

    /// How the host is, all in all.
    pub(super) fn settle_condition(&mut self) {
        let good = self.state.good.as_ref().map(|good| good.commit.as_str());
        let tip = self.status.tip.as_deref();
        let bad = tip.and_then(|tip| self.state.why_bad(tip)).filter(|bad| good != Some(bad.commit.as_str()));
        let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
        let (condition, message) = if let Some(bad) = bad {
            let message = format!("commit {} did not prove well and is not in use: {}", short(&bad.commit), bad.why);
            (Condition::RolledBack, message)
        } else if let Some(refused) = &self.status.refused {
            (Condition::Behind, refused.clone())
        } else if let Some(error) = &self.status.fetch_error {
            (Condition::Behind, error.clone())
        } else if let Some(problem) = self.status.problems.first() {
            let others = match self.status.problems.len() - 1 {
                0 => String::new(),
                others => format!(" (and {others} more)"),
            };
            (Condition::Degraded, format!("{problem}{others}"))
        } else if let Some(drifted) = self.status.drifted.first() {
            (Condition::Degraded, format!("changed by hand: {drifted}"))
        } else if let Some(good) = good {
            let files = self.status.files.len();
            (Condition::InSync, format!("commit {}, {files} file(s)", short(good)))
        } else {
            (Condition::Starting, "nothing was taken yet".to_owned())
        };
        self.status.condition = condition;
        self.status.message = message;
    }
}
