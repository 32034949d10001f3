//! Which object is due when.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::key::Key;

/// Names one timer, to cancel it.
pub(super) type Timer = (Instant, u64);

/// Objects by the time at which they are due.
#[derive(Default)]
pub(super) struct Timers {
    due: BTreeMap<Timer, Key>,
    last: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, key: Key) -> Timer {
        self.last += 1;
        let timer = (at, self.last);
        self.due.insert(timer, key);
        timer
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        self.due.remove(&timer);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next one if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Key> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}
