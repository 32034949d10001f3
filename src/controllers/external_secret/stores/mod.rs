//! The stores that ExternalSecrets name: which there are, whether they are good, and the sessions with them.
//!
//! One [`Session`] serves everybody who uses a store. It is made when it is first needed, looked at again every few
//! minutes (a credential that changed gives a new one) and at once when the provider says that the credentials are no
//! longer good.

#[cfg(feature = "aws")]
mod aws;
#[cfg(not(feature = "aws"))]
#[path = "without_aws.rs"]
mod aws;
mod check;
mod cluster;
mod connect;
mod id;
mod materials;
#[cfg(any(feature = "aws", feature = "vault"))]
mod retry;
#[cfg(feature = "vault")]
mod vault;
#[cfg(not(feature = "vault"))]
#[path = "without_vault.rs"]
mod vault;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulla_crds::external_secret::StoreRef;
use bulla_crds::{SecretStoreSpec, SecretStoreStatus, Unreadable};
use tokio::sync::{mpsc, watch as latest};
use tokio::time::Instant;
use tracing::info;

pub(in crate::controllers) use self::id::{StoreError, StoreId};
pub(super) use self::watch::{Watches, run};

use self::connect::{Surroundings, connect, is_read_with_settings, names_its_user};
use super::metrics::Metrics;
use crate::controllers::api::Api;
use crate::controllers::events::Events;
use crate::providers::{Session, Urgency};
use crate::resource::secret_store as resource;
use crate::sync::external::access::{AccessError, is_ours};
use crate::sync::remote::Request;
use crate::sync::schedule::Class;

/// How long a use of a store waits for its first check.
const PATIENCE: Duration = Duration::from_secs(30);
/// How old credentials get before they are read again.
const CREDENTIALS: Duration = Duration::from_secs(300);
/// How long those who use a session that was replaced may take: longer than a provider may take to answer.
const LAST_USE: Duration = Duration::from_secs(90);
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
}

/// What is known of all stores.
pub(in crate::controllers) struct Stores {
    around: Surroundings,
    events: Events,
    metrics: Metrics,
    config: StoreConfig,
    /// Is told of each store whose credentials changed: whatever they were refused for may be tried again.
    better: mpsc::UnboundedSender<StoreId>,
    known: Mutex<HashMap<StoreId, Arc<Store>>>,
    sessions: Mutex<HashMap<Use, Slot>>,
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

/// A store, and for whom it is used where that makes a difference.
type Use = (StoreId, Option<Arc<str>>);
type Slot = Arc<tokio::sync::Mutex<Option<Open>>>;

/// A session in use.
struct Open {
    session: Arc<Session>,
    /// What it was made from.
    fingerprint: u64,
    generation: Option<i64>,
    uid: String,
    /// When its credentials were last read.
    read: Instant,
}

impl Stores {
    pub(in crate::controllers) fn new(
        api: Api,
        events: Events,
        config: StoreConfig,
        metrics: Metrics,
        better: mpsc::UnboundedSender<StoreId>,
    ) -> Self {
        let around = Surroundings { api, meter: metrics.meter(), files: config.files.clone() };
        Self {
            around,
            events,
            metrics,
            config,
            better,
            known: Mutex::default(),
            sessions: Mutex::default(),
            namespaces: Mutex::default(),
            complete: latest::Sender::new(false),
        }
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
        let store = self.get(id).await?;
        self.may_use(id, &store, namespace)?;
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
        self.open(id, &store, Some(namespace), age).await
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
        let session = self.open(id, &store, Some(namespace), RELOGIN).await.ok()?;
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
        let nothing = BTreeMap::new();
        let labels = namespaces.get(namespace).unwrap_or(&nothing);
        resource::admit(&id.name, &spec.conditions, namespace, labels).map_err(|error| match error {
            AccessError::Denied { .. } => StoreError::Denied(error.to_string()),
            AccessError::Invalid { .. } | AccessError::ForeignNamespace { .. } => {
                StoreError::Invalid(error.to_string())
            }
        })
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

    /// The session for that use, made or renewed where its credentials were last read longer than `age` ago.
    async fn open(
        &self,
        id: &StoreId,
        store: &Store,
        namespace: Option<&str>,
        age: Duration,
    ) -> Result<Arc<Session>, StoreError> {
        let spec = store.spec.as_ref().map_err(|problem| StoreError::Invalid(problem.to_string()))?;
        let depends = id.is_cluster() && (names_its_user(spec) || *store.verdict.borrow() == Verdict::Depends);
        let user = namespace.filter(|_| depends);
        let slot = {
            let mut sessions = lock(&self.sessions);
            Arc::clone(sessions.entry((id.clone(), user.map(Arc::from))).or_default())
        };
        let mut slot = slot.lock().await;
        let current = |open: &Open| open.generation == store.generation && open.uid == store.uid;
        if let Some(open) = slot.as_ref()
            && current(open)
            && open.read.elapsed() < age
        {
            return Ok(Arc::clone(&open.session));
        }
        let connected = connect(&self.around, id, spec, user).await?;
        if let Some(open) = slot.as_mut()
            && current(open)
            && open.fingerprint == connected.fingerprint
            && !connected.fades
        {
            open.read = Instant::now();
            return Ok(Arc::clone(&open.session));
        }
        let session = Arc::new(Session::new(connected.provider, connected.gate));
        let open = Open {
            session: Arc::clone(&session),
            fingerprint: connected.fingerprint,
            generation: store.generation,
            uid: store.uid.clone(),
            read: Instant::now(),
        };
        if let Some(old) = slot.replace(open) {
            info!(namespace = %id.namespace, store = %id, "the store's settings or credentials changed");
            tokio::spawn(async move { retire(old.session).await });
            if !connected.fades {
                // Nobody listens any more at shutdown only.
                self.better.send(id.clone()).ok();
            }
        }
        Ok(session)
    }

    /// Gives up the sessions of a store that is gone or is another now.
    fn forget_sessions(&self, id: &StoreId) {
        let mut gone = Vec::new();
        lock(&self.sessions).retain(|(store, _), slot| {
            let keep = store != id;
            if !keep {
                gone.push(Arc::clone(slot));
            }
            keep
        });
        tokio::spawn(async move {
            for slot in gone {
                if let Some(open) = slot.lock().await.take() {
                    retire(open.session).await;
                }
            }
        });
    }

    /// Gives back every login.
    pub(in crate::controllers) async fn close(&self) {
        let sessions = std::mem::take(&mut *lock(&self.sessions));
        let closing = sessions.into_values().map(|slot| async move {
            if let Some(open) = slot.lock().await.take() {
                open.session.close().await;
            }
        });
        let all = futures::future::join_all(closing);
        if tokio::time::timeout(Duration::from_secs(5), all).await.is_err() {
            info!("a provider did not take back its login in time");
        }
    }

    /// Whether another controller serves the store: an object that names it is that controller's.
    pub(in crate::controllers) async fn is_of_another(&self, id: &StoreId) -> bool {
        let store = self.get(id).await;
        store.is_ok_and(|store| store.spec.as_ref().is_ok_and(|spec| !self.is_ours(spec)))
    }
}

/// Closes a session once nobody uses it any more: what is under way with it may still be good.
async fn retire(session: Arc<Session>) {
    let began = Instant::now();
    while Arc::strong_count(&session) > 1 && began.elapsed() < LAST_USE {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    session.close().await;
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
