//! ExternalSecrets: what remote stores hold, written into Secrets and kept as it is there.
//!
//! | module | what it is |
//! | --- | --- |
//! | `dispatch` | who is worked on, and when |
//! | `reconcile` | one pass over one ExternalSecret, and its report |
//! | `pass`, `target` | the work of a pass: fetch and lay out; keep, write or delete |
//! | `stores` | SecretStores and ClusterSecretStores, and the sessions with what they name |
//! | `status`, `error`, `metrics` | what is said about it |

mod dispatch;
mod error;
mod metrics;
mod pass;
mod reconcile;
mod status;
mod stores;
mod target;

use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use bulla_crds::object::API_VERSION;
use kube::Client;
use kube::client::Body;
use kube::runtime::watcher;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::dispatch::{Dispatcher, Setup};
pub(super) use self::metrics::Metrics;
use self::reconcile::Context;
use self::stores::{StoreConfig, Stores, Watches};
use super::PAGE;
use super::api::{Api, ApiError};
use super::cluster_external_secret;
use super::events::Events;
use super::leadership::Share;
use super::notify::Notices;
use super::watch::{self, Namespaces};
use crate::sync::target::Marks;

/// How ExternalSecrets are served.
#[derive(Clone, Debug)]
pub struct ExternalConfig {
    /// Our controller class: stores that name another are left alone.
    pub class: String,
    /// How often a store is checked that does not say so itself.
    pub recheck: Duration,
    /// The folder that a `file` store's `path` is in; without it no store can name a file of the controller.
    pub files: Option<PathBuf>,
    /// What opens and closes an action in templates; empty means Go's own.
    pub delimiters: (String, String),
    /// Whether ClusterSecretStores and ClusterExternalSecrets are served.
    pub cluster: bool,
}

impl Default for ExternalConfig {
    fn default() -> Self {
        Self {
            class: "default".to_owned(),
            recheck: Duration::from_secs(300),
            files: None,
            delimiters: (String::new(), String::new()),
            cluster: true,
        }
    }
}

/// What the part for ExternalSecrets is given.
pub(super) struct Parts {
    pub(super) client: Client,
    pub(super) api: Api,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
    pub(super) notices: Notices,
    pub(super) namespaces: Namespaces,
    /// What of them is ours. What concerns the whole cluster is only the leader's to do.
    pub(super) share: Share,
    pub(super) config: ExternalConfig,
    /// Writes to the API server at the same time.
    pub(super) concurrency: usize,
    pub(super) in_flight: Arc<AtomicUsize>,
    pub(super) is_ready: Arc<AtomicBool>,
}

/// How often it is looked whether the API is there, where it is not.
const LOOK: Duration = Duration::from_secs(30);

/// Serves ExternalSecrets until `shutdown`.
pub(super) async fn run(parts: Parts, shutdown: CancellationToken) {
    if !installed(&parts, &shutdown).await {
        return;
    }
    let Parts { client, api, events, metrics, notices, namespaces, share, config, concurrency, in_flight, is_ready } =
        parts;
    let settings = watcher::Config::default().page_size(PAGE);
    let ours = watcher::Config::default().labels(&format!("{}=true", Marks::MANAGED)).page_size(PAGE);
    let is_wide = config.cluster && namespaces == Namespaces::All;
    let watches = Watches {
        stores: share.only(watch::objects(&client, &namespaces, &settings)),
        cluster: is_wide.then(|| (watch::cluster(&client, &settings), watch::cluster_metadata(&client, &settings))),
        streams: namespaces.streams(),
    };
    let mut objects = watch::objects(&client, &namespaces, &settings);
    let (heard, hears) = mpsc::unbounded_channel();
    let provides = is_wide && share.leads();
    let clusterwide = provides.then(|| cluster_external_secret::Watches {
        objects: watch::cluster(&client, &settings),
        namespaces: watch::cluster_metadata(&client, &settings),
        heard: hears,
    });
    if provides {
        // It hears of all of them, whosever they are.
        objects = cluster_external_secret::listen(objects, heard);
    }
    objects = share.only(objects);
    let until = shutdown.clone();
    let passes = cluster_external_secret::Context {
        api: api.clone(),
        events: events.clone(),
        objects: metrics.objects.clone(),
        passes: metrics.passes.clone(),
        notices: notices.clone(),
    };
    let providing = async move {
        if let Some(watches) = clusterwide {
            cluster_external_secret::run(passes, watches, until).await;
        }
    };
    let targets = share.only(watch::metadata(&client, &namespaces, &ours));
    let ExternalConfig { class, recheck, files, delimiters, .. } = config;
    let stores = StoreConfig { class, recheck, files, leads: share.leads() };
    let (sender, better) = mpsc::unbounded_channel();
    let stores = Stores::new(api.clone(), events.clone(), stores, metrics.clone(), sender.clone());
    let stores = Arc::new(stores);
    let context = Arc::new(Context {
        api,
        events,
        stores: Arc::clone(&stores),
        metrics,
        notices,
        writes: Semaphore::new(concurrency.max(1)),
        delimiters,
        digests: RandomState::new(),
    });
    let following = stores::run(Arc::clone(&stores), watches, sender, shutdown.clone());
    let dispatcher = Dispatcher::new(Setup { context, namespaces, in_flight, is_ready });
    let dispatching = dispatcher.run(objects, targets, better, shutdown.clone());
    tokio::join!(following, dispatching, providing);
    stores.close().await;
}

/// Waits until the API server has the API; false at shutdown.
async fn installed(parts: &Parts, shutdown: &CancellationToken) -> bool {
    let mut told = false;
    loop {
        let request = http::Request::get(format!("/apis/{API_VERSION}")).body(Body::empty());
        let found = match request {
            Ok(request) => parts.api.send(request).await,
            Err(_) => return false,
        };
        // An API server that is away is waited for by the watches.
        if found != Err(ApiError::NotFound) {
            return true;
        }
        if !std::mem::replace(&mut told, true) {
            info!("{API_VERSION} is not installed: ExternalSecrets are not served until it is");
            parts.is_ready.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        tokio::select! {
            () = shutdown.cancelled() => return false,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
