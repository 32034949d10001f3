//! One look at the repository: fetch, judge, take.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tracing::{info, warn};

use super::Agent;
use super::status::Condition;
use super::take::{Taken, Why};
use crate::host::repository::CommitId;

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
        if !self.is_to_stop() && !self.is_to_go_back() {
            Box::pin(self.bring(tip)).await;
        }
        self.publish();
        self.answer_who_ended();
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

    /// Fetches; nothing if that failed, or was ended.
    async fn fetch(&mut self) -> Option<CommitId> {
        let repository = Arc::clone(&self.repository);
        let fetched = self.beside(async move { repository.fetch().await }).await;
        if let Some(wakes) = &mut self.wakes {
            wakes.asked();
        }
        match fetched {
            Ok(Ok(tip)) => {
                self.status.fetched = Some(Timestamp::now());
                self.status.fetch_error = None;
                self.status.tip = Some(tip.to_string());
                Some(tip)
            }
            Ok(Err(error)) => {
                warn!(error = super::chain(&error), "the repository cannot be asked");
                self.status.fetch_error = Some(super::chain(&error));
                None
            }
            Err(_cut) => None,
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
                Taken::Refused { why, after } => {
                    // As it was before, also what is in memory only.
                    warn!(commit = tip.short(), why, after = after.as_ref().map(ToString::to_string), "refused");
                    self.state.condemn(tip.as_str(), why, after, Timestamp::now());
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
        if self.is_to_stop() || self.is_to_go_back() {
            return;
        }
        let Some(good) = good else { return self.leave_condemned().await };
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

    /// A first commit over which the agent was killed may still be in place, although it is known to be bad: the host goes
    /// back to what it was before. Whom to tell nobody knows any more.
    async fn leave_condemned(&mut self) {
        let Some(commit) = self.in_use().await else { return };
        if self.state.why_bad(commit.as_str()).is_none() {
            return;
        }
        warn!(
            commit = commit.short(),
            "known to be bad, and in use: the files before it are put back, services are not told"
        );
        if let Err(error) = self.with_sink(|sink| sink.back_to_nothing()).await {
            warn!(error = super::chain(&error), "the files cannot go back");
        }
        self.show_current().await;
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
    pub(super) fn take_again<'a>(&'a mut self, commit: &'a CommitId, why: Why) -> BoxFuture<'a, ()> {
        let taking = async move {
            match self.take(commit, why).await {
                Taken::Done(changed) => info!(commit = commit.short(), changed, "as it should be"),
                Taken::Refused { why, .. } | Taken::Failed(why) => {
                    warn!(commit = commit.short(), why, "not as it should be");
                    self.status.refused = Some(why);
                }
            }
        };
        // By its type: changes by hand are looked for also while a commit is taken.
        taking.boxed()
    }

    /// How the host is, all in all.
    pub(super) fn settle_condition(&mut self) {
        let good = self.state.good.as_ref().map(|good| good.commit.as_str());
        let tip = self.status.tip.as_deref();
        let bad = tip.and_then(|tip| self.state.why_bad(tip)).filter(|bad| good != Some(bad.commit.as_str()));
        let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
        let (condition, message) = if let Some(trying) = &self.status.trying {
            let message = format!("commit {} is in place and has to prove well", short(&trying.commit));
            (Condition::Trying, message)
        } else if let Some(bad) = bad {
            let after = bad.after.as_ref().map(|after| format!("; {after}")).unwrap_or_default();
            let message =
                format!("commit {} did not prove well and is not in use: {}{after}", short(&bad.commit), bad.why);
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
