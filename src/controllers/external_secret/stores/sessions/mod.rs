//! The sessions with stores: made when they are first needed, renewed, and given up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::{RELOGIN, Store, StoreError, StoreId, Stores, Verdict, lock};
use crate::providers::Session;
use crate::stores::{connect, life, names_its_user};
use crate::sync::schedule::Class;

/// How long a session for one namespace stays that nobody uses.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long at least a session that was replaced may be used to its end, and how long at most: longer than a provider
/// may take to answer.
const FAREWELL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(90));
/// How often it is looked at whether somebody still uses it.
const LOOK: Duration = Duration::from_millis(250);

/// What is wrong with a store that was another a moment ago.
const CHANGED: &str = "its settings were just changed";

/// A store, and for whom it is used where that makes a difference.
type Use = (StoreId, Option<Arc<str>>);
/// Every slot is that of the store as it is known now.
pub(super) type Sessions = HashMap<Use, Slot>;
type Slot = Arc<tokio::sync::Mutex<Option<Open>>>;

/// A session in use.
pub(super) struct Open {
    session: Arc<Session>,
    /// What it was made from.
    fingerprint: u64,
    made: Instant,
    /// When its credentials were last read.
    read: Instant,
    /// When it was last given to somebody.
    used: Instant,
}

/// Which session is wanted.
pub(super) struct Wanted<'a> {
    /// The namespace on whose behalf.
    pub(super) user: Option<&'a str>,
    /// How long ago its credentials may have been read.
    pub(super) age: Duration,
    /// One whose credentials the provider refused.
    pub(super) refused: Option<&'a Arc<Session>>,
}

impl Open {
    /// Whether a token of ours that lives for `life` is to be replaced by another, the settings being the same.
    fn is_spent(&self, life: Option<Duration>, refused: Option<&Arc<Session>>) -> bool {
        let age = self.made.elapsed();
        let is_refused = refused.is_some_and(|refused| Arc::ptr_eq(refused, &self.session)) && age >= RELOGIN;
        life.is_some_and(|life| is_refused || age >= life * 2 / 3)
    }
}

impl Stores {
    /// The session for that use, made or renewed where its credentials were read too long ago.
    pub(super) async fn open(
        &self,
        id: &StoreId,
        store: &Arc<Store>,
        wanted: Wanted<'_>,
    ) -> Result<Arc<Session>, StoreError> {
        let spec = store.spec.as_ref().map_err(|problem| StoreError::Invalid(problem.to_string()))?;
        let depends = id.is_cluster() && (names_its_user(spec) || *store.verdict.borrow() == Verdict::Depends);
        let user = wanted.user.filter(|_| depends);
        let slot = {
            let mut sessions = lock(&self.sessions);
            // Nobody would ever give up a session that is made for a store that is gone.
            self.must_be_known(id, store)?;
            Arc::clone(sessions.entry((id.clone(), user.map(Arc::from))).or_default())
        };
        let mut slot = slot.lock().await;
        self.must_be_known(id, store)?;
        if let Some(open) = slot.as_mut()
            && open.read.elapsed() < wanted.age
        {
            open.used = Instant::now();
            return Ok(Arc::clone(&open.session));
        }
        let connected = connect(self.around(), id, spec, user, &store.gate).await?;
        let (now, life) = (Instant::now(), life(spec));
        if let Some(open) = slot.as_mut()
            && open.fingerprint == connected.fingerprint
            && !open.is_spent(life, wanted.refused)
        {
            (open.read, open.used) = (now, now);
            return Ok(Arc::clone(&open.session));
        }
        let session = Arc::new(Session::new(connected.provider, connected.gate));
        let fingerprint = connected.fingerprint;
        let open = Open { session: Arc::clone(&session), fingerprint, made: now, read: now, used: now };
        if let Some(old) = slot.replace(open) {
            if old.fingerprint != fingerprint {
                info!(namespace = %id.namespace, store = %id, "the store's credentials changed");
                // Nobody listens any more at shutdown only.
                self.better.send(id.clone()).ok();
            }
            self.retired.session(old.session);
        }
        Ok(session)
    }

    fn must_be_known(&self, id: &StoreId, store: &Arc<Store>) -> Result<(), StoreError> {
        match lock(&self.known).get(id) {
            Some(known) if Arc::ptr_eq(known, store) => Ok(()),
            Some(_) => {
                let problem = CHANGED.to_owned();
                Err(StoreError::NotReady { store: id.to_string(), problem, class: Class::Transient })
            }
            None => Err(StoreError::NotFound { store: id.to_string() }),
        }
    }

    /// Whether that is the store as it is now.
    pub(super) fn is_known(&self, id: &StoreId, store: &Arc<Store>) -> bool {
        self.must_be_known(id, store).is_ok()
    }

    /// From now on the store is this one, or gone; sessions with it as it was are given up.
    pub(super) fn learn(&self, id: &StoreId, store: Option<Arc<Store>>) {
        let mut sessions = lock(&self.sessions);
        let before = match store {
            Some(store) => lock(&self.known).insert(id.clone(), store),
            None => lock(&self.known).remove(id),
        };
        if let Some(before) = before {
            // Whoever waits for its first check looks at the store as it is now.
            let problem = CHANGED.to_owned();
            before.verdict.send_replace(Verdict::Bad { problem, class: Class::Transient });
        }
        self.give_up(&mut sessions, |(of, _)| of == id);
    }

    /// Gives up the sessions on behalf of a namespace that is gone.
    pub(super) fn forget_namespace(&self, namespace: &str) {
        self.give_up(&mut lock(&self.sessions), |(_, user)| user.as_deref() == Some(namespace));
    }

    fn give_up(&self, sessions: &mut Sessions, which: impl Fn(&Use) -> bool) {
        for (_, slot) in sessions.extract_if(|of, _| which(of)) {
            self.retired.slot(slot);
        }
    }

    /// Gives up the sessions with a store that are for one namespace and were not used for long.
    pub(super) fn drop_idle(&self, id: &StoreId) {
        lock(&self.sessions).retain(|(store, user), slot| {
            if store != id || user.is_none() || Arc::strong_count(slot) > 1 {
                return true;
            }
            // Nobody else has it, and nobody can get it while the map is locked.
            let Ok(mut open) = slot.try_lock() else { return true };
            let is_used = open.as_ref().is_some_and(|open| open.used.elapsed() < IDLE);
            if let Some(open) = open.take_if(|_| !is_used) {
                self.retired.session(open.session);
            }
            is_used
        });
    }

    /// Gives back every login.
    pub(in crate::controllers) async fn close(&self) {
        self.give_up(&mut lock(&self.sessions), |_| true);
        if tokio::time::timeout(Duration::from_secs(5), self.retired.end()).await.is_err() {
            info!("a provider did not take back its login in time");
        }
    }
}

/// Sessions that are not used anew, and are closed once those who still use them are done.
#[derive(Clone, Default)]
pub(super) struct Retired {
    tasks: TaskTracker,
    /// Nobody is waited for any more.
    now: CancellationToken,
}

impl Retired {
    fn session(&self, session: Arc<Session>) {
        let now = self.now.clone();
        self.tasks.spawn(async move { retire(session, &now).await });
    }

    fn slot(&self, slot: Slot) {
        let now = self.now.clone();
        self.tasks.spawn(async move {
            let open = slot.lock().await.take();
            if let Some(open) = open {
                retire(open.session, &now).await;
            }
        });
    }

    async fn end(&self) {
        self.now.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Closes a session once nobody uses it; whoever takes too long is told that it ended.
async fn retire(session: Arc<Session>, now: &CancellationToken) {
    let (least, most) = FAREWELL;
    let unused = async {
        tokio::time::sleep(least).await;
        while session.is_busy() || Arc::strong_count(&session) > 1 {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = now.cancelled() => {}
        result = tokio::time::timeout(most, unused) => drop(result),
    }
    session.close().await;
}

#[cfg(test)]
mod tests;
