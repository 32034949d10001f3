//! The work on a replica's share of the namespaces, as long as it has that share.
//!
//! When the share changes, the work ends and begins anew over the new share: what is unchanged since costs no more than
//! the lists. Nothing of the old share is worked on any more when the new one begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kube::Client;
use kube::runtime::watcher;
use tokio::sync::watch as watch_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::api::Api;
use super::events::Events;
use super::leadership::{Seat, Share};
use super::metrics::Metrics;
use super::notify::Notices;
use super::sealed_secret::{Dispatcher, Setup};
use super::sealing_keys::KeyUse;
use super::{ControllerConfig, Error, GRACE, PAGE, external_secret, sealed_secret, watch};
use crate::seal::Keyring;
use crate::sync::Annotations;

/// What all terms have in common.
pub(super) struct Terms {
    pub(super) client: Client,
    /// Writes through it only as long as the replica has its share.
    pub(super) api: Api,
    pub(super) config: ControllerConfig,
    pub(super) events: Events,
    pub(super) notices: Notices,
    pub(super) metrics: Metrics,
    pub(super) external_metrics: external_secret::Metrics,
    pub(super) keyring: watch_channel::Receiver<Option<Arc<Keyring>>>,
    pub(super) key_use: KeyUse,
    /// Objects in work: SealedSecrets, ExternalSecrets.
    pub(super) in_flight: [Arc<AtomicUsize>; 2],
    pub(super) is_ready: Arc<AtomicBool>,
    pub(super) is_external_ready: Arc<AtomicBool>,
    /// Set when there is nothing in the share.
    pub(super) is_standby: Arc<AtomicBool>,
}

impl Terms {
    /// Works, term after term, until `shutdown` and until the work under way is done.
    ///
    /// # Errors
    /// Only faults of the program.
    pub(super) async fn run(self, mut seat: Seat, shutdown: CancellationToken) -> Result<(), Error> {
        while !shutdown.is_cancelled() {
            let share = seat.share();
            // Whoever looks a second time has seen what came while it settled, and is not woken by it.
            let is_known = share.is_some();
            if let Some(share) = &share {
                seat.settle(share).await;
            }
            match share.filter(|share| !share.is_empty()) {
                Some(share) => self.term(&share, &mut seat, &shutdown).await?,
                None => {
                    self.is_standby.store(is_known, Ordering::Relaxed);
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = seat.changed() => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Works on `share` until it is another, or until `shutdown`.
    async fn term(&self, share: &Share, seat: &mut Seat, shutdown: &CancellationToken) -> Result<(), Error> {
        let stop = shutdown.child_token();
        let mut tasks = self.begin(share, &stop);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = seat.changed() => info!("the share of this replica changed"),
            ended = tasks.join_next() => return match ended {
                Some(Ok(task)) => Err(Error::TaskEnded { task }),
                Some(Err(_)) | None => Err(Error::TaskPanicked),
            },
        }
        stop.cancel();
        let mut has_panicked = false;
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                has_panicked |= ended.is_err();
            }
        };
        tokio::select! {
            () = all => {}
            () = seat.grace(GRACE) => warn!("gave up on work that did not end in time"),
        }
        tasks.shutdown().await;
        self.rest();
        if has_panicked { Err(Error::TaskPanicked) } else { Ok(()) }
    }

    /// Begins to work on `share`; everything ends after `stop`.
    fn begin(&self, share: &Share, stop: &CancellationToken) -> JoinSet<&'static str> {
        let namespaces = share.namespaces(&self.config.namespaces);
        if namespaces.streams() == 0 {
            // Of the namespaces that are served none is in the share: there is nothing to look at first.
            self.is_ready.store(true, Ordering::Relaxed);
            self.is_external_ready.store(true, Ordering::Relaxed);
        }
        let [in_flight, external_in_flight] = self.in_flight.clone();
        let parts = self.config.external.clone().map(|config| external_secret::Parts {
            client: self.client.clone(),
            api: self.api.clone(),
            events: self.events.clone(),
            metrics: self.external_metrics.clone(),
            notices: self.notices.clone(),
            namespaces: namespaces.clone(),
            share: share.clone(),
            config,
            concurrency: self.config.concurrency,
            in_flight: external_in_flight,
            is_ready: Arc::clone(&self.is_external_ready),
        });
        let setup = Setup {
            context: Arc::new(sealed_secret::Context {
                api: self.api.clone(),
                events: self.events.clone(),
                metrics: self.metrics.clone(),
                notices: self.notices.clone(),
                config: self.config.sealed.clone(),
                said: sealed_secret::Said::default(),
            }),
            namespaces: namespaces.clone(),
            concurrency: self.config.concurrency,
            keyring: self.keyring.clone(),
            in_flight,
            is_ready: Arc::clone(&self.is_ready),
        };
        let mut chosen = watcher::Config::default().page_size(PAGE);
        chosen.label_selector.clone_from(&self.config.sealed.selector);
        let sealed = watch::objects(&self.client, &namespaces, &chosen);
        let sealed = if share.leads() {
            // What all namespaces need of the keys is the leader's to say, also of those that others work on.
            let is_whole = namespaces == self.config.namespaces && self.config.sealed.selector.is_none();
            self.key_use.listen(sealed, namespaces.streams(), is_whole)
        } else {
            sealed
        };
        let ours = format!("{} in ({}, {})", Annotations::MANAGED_BY, Annotations::OWNED, Annotations::MERGED);
        let targets = watcher::Config::default().labels(&ours).page_size(PAGE);
        let targets = if self.config.sealed.watches_targets {
            watch::metadata(&self.client, &namespaces, &targets)
        } else {
            watch::nothing(&namespaces)
        };
        let dispatcher = Dispatcher::new(setup).run(share.only(sealed), share.only(targets), stop.clone());

        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            dispatcher.await;
            "dispatcher"
        });
        if let Some(parts) = parts {
            let token = stop.clone();
            tasks.spawn(async move {
                external_secret::run(parts, token).await;
                "external secrets"
            });
        }
        tasks
    }

    /// Nothing is worked on: what was last said of objects is not true any more.
    fn rest(&self) {
        self.metrics.rest();
        self.key_use.rest();
        self.notices.rest();
        self.in_flight.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{StreamExt as _, stream};
    use kube::Config;
    use kube::runtime::watcher::Event;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::controllers::events;

    /// Terms on an API server that is not there.
    fn terms() -> Terms {
        let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let (api, mut registry) = (Api::new(client.clone()), Registry::default());
        let metrics = Metrics::register(&mut registry, false);
        let in_flight = [Arc::<AtomicUsize>::default(), Arc::default()];
        let load = events::Load(in_flight.clone());
        Terms {
            client,
            api: api.clone(),
            config: ControllerConfig::new("bulla"),
            events: events::queue(api, load, metrics.events_dropped.clone()).0,
            notices: Notices::default(),
            external_metrics: external_secret::Metrics::register(&mut registry, &metrics),
            metrics,
            keyring: watch_channel::channel(None).1,
            key_use: KeyUse::default(),
            in_flight,
            is_ready: Arc::default(),
            is_external_ready: Arc::default(),
            is_standby: Arc::default(),
        }
    }

    #[tokio::test]
    async fn a_share_that_comes_while_another_settles_is_not_slept_through() {
        let (seat, share, mut settled) = Seat::told();
        let (terms, shutdown) = (terms(), CancellationToken::new());
        let is_standby = Arc::clone(&terms.is_standby);
        let work = tokio::spawn(terms.run(seat, shutdown.clone()));
        // Nothing at all of one shard, and then of two.
        share.send_replace(Some(Share::nothing(1)));
        let first = settled.recv().await.unwrap();
        share.send_replace(Some(Share::nothing(2)));
        assert_eq!(first.hear(), Share::nothing(1));
        let second = tokio::time::timeout(Duration::from_secs(20), settled.recv()).await;
        assert_eq!(second.expect("it sleeps").unwrap().hear(), Share::nothing(2));
        assert!(is_standby.load(Ordering::Relaxed));
        shutdown.cancel();
        work.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_a_term_counted_does_not_outlive_it() {
        let terms = terms();
        let lists = stream::iter([Event::Init, Event::InitDone]).map(|event| (0, Ok(event)));
        terms.key_use.listen(lists.boxed(), 1, true).collect::<Vec<_>>().await;
        assert!(terms.key_use.is_known());
        terms.rest();
        assert!(!terms.key_use.is_known());
    }
}
