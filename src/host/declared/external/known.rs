//! What is remembered of one ExternalSecret: its last good values, and how often it failed since.
//!
//! Values are kept by the version of the object that asked for them, two at most: a host that goes back to the commit
//! before finds what that one asked for, also without network.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::cache::Kept;
use super::object::{self, Failure, Job, Made};
use crate::providers::random;
use crate::secret::Target;
use crate::sync::external::refresh::{self, Due, Refresh, Synced};
use crate::sync::schedule::{self, Class};

/// How many versions are kept.
const VERSIONS: usize = 2;
/// How old the time may be that the disk knows of a value that stays the same.
const REWRITE: Duration = Duration::from_secs(600);
/// The shortest time until the next pass.
const SOONEST: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Oldest first.
    held: Vec<Held>,
    /// The version for which the stores had nothing, so that the Secret went, and when.
    gone: Option<Synced>,
    failed: Option<Failed>,
    /// Versions whose files are to be removed.
    dropped: Vec<String>,
}

#[derive(Clone)]
struct Held {
    kept: Kept,
    /// The time that the file on the disk has.
    written: Option<Timestamp>,
    /// Why there is none.
    unwritten: Option<String>,
}

/// The last try failed.
#[derive(Clone)]
struct Failed {
    /// The version that was tried.
    version: String,
    failure: Failure,
    attempts: u32,
    /// When it is tried again; nothing for not by itself.
    again: Option<Instant>,
    /// What settings of stores could name then.
    digest: u64,
}

impl Known {
    /// What the disk has.
    pub(super) fn loaded(mut kept: Vec<Kept>) -> Self {
        kept.sort_by_key(|kept| kept.at);
        let held = |kept: Kept| Held { written: Some(kept.at), unwritten: None, kept };
        Self { held: kept.into_iter().map(held).collect(), ..Self::default() }
    }

    /// The newest value.
    pub(super) fn latest(&self) -> Option<&Arc<Target>> {
        self.held.last().map(|held| &held.kept.target)
    }

    fn of(&self, version: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.kept.version == version)
    }

    /// The last sync: that of this version, or else the newest.
    fn synced(&self, version: &str) -> Option<Synced> {
        let gone = self.gone.as_ref();
        let held = self.of(version).or(self.held.last().filter(|_| gone.is_none()));
        let synced = |held: &Held| Synced { version: held.kept.version.clone(), at: held.kept.at };
        held.map(synced).or(gone.cloned())
    }

    fn due(&self, job: &Job, host: &str, now: Timestamp) -> Due {
        let synced = self.synced(&job.version);
        let (namespace, name) = &job.full;
        let spread = |synced: &Synced| refresh::spread(&format!("{host}/{namespace}/{name}"), synced.at);
        let refresh = Refresh {
            policy: job.asked.policy,
            interval: job.asked.interval,
            windows: &job.asked.windows,
            random: synced.as_ref().map_or(0, spread),
            synced: synced.as_ref(),
            version: &job.version,
        };
        refresh::due(&refresh, now)
    }

    /// Whether the stores are to be asked now.
    pub(super) fn is_due(&self, job: &Job, host: &str, digest: u64, (now, instant): (Timestamp, Instant)) -> bool {
        if let Some(failed) = &self.failed
            && failed.version == job.version
            && failed.digest == digest
            && failed.again.is_none_or(|again| instant < again)
        {
            return false;
        }
        matches!(self.due(job, host, now), Due::Now(_))
    }

    /// When the stores are to be asked next.
    pub(super) fn next(&self, job: &Job, host: &str, (now, instant): (Timestamp, Instant)) -> Option<Duration> {
        let next = match (&self.failed, self.due(job, host, now)) {
            (_, Due::Never) => return None,
            (_, Due::At(moment)) => Duration::try_from(moment.duration_since(now)).unwrap_or_default(),
            (Some(failed), Due::Now(_)) => failed.again?.saturating_duration_since(instant),
            (None, Due::Now(_)) => Duration::ZERO,
        };
        Some(next.max(SOONEST))
    }

    /// Remembers what a try came to that began at `at`.
    pub(super) fn record(&mut self, job: &Job, result: Result<Made, Failure>, digest: u64, at: Timestamp) {
        let (namespace, name) = &job.full;
        let version = job.version.clone();
        let failure = match result {
            Ok(Made::Target(target)) => {
                self.hold(Kept { version, at, target: Arc::new(target) });
                None
            }
            Ok(Made::Nothing) => match self.usable(job) {
                Some(held) => {
                    let target = Arc::clone(&held.kept.target);
                    self.hold(Kept { version, at, target });
                    None
                }
                None => {
                    let problem = "its stores hold nothing that it asks for".to_owned();
                    Some(Failure { problem, class: Some(Class::Refused) })
                }
            },
            Ok(Made::Gone) => {
                if self.gone.is_none() {
                    tracing::warn!(
                        namespace,
                        name,
                        "its stores hold nothing any more, and its deletionPolicy is Delete: its files go"
                    );
                }
                // What other versions asked for stays until this one has proven good: the host may go back to them.
                self.drop_if(|held| held.kept.version == version);
                self.gone = Some(Synced { version, at });
                None
            }
            Err(failure) => Some(failure),
        };
        let before = self.failed.take();
        let Some(failure) = failure else {
            if before.is_some() {
                tracing::info!(namespace, name, "the ExternalSecret is fetched again");
            }
            return;
        };
        let before = before.filter(|before| before.version == job.version);
        if before.as_ref().is_none_or(|before| before.failure.problem != failure.problem) {
            tracing::warn!(namespace, name, problem = failure.problem, "the ExternalSecret cannot be fetched");
        }
        let attempts = before.map_or(1, |before| before.attempts.saturating_add(1));
        let again = failure.class.map(|class| Instant::now() + schedule::delay(class, attempts, random()));
        self.failed = Some(Failed { version: job.version.clone(), failure, attempts, again, digest });
    }

    /// Forgets what is held, and has its files removed.
    fn drop_if(&mut self, is_to_go: impl Fn(&Held) -> bool) {
        let (gone, held) = std::mem::take(&mut self.held).into_iter().partition(is_to_go);
        self.held = held;
        self.dropped.extend(Vec::into_iter(gone).map(|held: Held| held.kept.version));
    }

    fn hold(&mut self, kept: Kept) {
        self.gone = None;
        let place = self.held.iter().position(|held| held.kept.version == kept.version);
        let before = place.map(|place| self.held.remove(place));
        // What the disk has stays right as long as the value does.
        let written =
            before.filter(|before| object::same(&before.kept.target, &kept.target)).and_then(|before| before.written);
        self.held.push(Held { kept, written, unwritten: None });
        let surplus = self.held.len().saturating_sub(VERSIONS);
        self.dropped.extend(self.held.drain(..surplus).map(|held| held.kept.version));
    }

    /// What may stand for the value of the job: its own, or an older one of the same name.
    fn usable(&self, job: &Job) -> Option<&Held> {
        if self.is_gone(job) {
            return None;
        }
        let is_named = |held: &&Held| held.kept.target.name == job.asked.target;
        self.of(&job.version).or(self.held.iter().rfind(is_named))
    }

    /// Whether the stores hold nothing any more and that is all there is to say: the Secret is to be gone.
    pub(super) fn is_gone(&self, job: &Job) -> bool {
        self.is_gone_of(&job.version)
    }

    fn is_gone_of(&self, version: &str) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.version == version)
    }

    /// The Secret, or why there is none; and what people should know although there is one.
    pub(super) fn answer(&self, job: Result<&Job, &Failure>) -> (Result<Target, String>, Option<String>) {
        let (held, problem) = match job {
            Ok(job) => {
                let failed = self.failed.as_ref().filter(|failed| failed.version == job.version);
                (self.usable(job), failed.map(|failed| &failed.failure.problem))
            }
            Err(failure) => (self.held.last(), Some(&failure.problem)),
        };
        match (held, problem) {
            (Some(held), None) => {
                let note = |why: &String| format!("it cannot be kept for a start without network: {why}");
                (Ok(object::duplicate(&held.kept.target)), held.unwritten.as_ref().map(note))
            }
            (Some(held), Some(problem)) => {
                let at = held.kept.at.strftime("%Y-%m-%dT%H:%M:%SZ");
                let note = format!("{problem}; what was fetched at {at} is used until then");
                (Ok(object::duplicate(&held.kept.target)), Some(note))
            }
            (None, Some(problem)) => (Err(problem.clone()), None),
            (None, None) => {
                let gone =
                    "its stores hold nothing any more, and so the secret is gone: deletionPolicy Delete asks for it";
                (Err(gone.to_owned()), None)
            }
        }
    }

    /// What the disk does not have yet.
    pub(super) fn to_store(&self) -> impl Iterator<Item = Kept> {
        let is_old = |held: &&Held| {
            let age = |written: Timestamp| Duration::try_from(held.kept.at.duration_since(written)).unwrap_or_default();
            held.written.is_none_or(|written| age(written) >= REWRITE)
        };
        self.held.iter().filter(is_old).map(|held| held.kept.clone())
    }

    /// The versions whose files are to be removed.
    pub(super) fn to_remove(&self) -> impl Iterator<Item = &str> {
        self.dropped.iter().map(String::as_str)
    }

    /// Their files are gone.
    pub(super) fn removed(&mut self) {
        self.dropped.clear();
    }

    /// Remembers what storing came to.
    pub(super) fn stored(&mut self, version: &str, result: Result<(), String>) {
        if let Some(held) = self.held.iter_mut().find(|held| held.kept.version == version) {
            match result {
                Ok(()) => (held.written, held.unwritten) = (Some(held.kept.at), None),
                Err(problem) => held.unwritten = Some(problem),
            }
        }
    }

    /// The versions that the disk has.
    pub(super) fn on_disk(&self) -> impl Iterator<Item = &str> {
        self.held.iter().filter(|held| held.written.is_some()).map(|held| held.kept.version.as_str())
    }

    /// Forgets other versions, if there is a value of this one, or its stores have none any more.
    pub(super) fn keep_only(&mut self, version: &str) {
        if self.of(version).is_some() || self.is_gone_of(version) {
            self.held.retain(|held| held.kept.version == version);
        }
    }
}
