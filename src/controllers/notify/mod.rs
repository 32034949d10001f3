//! Telling people what happened: failures, recoveries and rotations.
//!
//! | module | what it is |
//! | --- | --- |
//! | `board` | what is worth telling, and when (no clock of its own, no network) |
//! | `message` | what a post says |
//! | `sender` | posting it: one task for each receiver, with retries |
//!
//! Whoever works on an object only notes how it went, which takes a lock for a moment and no memory to speak of. A
//! receiver that is away costs nobody anything: what happens meanwhile is noted once an object, and told when it is back.

mod board;
mod message;
mod sender;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulla_crds::{Condition, ConditionStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::board::{Board, Item, Settings};
pub(super) use self::sender::Senders;
use self::sender::{Format, Sender, Sent};
use super::metrics::Kind;
use super::queue::Key;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// An object that was in sync, or is new, is not.
    Failed,
    /// An object that was not in sync is again.
    Recovered,
    /// A sealing key was made, retired or declared compromised.
    Rotated,
}

impl Occasion {
    /// The word in flags and posts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Rotated => "rotated",
        }
    }
}

/// A secret that is read from a file each time, so that it can be changed there, or that is held here.
#[derive(Clone)]
pub enum Destination {
    /// A file that holds it.
    File(PathBuf),
    /// The secret itself.
    Held(Arc<Zeroizing<String>>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Held(_) => f.write_str("Held(..)"),
        }
    }
}

impl Destination {
    /// A secret to hold.
    #[must_use]
    pub fn held(text: String) -> Self {
        Self::Held(Arc::new(Zeroizing::new(text)))
    }

    fn read(&self) -> std::io::Result<Zeroizing<String>> {
        match self {
            Self::File(path) => Ok(Zeroizing::new(Zeroizing::new(std::fs::read_to_string(path)?).trim().to_owned())),
            Self::Held(text) => Ok(Zeroizing::new(text.trim().to_owned())),
        }
    }
}

/// Who is told, of what, and how soon.
#[derive(Clone, Debug)]
pub struct NotifyConfig {
    /// The address of a webhook that takes what Slack's take.
    pub slack: Option<Destination>,
    /// The address of a webhook that takes our JSON.
    pub webhook: Option<Destination>,
    /// The key that posts to `webhook` are signed with (HMAC-SHA256).
    pub webhook_key: Option<Destination>,
    /// What is told.
    pub occasions: Vec<Occasion>,
    /// How long something must last before it is told.
    pub after: Duration,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            slack: None,
            webhook: None,
            webhook_key: None,
            occasions: vec![Occasion::Failed, Occasion::Recovered, Occasion::Rotated],
            after: Duration::from_secs(60),
        }
    }
}

/// One notice. Its texts are free of values.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// What happened.
    pub(super) occasion: Occasion,
    /// The kind of the object.
    pub(super) kind: &'static str,
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// The condition's reason.
    pub(super) reason: &'static str,
    /// The condition's message.
    pub(super) message: String,
}

/// Where notices are left. Never waits for anybody and never fails: what does not fit is counted.
#[derive(Clone, Default)]
pub(super) struct Notices {
    /// One for each receiver, which may be ahead of or behind the others.
    feeds: Arc<[Arc<Feed>]>,
}

/// One receiver's board.
struct Feed {
    board: Mutex<Board>,
    wake: Notify,
}

impl Feed {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut Board) -> bool) {
        if change(&mut self.board()) {
            self.wake.notify_one();
        }
    }
}

/// Boards as `config` says, and who empties them.
pub(super) fn start(config: &NotifyConfig, registry: &mut Registry) -> (Notices, Senders) {
    let settings = Settings { occasions: config.occasions.clone(), after: config.after };
    let sent = Sent::default();
    sent.register(registry);
    let mut senders = Vec::new();
    let receivers = [(Format::Slack, &config.slack, None), (Format::Json, &config.webhook, config.webhook_key.clone())];
    for (format, destination, key) in receivers {
        if let Some(destination) = destination.clone() {
            let feed = Arc::new(Feed { board: Mutex::new(Board::new(settings.clone())), wake: Notify::new() });
            senders.push(Sender { format, destination, key, feed, sent: sent.clone() });
        }
    }
    let feeds = senders.iter().map(|sender| Arc::clone(&sender.feed)).collect();
    (Notices { feeds }, Senders(senders))
}

impl Notices {
    /// Leaves a notice.
    pub(super) fn post(&self, notice: Notice) {
        let Notice { occasion, kind, namespace, name, reason, message } = notice;
        let key = Key::new(&namespace, &name);
        for feed in self.feeds.iter() {
            feed.with(|board| match occasion {
                Occasion::Failed => board.failed(Instant::now(), (kind, key.clone()), reason, &message, None),
                Occasion::Recovered => board.good(Instant::now(), &(kind, key.clone())),
                Occasion::Rotated => board.rotated(Item::new(occasion, (kind, key.clone()), reason, &message)),
            });
        }
    }

    /// A pass over an object failed for this reason. `lasted` is as [`lasted`] says.
    pub(super) fn failed(&self, kind: Kind, key: &Key, reason: &'static str, message: &str, lasted: Option<Duration>) {
        for feed in self.feeds.iter() {
            let id = (kind.as_str(), key.clone());
            feed.with(|board| board.failed(Instant::now(), id, reason, message, lasted));
        }
    }

    /// An object is in sync.
    pub(super) fn good(&self, kind: Kind, key: &Key) {
        for feed in self.feeds.iter() {
            feed.with(|board| board.good(Instant::now(), &(kind.as_str(), key.clone())));
        }
    }

    /// An object is gone: nothing of it is told any more.
    pub(super) fn forget(&self, kind: Kind, key: &Key) {
        for feed in self.feeds.iter() {
            feed.board().forget(&(kind.as_str(), key.clone()));
        }
    }

    /// Nothing is worked on: how objects are is another's to tell.
    pub(super) fn rest(&self) {
        for feed in self.feeds.iter() {
            feed.board().rest();
        }
    }
}

/// For how long an object has failed as it fails now, by what its condition said before; `None` where that is news, and
/// very long where nobody knows.
pub(super) fn lasted(is_news: bool, condition: Option<&Condition>, now: Timestamp) -> Option<Duration> {
    let since = condition.filter(|condition| condition.status != ConditionStatus::True);
    let since = since.and_then(|condition| condition.last_transition_time.as_ref());
    // A clock that is ahead of ours makes it no older than new.
    let age = |since: &Time| now.duration_since(since.0).try_into().unwrap_or_default();
    (!is_news).then(|| since.map_or(Duration::MAX, age))
}

#[cfg(test)]
mod tests {
    use bulla_crds::ConditionType;

    use super::*;

    #[test]
    fn a_failure_lasts_since_the_condition_turned() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let condition = |holds| Condition::new(ConditionType::Ready, holds, "Any", "", None, at(100));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(lasted(true, Some(&condition(false)), at(107)), None);
        assert_eq!(lasted(false, Some(&condition(false)), at(107)), seconds(7));
        assert_eq!(lasted(false, Some(&condition(false)), at(93)), seconds(0));
        let pruned = Condition { last_transition_time: None, ..condition(false) };
        for unknown in [None, Some(&pruned), Some(&condition(true))] {
            assert_eq!(lasted(false, unknown, at(107)), Some(Duration::MAX));
        }
    }
}
