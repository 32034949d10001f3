//! When what failed is tried again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

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

/// Repairs of one target that are made at once.
const REPAIRS: u32 = 3;
/// So long after the last repair, earlier ones are forgotten.
const PEACE: Duration = Duration::from_secs(1800);

impl Dispatcher {
    /// The target is not as it was left: it is put right. Where somebody undoes that again and again, it is done less
    /// and less often: two who write one Secret must not keep each other, and a provider, busy.
    pub(super) fn repair(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let drift = Work::Sync(SyncReason::Drift);
        let now = Instant::now();
        let (Phase::Idle | Phase::Waiting(..)) = entry.phase else { return self.enqueue(key, drift) };
        if entry.is_going {
            return;
        }
        let (count, last) = entry.repairs;
        let count = if last.is_some_and(|last| now.duration_since(last) < PEACE) { count + 1 } else { 1 };
        entry.repairs = (count, Some(now));
        if count <= REPAIRS {
            return self.enqueue(key, drift);
        }
        if let Phase::Waiting(timer, work) = entry.phase {
            if work == drift {
                return;
            }
            self.timers.cancel(timer);
        }
        let wait = schedule::delay(Class::Refused, count - REPAIRS, random());
        warn!(
            namespace = key.namespace(),
            name = key.name(),
            repairs = count,
            ?wait,
            "somebody else writes its Secret too"
        );
        // Not the moment of its next refresh, but earlier.
        entry.next = None;
        entry.phase = Phase::Waiting(self.timers.set(now + wait, key.clone()), drift);
    }

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
