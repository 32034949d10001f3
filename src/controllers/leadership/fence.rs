//! Until when a replica may write.
//!
//! The clock is the process' own monotonic one, which also runs while the process is stopped: whoever wakes up late finds
//! the fence shut before anything else has been looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A moment after which nothing may be written. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::controllers) struct Fence {
    began: Instant,
    /// Milliseconds after `began`; the greatest number is never.
    until: Arc<AtomicU64>,
}

const NEVER: u64 = u64::MAX;

impl Fence {
    /// One that never shuts.
    pub(in crate::controllers) fn open() -> Self {
        Self { began: Instant::now(), until: Arc::new(AtomicU64::new(NEVER)) }
    }

    /// One that is shut.
    pub(in crate::controllers) fn closed() -> Self {
        Self { began: Instant::now(), until: Arc::default() }
    }

    /// Leaves it open until then, and no longer.
    pub(in crate::controllers) fn open_until(&self, moment: Instant) {
        let millis = moment.saturating_duration_since(self.began).as_millis();
        self.until.store(u64::try_from(millis).unwrap_or(NEVER - 1), Ordering::SeqCst);
    }

    /// Shuts it now.
    pub(in crate::controllers) fn shut_now(&self) {
        self.until.store(0, Ordering::SeqCst);
    }

    /// Whether something may be written at this very moment.
    pub(in crate::controllers) fn is_open(&self) -> bool {
        let until = self.until.load(Ordering::SeqCst);
        until == NEVER || self.began.elapsed() < Duration::from_millis(until)
    }

    /// Waits until it is shut.
    pub(in crate::controllers) async fn shut(&self) {
        /// It may be shut before its time.
        const LOOK: Duration = Duration::from_millis(50);
        if self.until.load(Ordering::SeqCst) == NEVER {
            return std::future::pending().await;
        }
        while self.is_open() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_shuts_by_itself() {
        let fence = Fence::closed();
        assert!(!fence.is_open());
        let began = Instant::now();
        fence.open_until(began + Duration::from_secs(7));
        assert!(fence.clone().is_open());
        tokio::time::sleep(Duration::from_millis(6999)).await;
        assert!(fence.is_open());
        fence.shut().await;
        assert!(began.elapsed() < Duration::from_millis(7100));
        fence.open_until(Instant::now() + Duration::from_secs(7));
        assert!(fence.is_open());
        fence.shut_now();
        assert!(!fence.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_open_stays_so() {
        let fence = Fence::open();
        tokio::time::sleep(Duration::from_secs(1_000_000)).await;
        assert!(fence.is_open());
    }
}
