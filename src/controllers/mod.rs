//! The Kubernetes edge: SealedSecrets in, Secrets out.
//!
//! | module | what it is |
//! | --- | --- |
//! | `sealed_secret` | SealedSecrets: who is worked on and when, and one pass over one of them |
//! | `external_secret` | the same for ExternalSecrets, and the stores that they name |
//! | `cluster_external_secret` | ClusterExternalSecrets: the same ExternalSecret in many namespaces |
//! | `queue` | what both queues are made of |
//! | `sealing_keys` | keys: loaded, made, renewed, published |
//! | `leadership` | which replica does what |
//! | `terms` | the work on a replica's share of the namespaces, as long as it has that share |
//! | `notify` | telling people what happened |
//! | `apply` | the only writer of Secrets |
//! | `observe` | reading a Secret |
//! | `watch`, `api`, `events`, `metrics`, `trace` | the ways to and from the API server |

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
mod terms;
mod trace;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kube::Client;
use prometheus_client::registry::Registry;
use tokio::sync::watch as watch_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::external_secret::ExternalConfig;
pub use self::leadership::Availability;
pub use self::metrics::exposition;
pub use self::notify::{Destination, NotifyConfig, Occasion};
pub use self::sealed_secret::SealedConfig;
pub use self::sealing_keys::{
    AgeWrapping, Clock, KeyConfig, KeyOrder, KmsWrapping, PublishedKeys, Rotation, TransitWrapping, VaultLogin,
    Wrapper, Wrapping,
};
pub use self::trace::TARGET as SPANS;
pub use self::watch::Namespaces;

use self::api::Api;
use self::leadership::Seat;
use self::metrics::Metrics;
use self::notify::Notices;
use self::terms::Terms;
use crate::providers::random;
use crate::seal::Keyring;

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
    /// How replicas agree on who does what; `None` is a process that is the only one.
    pub availability: Option<Availability>,
    /// Whether metrics show each object by itself, which costs a scrape a few hundred bytes an object.
    pub object_metrics: bool,
    /// Who is told of failures, recoveries and rotations.
    pub notify: NotifyConfig,
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
            availability: None,
            object_metrics: true,
            notify: NotifyConfig::default(),
        }
    }
}

/// Enough to keep an API server busy; more only grows its queue.
pub const CONCURRENCY: usize = 48;

/// How long the parts of the controller may take to end.
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
    leadership_metrics: leadership::Metrics,
    notices: (Notices, notify::Senders),
    is_ready: Arc<AtomicBool>,
    is_external_ready: Arc<AtomicBool>,
    is_standby: Arc<AtomicBool>,
    keys: PublishedKeys,
    keyring: watch_channel::Sender<Option<Arc<Keyring>>>,
    rotation: (Rotation, sealing_keys::Requests),
    key_metrics: sealing_keys::KeyMetrics,
}

impl Controller {
    /// A controller whose metrics go to `registry`.
    #[must_use]
    pub fn new(client: Client, config: ControllerConfig, registry: &mut Registry) -> Self {
        let leadership_metrics = leadership::Metrics::register(registry);
        let metrics = Metrics::register(registry, config.object_metrics);
        let external_metrics = external_secret::Metrics::register(registry, &metrics);
        let notices = notify::start(&config.notify, registry);
        let is_external_ready = Arc::new(AtomicBool::new(config.external.is_none()));
        let (is_ready, is_standby, keys) = (Arc::default(), Arc::default(), PublishedKeys::default());
        let (keyring, _) = watch_channel::channel(None);
        let rotation = sealing_keys::rotation();
        let key_metrics = sealing_keys::KeyMetrics::register(registry);
        Self {
            client,
            config,
            metrics,
            external_metrics,
            leadership_metrics,
            notices,
            is_ready,
            is_external_ready,
            is_standby,
            keys,
            keyring,
            rotation,
            key_metrics,
        }
    }

    /// Turns true when every SealedSecret and ExternalSecret that was there at the start has been looked at; in a
    /// replica that waits for others, when the keys are known. It stays true then, also when the replica takes over.
    pub fn readiness(&self) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
        let all = [Arc::clone(&self.is_ready), Arc::clone(&self.is_external_ready)];
        let (is_standby, keyring) = (Arc::clone(&self.is_standby), self.keyring.subscribe());
        move || {
            let has_looked = all.iter().all(|is_ready| is_ready.load(Ordering::Relaxed));
            has_looked || (is_standby.load(Ordering::Relaxed) && keyring.borrow().is_some())
        }
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

    /// A way to ask for a new sealing key.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotation.0.clone()
    }

    /// Runs until `shutdown` is cancelled and the work under way is done.
    ///
    /// # Errors
    /// Only faults of the program: an API server that is away is waited for.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let api = Api::new(self.client.clone());
        let (stop, farewell) = (shutdown.child_token(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let seat = match self.config.availability.clone() {
            Some(availability) => {
                let (metrics, namespace) = (self.leadership_metrics, &self.config.namespace);
                let (seat, election) = Seat::of(api.clone(), namespace, availability, metrics, farewell.clone());
                tasks.spawn(async move {
                    election.await;
                    Ok("election")
                });
                seat
            }
            None => {
                self.leadership_metrics.alone();
                farewell.cancel();
                Seat::alone()
            }
        };
        let in_flight = [Arc::<AtomicUsize>::default(), Arc::default()];
        let load = events::Load(in_flight.clone());
        let fenced = api.behind(&seat.fence);
        let (events, sender) = events::queue(fenced.clone(), load, self.metrics.events_dropped.clone());
        let (notices, telling) = self.notices;
        let keyring = self.keyring.subscribe();
        // One end is kept: without it nobody could ask any more.
        let (_rotation, requests) = self.rotation;
        let key_use = sealing_keys::KeyUse::default();
        let keys = sealing_keys::Keys::new(sealing_keys::Parts {
            api: api.behind(&seat.leader_fence),
            namespace: self.config.namespace.clone(),
            config: self.config.keys.clone(),
            metrics: self.metrics.clone(),
            published: self.keys,
            keyring: self.keyring,
            leadership: seat.leadership.clone(),
            notices: notices.clone(),
            key_use: key_use.clone(),
            key_metrics: self.key_metrics,
        });
        let terms = Terms {
            client: self.client,
            api: fenced,
            config: self.config,
            events,
            notices,
            metrics: self.metrics,
            external_metrics: self.external_metrics,
            keyring,
            key_use,
            in_flight,
            is_ready: self.is_ready,
            is_external_ready: self.is_external_ready,
            is_standby: self.is_standby,
        };
        let token = stop.clone();
        tasks.spawn(async move {
            terms.run(seat, token).await?;
            Ok("terms")
        });
        let token = stop.clone();
        tasks.spawn(async move {
            keys.run(requests, token).await;
            Ok("sealing keys")
        });
        tasks.spawn(async move {
            sender.run().await;
            Ok("events")
        });
        let token = stop.clone();
        tasks.spawn(async move {
            telling.run(token).await;
            Ok("notices")
        });
        // The first task to end ends the process. After a shutdown all work ends first, and then what the replica had
        // is given back.
        let mut working = 2;
        loop {
            match tasks.join_next().await {
                Some(Ok(Ok("election"))) if farewell.is_cancelled() => return Ok(()),
                Some(Ok(Ok("terms" | "sealing keys"))) if shutdown.is_cancelled() => {
                    working -= 1;
                    if working == 0 && farewell.is_cancelled() {
                        return Ok(());
                    }
                    if working == 0 {
                        farewell.cancel();
                    }
                }
                Some(Ok(Ok(_))) if shutdown.is_cancelled() => {}
                Some(Ok(Ok(task))) => return Err(Error::TaskEnded { task }),
                Some(Ok(Err(error))) => return Err(error),
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
