//! Which replica has the duties that only one may have.

use tokio::sync::watch;

/// Whether this process is the leader, as it is at any moment. Clones follow the same change.
#[derive(Clone)]
pub(super) struct Leadership(watch::Receiver<bool>);

impl Leadership {
    /// A process that is the only one and leads from its start.
    pub(super) fn alone() -> Self {
        Self(watch::channel(true).1)
    }

    /// Whether this process leads now.
    pub(super) fn is_leader(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until that may have changed; for ever where it cannot.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
