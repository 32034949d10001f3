//! Who has to come back, and what goes on when they do.
//!
//! Many wait for a store that is away, each for longer and longer. One of them, the store's scout, tries every few
//! seconds, and the first answer wakes the others. How often the provider is really called is for the gate to say.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Dispatcher;
use super::entry::{Entry, Phase, Work};
use crate::controllers::external_secret::error::Away;
use crate::controllers::external_secret::status::SyncReason;
use crate::controllers::external_secret::stores::{StoreId, Stores};
use crate::controllers::queue::Key;
use crate::controllers::random;
use crate::resource::external_secret as resource;

impl Dispatcher {
    /// Remembers whom a failed object waits for.
    pub(super) fn note_away(&mut self, key: &Key, waits_for: Vec<StoreId>, away: Away) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.outage |= away == Away::ApiServer;
        // One that asked again in vain is not left behind when others succeed.
        let stays = entry.away == Away::Store && away == Away::Nobody && !waits_for.is_empty();
        entry.away = if stays { Away::Store } else { away };
        if entry.away == Away::Store {
            for store in &waits_for {
                self.scouts.entry(store.clone()).or_insert_with(|| key.clone());
            }
        }
        let was_answered = away == Away::Nobody && waits_for.is_empty();
        entry.waits_for = waits_for;
        if was_answered {
            self.store_answered(key);
        }
    }

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

    /// What `key` asks answers, if only with a refusal: whatever waits because the same store did not goes now.
    pub(super) fn store_answered(&mut self, key: &Key) {
        if self.scouts.is_empty() {
            return;
        }
        let mut answering = self.stores_of(key);
        answering.retain(|store| self.scouts.remove(store).is_some());
        if answering.is_empty() {
            return;
        }
        let mut ready = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.away == Away::Store) {
            if entry.waits_for.iter().any(|store| answering.contains(store)) {
                entry.away = Away::Nobody;
                ready.push(key.clone());
            }
        }
        ready.iter().for_each(|key| self.enqueue(key, Work::Sync(SyncReason::Retry)));
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

    pub(super) fn stores_of(&self, key: &Key) -> Vec<StoreId> {
        let asked = self.entries.get(key).and_then(Entry::read).and_then(|object| resource::read(&object).ok());
        let stores = asked.map(|asked| asked.stores).unwrap_or_default();
        stores.iter().map(|store| Stores::id(store, key.namespace())).collect()
    }
}
