//! When what failed is tried again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::Dispatcher;
use super::entry::{Phase, Work};
use crate::controllers::external_secret::status::SyncReason;
use crate::controllers::queue::Key;
use crate::controllers::random;
use crate::sync::schedule::{self, Class};

/// Whoever looks for all whether a store is back waits no longer than after so many failures: 2 to 4 s.
const SCOUTING: u32 = 4;
/// Tries of what a provider refuses before the object's own interval is kept to.
const REFUSED_TRIES: u32 = 3;
/// The longest wait for another try of what is refused.
const MOST_PATIENT: Duration = Duration::from_secs(3600);

impl Dispatcher {
    /// Waits by the class of failure. A provider that refuses is in the end not asked more often than the object's own
    /// interval says.
    pub(super) fn try_again(
        &mut self,
        key: &Key,
        class: Class,
        work: Work,
        interval: Option<Duration>,
        again: Option<Work>,
    ) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.attempts = entry.attempts.saturating_add(1);
        if let Some(work) = again.filter(|again| !matches!(again, Work::Sync(SyncReason::Drift))) {
            return self.enqueue(key, work);
        }
        let mut wait = schedule::delay(class, entry.attempts, random());
        if class == Class::Transient && self.scouts.values().any(|scout| scout == key) {
            wait = schedule::delay(class, entry.attempts.min(SCOUTING), random());
        }
        if let (Class::Refused, Some(interval)) = (class, interval)
            && entry.attempts > REFUSED_TRIES
        {
            wait = wait.max(interval.min(MOST_PATIENT));
        }
        debug!(%key, ?class, attempts = entry.attempts, ?wait, "will try again");
        let timer = self.timers.set(Instant::now() + wait, key.clone());
        entry.phase = Phase::Waiting(timer, work);
    }
}
