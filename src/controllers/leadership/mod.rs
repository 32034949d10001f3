//! Which replica does what: the duties that only one may have, and the namespaces that each serves.
//!
//! | module | what it is |
//! | --- | --- |
//! | `config` | the settings |
//! | `share` | the namespaces that are a replica's, and which shard a namespace is in |
//! | `fence` | until when a replica may write |
//! | `lease` | Leases as they are on the API server, and the calls about them |
//! | `observed` | what is known of everybody's Leases, and whether they still count |
//! | `quota` | how many shards a replica takes (pure) |
//! | `elector` | taking, renewing and giving back |
//! | `metrics` | what is shown of it |
//!
//! There is a Lease for each shard of the namespaces; whoever holds that of shard 0 leads. The election runs beside the
//! work and never waits for it; the work runs in terms, each over one [`Share`].

mod config;
mod elector;
mod fence;
mod lease;
mod metrics;
mod observed;
mod quota;
mod share;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use self::config::Availability;
pub(super) use self::fence::Fence;
pub(super) use self::metrics::Metrics;
pub(super) use self::share::Share;

use self::elector::Elector;
use super::api::Api;

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

/// What a replica is told of the election, and tells it.
pub(super) struct Seat {
    share: watch::Receiver<Option<Share>>,
    settled: mpsc::Sender<Settled>,
    /// Whether it leads.
    pub(super) leadership: Leadership,
    /// Until when it may write what its share is about.
    pub(super) fence: Fence,
    /// Until when it may do what only the leader may.
    pub(super) leader_fence: Fence,
}

/// Nothing is worked on any more but this share.
pub(super) struct Settled {
    share: Share,
    heard: oneshot::Sender<()>,
}

#[cfg(test)]
impl Settled {
    /// Says that it was heard, and what.
    pub(super) fn hear(self) -> Share {
        self.heard.send(()).ok();
        self.share
    }
}

/// The election, to be run beside the work until it is told to stop.
pub(super) type Election = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Seat {
    /// The seat of a process that is the only one: everything is its, always.
    pub(super) fn alone() -> Self {
        Self {
            share: watch::channel(Some(Share::all())).1,
            settled: mpsc::channel(1).0,
            leadership: Leadership::alone(),
            fence: Fence::open(),
            leader_fence: Fence::open(),
        }
    }

    /// The seat of one replica of several, and the election that it is about. Once `stop` is cancelled, the election
    /// gives back what the replica has and ends.
    pub(super) fn of(
        api: Api,
        namespace: &str,
        availability: Availability,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> (Self, Election) {
        let (share, shares) = watch::channel(None);
        let (leads, leadership) = watch::channel(false);
        let (sender, settled) = mpsc::channel(1);
        let (fence, leader_fence) = (Fence::closed(), Fence::closed());
        let out = elector::Out { share, leads, fence: fence.clone(), leader_fence: leader_fence.clone(), metrics };
        let elector = Elector::new(api, namespace, availability, out);
        let seat = Self { share: shares, settled: sender, leadership: Leadership(leadership), fence, leader_fence };
        (seat, Box::pin(elector.run(settled, stop)))
    }

    /// A seat, with what stands for its election.
    #[cfg(test)]
    pub(super) fn told() -> (Self, watch::Sender<Option<Share>>, mpsc::Receiver<Settled>) {
        let ((share, shares), (sender, settled)) = (watch::channel(None), mpsc::channel(1));
        (Self { share: shares, settled: sender, ..Self::alone() }, share, settled)
    }

    /// The share as it is now; `None` until that is known.
    pub(super) fn share(&mut self) -> Option<Share> {
        self.share.borrow_and_update().clone()
    }

    /// Waits until the share may have changed; for ever where it cannot.
    pub(super) async fn changed(&mut self) {
        if self.share.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Says that nothing is worked on any more but `share`: what else the replica has can be given back. Returns once
    /// that is known, and writes about `share` are allowed.
    pub(super) async fn settle(&self, share: &Share) {
        let (heard, hears) = oneshot::channel();
        if self.settled.send(Settled { share: share.clone(), heard }).await.is_ok() {
            // The election ends before it answers at shutdown only.
            hears.await.ok();
        }
    }

    /// Waits as long as work that ends may take: `longest`, or until nothing may be written any more and the moment
    /// that cleaning up takes has passed.
    pub(super) async fn grace(&self, longest: Duration) {
        /// Enough to give back logins at providers.
        const MOMENT: Duration = Duration::from_millis(500);
        let out_of_office = async {
            self.fence.shut().await;
            tokio::time::sleep(MOMENT).await;
        };
        drop(tokio::time::timeout(longest, out_of_office).await);
    }
}
