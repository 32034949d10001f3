//! Which object is due when.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::key::Key;

/// Names one timer, to cancel it.
pub(in crate::controllers) type Timer = (Instant, u64);

/// Objects by the time at which they are due.
#[derive(Default)]
pub(in crate::controllers) struct Timers {
    due: BTreeMap<Timer, Key>,
    last: u64,
}

impl Timers {
    pub(in crate::controllers) fn set(&mut self, at: Instant, key: Key) -> Timer {
        self.last += 1;
        let timer = (at, self.last);
        self.due.insert(timer, key);
        timer
    }

    pub(in crate::controllers) fn cancel(&mut self, timer: Timer) {
        self.due.remove(&timer);
    }

    /// When the next one is due.
    pub(in crate::controllers) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next one if it is due.
    pub(in crate::controllers) fn pop(&mut self, now: Instant) -> Option<Key> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    pub(in crate::controllers) fn len(&self) -> usize {
        self.due.len()
    }
}

/// Waits until `at`, for ever without one.
pub(in crate::controllers) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
