//! The Kubernetes edge: SealedSecrets in, Secrets out.
//!
//! | module | what it is |
//! | --- | --- |
//! | `sealed_secret` | SealedSecrets: who is worked on and when, and one pass over one of them |
//! | `external_secret` | the same for ExternalSecrets, and the stores that they name |
//! | `cluster_external_secret` | ClusterExternalSecrets: the same ExternalSecret in many namespaces |
//! | `queue` | what both queues are made of |
//! | `sealing_keys` | keys: loaded, made, renewed, published |
//! | `leadership` | which replica has the duties that only one may have |
//! | `notify` | telling people what happened |
//! | `apply` | the only writer of Secrets |
//! | `observe` | reading a Secret |
//! | `watch`, `api`, `events`, `metrics` | the ways to and from the API server |

mod api;
mod apply;
mod cluster_external_secret;
mod events;
mod external_secret;
mod leadership;
mod metrics;
mod notify;
mod observe;
mod queue;
mod sealed_secret;
mod sealing_keys;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kube::Client;
use kube::runtime::watcher;
use prometheus_client::registry::Registry;
use tokio::sync::watch as watch_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::external_secret::ExternalConfig;
pub use self::sealed_secret::SealedConfig;
pub use self::sealing_keys::{KeyConfig, PublishedKeys};
pub use self::watch::Namespaces;

use self::api::Api;
use self::leadership::Leadership;
use self::metrics::Metrics;
use self::notify::Notices;
use self::sealed_secret::{Dispatcher, Setup};
use crate::providers::random;
use crate::seal::Keyring;
use crate::sync::Annotations;

/// What the controller does where.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The namespace that holds the sealing keys.
    pub namespace: String,
    /// The namespaces whose SealedSecrets are served.
    pub namespaces: Namespaces,
    /// How many new or changed objects are worked on at the same time.
    pub concurrency: usize,
    /// How SealedSecrets are served.
    pub sealed: SealedConfig,
    /// How sealing keys are made, renewed and stored.
    pub keys: KeyConfig,
    /// How ExternalSecrets are served; `None` is not at all.
    pub external: Option<ExternalConfig>,
}

impl ControllerConfig {
    /// The defaults, with the keys in `namespace`.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            namespaces: Namespaces::All,
            concurrency: CONCURRENCY,
            sealed: SealedConfig::default(),
            keys: KeyConfig::default(),
            external: Some(ExternalConfig::default()),
        }
    }
}

/// Enough to keep an API server busy; more only grows its queue.
pub const CONCURRENCY: usize = 48;

/// How long the parts of the controller may take to end after the dispatcher of SealedSecrets has.
const GRACE: std::time::Duration = std::time::Duration::from_secs(15);

/// Objects in one page of a list.
const PAGE: u32 = 250;

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task ended that must not.
    #[error("the task {task} ended by itself")]
    TaskEnded {
        /// Which.
        task: &'static str,
    },
    /// A task panicked.
    #[error("a task panicked; this is a bug")]
    TaskPanicked,
}

/// A controller to run, and what can be asked of it meanwhile.
pub struct Controller {
    client: Client,
    config: ControllerConfig,
    metrics: Metrics,
    external_metrics: external_secret::Metrics,
    is_ready: Arc<AtomicBool>,
    is_external_ready: Arc<AtomicBool>,
    keys: PublishedKeys,
    keyring: watch_channel::Sender<Option<Arc<Keyring>>>,
}

impl Controller {
    /// A controller whose metrics go to `registry`.
    #[must_use]
    pub fn new(client: Client, config: ControllerConfig, registry: &mut Registry) -> Self {
        let metrics = Metrics::register(registry);
        let external_metrics = external_secret::Metrics::register(registry);
        let is_external_ready = Arc::new(AtomicBool::new(config.external.is_none()));
        let (is_ready, keys) = (Arc::default(), PublishedKeys::default());
        let (keyring, _) = watch_channel::channel(None);
        Self { client, config, metrics, external_metrics, is_ready, is_external_ready, keys, keyring }
    }

    /// Turns true when every SealedSecret and ExternalSecret that was there at the start has been looked at.
    pub fn readiness(&self) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
        let all = [Arc::clone(&self.is_ready), Arc::clone(&self.is_external_ready)];
        move || all.iter().all(|is_ready| is_ready.load(Ordering::Relaxed))
    }

    /// The public keys as they are at any moment.
    #[must_use]
    pub fn keys(&self) -> PublishedKeys {
        self.keys.clone()
    }

    /// The private keys as they are at any moment; `None` until they are known.
    #[must_use]
    pub fn keyring(&self) -> watch_channel::Receiver<Option<Arc<Keyring>>> {
        self.keyring.subscribe()
    }

    /// Runs until `shutdown` is cancelled and the work under way is done.
    ///
    /// # Errors
    /// Only faults of the program: an API server that is away is waited for.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let api = Api::new(self.client.clone());
        let in_flight = Arc::new(AtomicUsize::new(0));
        let external = self.config.external.clone();
        let external_in_flight = Arc::default();
        let load = events::Load([Arc::clone(&in_flight), Arc::clone(&external_in_flight)]);
        let (events, sender) = events::queue(api.clone(), load, self.metrics.events_dropped.clone());
        let notices = Notices::default();
        let keyring = self.keyring.subscribe();
        let keys = sealing_keys::Keys::new(sealing_keys::Parts {
            api: api.clone(),
            namespace: self.config.namespace.clone(),
            config: self.config.keys.clone(),
            metrics: self.metrics.clone(),
            published: self.keys,
            keyring: self.keyring,
            leadership: Leadership::alone(),
            notices: notices.clone(),
        });
        let parts = external.map(|config| external_secret::Parts {
            client: self.client.clone(),
            api: api.clone(),
            events: events.clone(),
            metrics: self.external_metrics,
            namespaces: self.config.namespaces.clone(),
            config,
            concurrency: self.config.concurrency,
            in_flight: external_in_flight,
            is_ready: self.is_external_ready,
        });
        let setup = Setup {
            context: Arc::new(sealed_secret::Context {
                api,
                events,
                metrics: self.metrics,
                notices,
                config: self.config.sealed.clone(),
                said: sealed_secret::Said::default(),
            }),
            namespaces: self.config.namespaces.clone(),
            concurrency: self.config.concurrency,
            keyring,
            in_flight,
            is_ready: self.is_ready,
        };
        let mut chosen = watcher::Config::default().page_size(PAGE);
        chosen.label_selector.clone_from(&self.config.sealed.selector);
        let sealed = watch::objects(&self.client, &self.config.namespaces, &chosen);
        let ours = format!("{} in ({}, {})", Annotations::MANAGED_BY, Annotations::OWNED, Annotations::MERGED);
        let targets = watcher::Config::default().labels(&ours).page_size(PAGE);
        let targets = if self.config.sealed.watches_targets {
            watch::metadata(&self.client, &self.config.namespaces, &targets)
        } else {
            watch::nothing(&self.config.namespaces)
        };

        let mut tasks = JoinSet::new();
        let stop = shutdown.child_token();
        let dispatcher = Dispatcher::new(setup).run(sealed, targets, stop.clone());
        tasks.spawn(async move {
            dispatcher.await;
            "dispatcher"
        });
        let external_ended = CancellationToken::new();
        if let Some(parts) = parts {
            let (token, ended) = (stop.clone(), external_ended.clone());
            tasks.spawn(async move {
                let ended = ended.drop_guard();
                external_secret::run(parts, token).await;
                drop(ended);
                "external secrets"
            });
        } else {
            external_ended.cancel();
        }
        let token = stop.clone();
        tasks.spawn(async move {
            keys.run(token).await;
            "sealing keys"
        });
        tasks.spawn(async move {
            sender.run().await;
            "events"
        });
        // The first task to end ends the process; after a shutdown the dispatcher's end is the one to wait for.
        loop {
            match tasks.join_next().await {
                Some(Ok("dispatcher")) if shutdown.is_cancelled() => {
                    // Logins at providers are given back; a part that hangs is not waited for for ever.
                    drop(tokio::time::timeout(GRACE, external_ended.cancelled()).await);
                    return Ok(());
                }
                Some(Ok(_)) if shutdown.is_cancelled() => {}
                Some(Ok(task)) => return Err(Error::TaskEnded { task }),
                Some(Err(_)) => return Err(Error::TaskPanicked),
                None => return Ok(()),
            }
        }
    }
}

/// Runs a controller until `shutdown`, with metrics that nobody reads.
///
/// # Errors
/// As [`Controller::run`].
pub async fn run(client: Client, config: ControllerConfig, shutdown: CancellationToken) -> Result<(), Error> {
    Controller::new(client, config, &mut Registry::default()).run(shutdown).await
}
