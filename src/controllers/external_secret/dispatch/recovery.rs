//! When what failed is tried again: by its class, or because what it waits for is there.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::Dispatcher;
use super::entry::{Entry, Phase, Work};
use crate::controllers::external_secret::error::Away;
use crate::controllers::external_secret::status::SyncReason;
use crate::controllers::external_secret::stores::{StoreId, Stores};
use crate::controllers::queue::Key;
use crate::controllers::random;
use crate::resource::external_secret as resource;
use crate::sync::schedule::{self, Class};

/// Tries of what a provider refuses before the object's own interval is kept to.
const REFUSED_TRIES: u32 = 3;
/// The longest wait for another try of what is refused.
const MOST_PATIENT: Duration = Duration::from_secs(3600);

impl Dispatcher {
    /// A store is new or good again: what waits for it goes at once.
    pub(super) fn on_better(&mut self, store: &StoreId) {
        let waiting = |(key, entry): (&Key, &Entry)| entry.waits_for.contains(store).then(|| key.clone());
        let waiting: Vec<_> = self.entries.iter().filter_map(waiting).collect();
        if !waiting.is_empty() {
            info!(namespace = %store.namespace, %store, objects = waiting.len(), "the store is ready: trying again what waited for it");
        }
        for key in waiting {
            self.enqueue(&key, Work::Sync(SyncReason::Retry));
        }
    }

    pub(super) fn stores_of(&self, key: &Key) -> Vec<StoreId> {
        let asked = self.entries.get(key).and_then(Entry::read).and_then(|object| resource::read(&object).ok());
        let stores = asked.map(|asked| asked.stores).unwrap_or_default();
        stores.iter().map(|store| Stores::id(store, key.namespace())).collect()
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
        if let (Class::Refused, Some(interval)) = (class, interval)
            && entry.attempts > REFUSED_TRIES
        {
            wait = wait.max(interval.min(MOST_PATIENT));
        }
        debug!(%key, ?class, attempts = entry.attempts, ?wait, "will try again");
        let timer = self.timers.set(Instant::now() + wait, key.clone());
        entry.phase = Phase::Waiting(timer, work);
    }

    /// The API server answers again: what waits because it did not comes first, spread over a second.
    pub(super) fn outage_is_over(&mut self) {
        if !std::mem::take(&mut self.outage) {
            return;
        }
        for (key, entry) in &mut self.entries {
            if let (Phase::Waiting(timer, work), Away::ApiServer) = (entry.phase, entry.away) {
                self.timers.cancel(timer);
                let soon = Instant::now() + Duration::from_millis(random() % 1000);
                entry.phase = Phase::Waiting(self.timers.set(soon, key.clone()), work);
            }
        }
    }

    /// What `key` asks answers: whatever waits because the same store did not goes now, once.
    pub(super) fn store_answered(&mut self, key: &Key) {
        if !self.stores_away {
            return;
        }
        let answering = self.stores_of(key);
        self.stores_away = false;
        let mut ready = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.away == Away::Store) {
            if entry.waits_for.iter().any(|store| answering.contains(store)) {
                entry.away = Away::Nobody;
                ready.push(key.clone());
            } else {
                self.stores_away = true;
            }
        }
        ready.iter().for_each(|key| self.enqueue(key, Work::Sync(SyncReason::Retry)));
    }
}
