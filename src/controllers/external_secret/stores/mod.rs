//! The stores that ExternalSecrets name: which there are, whether they are good, and the sessions with them.
//!
//! One [`Session`] serves everybody who uses a store. It is made when it is first needed, looked at again every few
//! minutes (a credential that changed gives a new one) and at once when the provider says that the credentials are no
//! longer good.

mod check;
mod cluster;
mod sessions;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bulla_crds::external_secret::StoreRef;
use bulla_crds::{SecretStoreSpec, SecretStoreStatus, Unreadable};
use tokio::sync::{mpsc, watch as latest};
use tokio::time::Instant;

pub(super) use self::watch::{Watches, run};
pub(in crate::controllers) use crate::stores::{StoreError, StoreId};

use self::cluster::Cluster;
use self::sessions::{Retired, Sessions, Wanted};
use super::metrics::Metrics;
use crate::controllers::api::Api;
use crate::controllers::events::Events;
use crate::providers::gate::Meter;
use crate::providers::{Gate, Session, Urgency};
use crate::stores::{Surroundings, admission, is_read_with_settings};
use crate::sync::external::access::is_ours;
use crate::sync::remote::Request;
use crate::sync::schedule::Class;

/// How long a use of a store waits for its first check.
const PATIENCE: Duration = Duration::from_secs(30);
/// How old credentials get before they are read again.
const CREDENTIALS: Duration = Duration::from_secs(300);
/// How often a use begins anew because the store changed under it.
const TRIES: u32 = 3;
/// How often at most refused credentials are read again.
const RELOGIN: Duration = Duration::from_secs(10);

/// How stores are served.
#[derive(Clone, Debug)]
pub(in crate::controllers) struct StoreConfig {
    /// Our controller class: stores of another are left alone.
    pub(in crate::controllers) class: String,
    /// How often a store is checked that does not say so itself.
    pub(in crate::controllers) recheck: Duration,
    /// The folder that a `file` store's `path` is in.
    pub(in crate::controllers) files: Option<PathBuf>,
    /// Whether this replica says in their statuses how cluster stores are. Each checks them, since each uses them.
    pub(in crate::controllers) leads: bool,
}

/// What is known of all stores.
pub(in crate::controllers) struct Stores {
    cluster: Cluster,
    meter: Arc<dyn Meter>,
    events: Events,
    metrics: Metrics,
    config: StoreConfig,
    /// Is told of each store whose credentials changed: whatever they were refused for may be tried again.
    better: mpsc::UnboundedSender<StoreId>,
    known: Mutex<HashMap<StoreId, Arc<Store>>>,
    sessions: Mutex<Sessions>,
    retired: Retired,
    /// Labels of namespaces, for the conditions of cluster stores.
    namespaces: Mutex<HashMap<String, BTreeMap<String, String>>>,
    /// Whether all stores that there were at the start are known.
    complete: latest::Sender<bool>,
}

/// One store as last seen.
struct Store {
    uid: String,
    generation: Option<i64>,
    spec: Result<SecretStoreSpec, Unreadable>,
    status: Mutex<Option<SecretStoreStatus>>,
    verdict: latest::Sender<Verdict>,
    /// The one way to it, whoever asks: the budget and the breaker are the store's.
    gate: OnceLock<Gate>,
}

impl Store {
    /// One that nobody checked yet.
    fn new(
        uid: String,
        generation: Option<i64>,
        spec: Result<SecretStoreSpec, Unreadable>,
        status: Option<SecretStoreStatus>,
    ) -> Self {
        let (status, verdict) = (Mutex::new(status), latest::Sender::new(Verdict::Unchecked));
        Self { uid, generation, spec, status, verdict, gate: OnceLock::new() }
    }
}

/// What checking a store found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody looked yet.
    Unchecked,
    /// It can be used.
    Good,
    /// Whether it can be used depends on who uses it.
    Depends,
    /// It cannot be used.
    Bad {
        /// Why.
        problem: String,
        /// How soon another look makes sense.
        class: Class,
    },
}

impl Stores {
    pub(in crate::controllers) fn new(
        api: Api,
        events: Events,
        config: StoreConfig,
        metrics: Metrics,
        better: mpsc::UnboundedSender<StoreId>,
    ) -> Self {
        let cluster = Cluster { api, files: config.files.clone() };
        Self {
            cluster,
            meter: metrics.meter(),
            events,
            metrics,
            config,
            better,
            known: Mutex::default(),
            sessions: Mutex::default(),
            retired: Retired::default(),
            namespaces: Mutex::default(),
            complete: latest::Sender::new(false),
        }
    }

    /// What connecting needs besides the store.
    fn around(&self) -> Surroundings<'_> {
        Surroundings { objects: &self.cluster, meter: &self.meter }
    }

    /// The store that a reference of `namespace` means.
    pub(in crate::controllers) fn id(reference: &StoreRef, namespace: &str) -> StoreId {
        StoreId::new(reference.kind(), namespace, &reference.name)
    }

    /// A session with a store on behalf of `namespace`, if it may use it and the store is good. What it answers must not
    /// have been read earlier than `not_before`, also where it is an object of the cluster that was read to set it up.
    pub(in crate::controllers) async fn session(
        &self,
        id: &StoreId,
        namespace: &str,
        not_before: Instant,
    ) -> Result<Arc<Session>, StoreError> {
        let mut tries = 0;
        loop {
            let store = self.get(id).await?;
            let session = self.session_with(id, &store, namespace, not_before).await;
            tries += 1;
            // What is said of a store that was just edited is said of another.
            if session.is_ok() || self.is_known(id, &store) || tries == TRIES {
                return session;
            }
        }
    }

    async fn session_with(
        &self,
        id: &StoreId,
        store: &Arc<Store>,
        namespace: &str,
        not_before: Instant,
    ) -> Result<Arc<Session>, StoreError> {
        self.may_use(id, store, namespace)?;
        let mut verdicts = store.verdict.subscribe();
        let checked = verdicts.wait_for(|verdict| *verdict != Verdict::Unchecked);
        let verdict = match tokio::time::timeout(PATIENCE, checked).await {
            Ok(Ok(verdict)) => verdict.clone(),
            Ok(Err(_)) => return Err(StoreError::NotFound { store: id.to_string() }),
            Err(_) => Verdict::Bad { problem: "it was not checked in time".to_owned(), class: Class::Transient },
        };
        if let Verdict::Bad { problem, class } = verdict {
            return Err(StoreError::NotReady { store: id.to_string(), problem, class });
        }
        let is_read_with_settings = store.spec.as_ref().is_ok_and(is_read_with_settings);
        let age = if is_read_with_settings { not_before.elapsed() } else { CREDENTIALS };
        self.open(id, store, Wanted { user: Some(namespace), age, refused: None }).await
    }

    /// The same once more after the provider refused the credentials: they are read again, unless that just happened.
    /// `None` means that nothing changed and another try is of no use.
    pub(in crate::controllers) async fn renewed(
        &self,
        id: &StoreId,
        namespace: &str,
        refused: &Arc<Session>,
    ) -> Option<Arc<Session>> {
        let store = self.get(id).await.ok()?;
        let wanted = Wanted { user: Some(namespace), age: RELOGIN, refused: Some(refused) };
        let session = self.open(id, &store, wanted).await.ok()?;
        (!Arc::ptr_eq(&session, refused)).then_some(session)
    }

    /// Whether the store is used by an object of this group at all: of our class, and readable.
    fn may_use(&self, id: &StoreId, store: &Store, namespace: &str) -> Result<(), StoreError> {
        let spec = store.spec.as_ref().map_err(|problem| StoreError::Invalid(format!("{id}: {problem}")))?;
        let class = spec.controller.as_deref().unwrap_or_default();
        if !self.is_ours(spec) {
            return Err(StoreError::Unmanaged { store: id.to_string(), class: class.to_owned() });
        }
        if !id.is_cluster() || spec.conditions.is_empty() {
            return Ok(());
        }
        let namespaces = lock(&self.namespaces);
        admission::admit(id, &spec.conditions, namespace, namespaces.get(namespace))
    }

    fn is_ours(&self, spec: &SecretStoreSpec) -> bool {
        is_ours(spec.controller.as_deref(), &self.config.class)
    }

    /// The store, once all that there were at the start are known.
    async fn get(&self, id: &StoreId) -> Result<Arc<Store>, StoreError> {
        let mut complete = self.complete.subscribe();
        let waited = tokio::time::timeout(PATIENCE, complete.wait_for(|is_complete| *is_complete)).await;
        drop(waited);
        lock(&self.known).get(id).cloned().ok_or_else(|| StoreError::NotFound { store: id.to_string() })
    }

    /// Whether another controller serves the store: an object that names it is that controller's.
    pub(in crate::controllers) async fn is_of_another(&self, id: &StoreId) -> bool {
        let store = self.get(id).await;
        store.is_ok_and(|store| store.spec.as_ref().is_ok_and(|spec| !self.is_ours(spec)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks a store, and once more with fresh credentials where the old ones are refused.
pub(in crate::controllers) async fn ask(
    stores: &Stores,
    id: &StoreId,
    namespace: &str,
    requests: &[Request],
    urgency: Urgency,
    not_before: Instant,
) -> Result<Vec<crate::providers::Reply>, StoreError> {
    use crate::providers::Cause;
    let session = stores.session(id, namespace, not_before).await?;
    let mut replies = session.fetch(requests, urgency, not_before).await;
    let refused =
        |reply: &crate::providers::Reply| matches!(reply, Err(error) if error.cause == Cause::Unauthenticated);
    if replies.iter().any(refused)
        && let Some(session) = stores.renewed(id, namespace, &session).await
    {
        replies = session.fetch(requests, urgency, not_before).await;
    }
    Ok(replies)
}
