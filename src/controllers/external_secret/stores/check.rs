//! Whether a store is good, and what its status says about it.

use std::sync::Arc;
use std::time::Duration;

use bulla_crds::condition::remove_condition;
use bulla_crds::secret_store::{Capabilities, RefreshInterval};
use bulla_crds::{
    ClusterSecretStore, Condition, ConditionStatus, ConditionType, SecretStore, SecretStoreSpec, SecretStoreStatus,
    set_condition,
};
use jiff::Timestamp;
use kube::Resource as _;
use tracing::{debug, info, warn};

use super::sessions::Wanted;
use super::{Store, StoreError, StoreId, Stores, Verdict, lock};
use crate::controllers::api::ApiError;
use crate::controllers::events::{Kind, Regarding};
use crate::providers::Cause;
use crate::stores::life;
use crate::sync::external::duration;
use crate::sync::schedule::Class;

/// What a check comes to.
pub(super) struct Checked {
    pub(super) verdict: Verdict,
    /// Whether it was not good before.
    pub(super) improved: bool,
    /// The reason that the condition has.
    reason: &'static str,
    /// Whether only a person can mend it.
    stalled: bool,
}

impl Checked {
    /// What a check comes to that failed by a fault of ours: the next one would too.
    pub(super) fn panicked(store: &Store) -> Self {
        let problem = "the check failed by a fault of bulla's own".to_owned();
        let verdict = Verdict::Bad { problem, class: Class::Terminal };
        store.verdict.send_replace(verdict.clone());
        Self { verdict, improved: false, reason: "InvalidProviderConfig", stalled: true }
    }
}

impl Stores {
    /// Looks whether a store is good, and says so in its status if that is news.
    pub(super) async fn check(&self, id: &StoreId, store: &Arc<Store>) -> Checked {
        let began = tokio::time::Instant::now();
        let mut checked = self.examine(id, store).await;
        let took = began.elapsed();
        let before = store.verdict.send_replace(checked.verdict.clone());
        checked.improved = !matches!(before, Verdict::Good | Verdict::Depends);
        self.drop_idle(id);
        if !self.is_known(id, store) {
            // It changed meanwhile: what was found is of nobody's interest.
            return checked;
        }
        if before != checked.verdict {
            match &checked.verdict {
                Verdict::Bad { problem, .. } => {
                    warn!(namespace = %id.namespace, store = %id, problem, "the store is not ready")
                }
                Verdict::Good | Verdict::Depends => info!(namespace = %id.namespace, store = %id, "the store is ready"),
                Verdict::Unchecked => {}
            }
        }
        self.metrics.checked(id, !matches!(checked.verdict, Verdict::Bad { .. }), took);
        self.report(id, store, &checked).await;
        checked
    }

    async fn examine(&self, id: &StoreId, store: &Arc<Store>) -> Checked {
        let session = match self.open(id, store, Wanted { user: None, age: Duration::ZERO, refused: None }).await {
            Ok(session) => session,
            Err(StoreError::Referent) => {
                return Checked {
                    verdict: Verdict::Depends,
                    reason: "ValidationUnknown",
                    stalled: false,
                    improved: false,
                };
            }
            Err(error) => return bad(&error, "unable to create client"),
        };
        let mut result = session.provider().validate().await;
        if result.as_ref().is_err_and(|error| error.cause == Cause::Unauthenticated)
            && store.spec.as_ref().is_ok_and(|spec| life(spec).is_some())
        {
            // Its own token may have been revoked before its time.
            let wanted = Wanted { user: None, age: Duration::ZERO, refused: Some(&session) };
            match self.open(id, store, wanted).await {
                Ok(newer) if !Arc::ptr_eq(&newer, &session) => result = newer.provider().validate().await,
                Ok(_) => {}
                Err(error) => return bad(&error, "unable to create client"),
            }
        }
        match result {
            Ok(()) => Checked { verdict: Verdict::Good, reason: "Valid", stalled: false, improved: false },
            Err(error) => bad(&error.into(), "unable to validate store"),
        }
    }

    async fn report(&self, id: &StoreId, store: &Store, checked: &Checked) {
        if id.is_cluster() && !self.config.leads {
            return;
        }
        let old = lock(&store.status).clone().unwrap_or_default();
        let Some(new) = news(&old, store.generation, checked, Timestamp::now()) else { return };
        match self.write(id, &store.uid, &new).await {
            Ok(()) => *lock(&store.status) = Some(new),
            Err(error) => debug!(store = %id, %error, "cannot write the store's status"),
        }
        let regarding = Regarding {
            api_version: bulla_crds::object::API_VERSION,
            kind: id.kind.as_str(),
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            uid: Some(store.uid.clone()),
        };
        match &checked.verdict {
            Verdict::Bad { problem, .. } => {
                self.events.post(&regarding, Kind::Warning, "Check", checked.reason, problem)
            }
            Verdict::Good => self.events.post(&regarding, Kind::Normal, "Check", "Valid", "store validated"),
            Verdict::Depends | Verdict::Unchecked => {}
        }
    }

    async fn write(&self, id: &StoreId, uid: &str, status: &SecretStoreStatus) -> Result<(), ApiError> {
        let path = if id.is_cluster() {
            ClusterSecretStore::url_path(&(), None)
        } else {
            SecretStore::url_path(&(), Some(&id.namespace))
        };
        self.cluster.api.patch_status(path, &id.name, Some(uid), status).await.map(drop)
    }

    /// When the store is to be checked again after `checked`, `attempts` being bad checks in a row.
    pub(super) fn next_check(&self, store: &Store, checked: &Checked, attempts: u32) -> Duration {
        let random = crate::controllers::random();
        if let Verdict::Bad { class, .. } = &checked.verdict {
            return crate::sync::schedule::delay(*class, attempts, random).min(WORST);
        }
        let interval = store.spec.as_ref().ok().and_then(interval).unwrap_or(self.config.recheck);
        // Spread, so that stores that came together are not checked together for ever.
        interval.mul_f64(((random % 200) as f64).mul_add(-0.001, 1.0))
    }
}

/// A store that is not good holds up all who use it: somebody who mends it is not kept waiting for longer.
const WORST: Duration = Duration::from_secs(60);

fn interval(spec: &SecretStoreSpec) -> Option<Duration> {
    let interval = match spec.refresh_interval.as_ref()? {
        RefreshInterval::Seconds(seconds) => Duration::from_secs(u64::try_from(*seconds).ok()?),
        RefreshInterval::Duration(text) => duration::interval(text).ok()?,
    };
    (!interval.is_zero()).then(|| interval.max(Duration::from_secs(5)))
}

fn bad(error: &StoreError, what: &str) -> Checked {
    let class = error.class();
    let verdict = Verdict::Bad { problem: format!("{what}: {error}"), class };
    Checked { verdict, reason: "InvalidProviderConfig", stalled: error.is_stalled(), improved: false }
}

const MESSAGE: usize = 1024;

fn news(
    old: &SecretStoreStatus,
    generation: Option<i64>,
    checked: &Checked,
    now: Timestamp,
) -> Option<SecretStoreStatus> {
    let mut new = old.clone();
    let (holds, message) = match &checked.verdict {
        Verdict::Good => (true, "store validated".to_owned()),
        Verdict::Depends => (true, "could not determine validation status".to_owned()),
        Verdict::Bad { problem, .. } => (false, problem.chars().take(MESSAGE).collect()),
        Verdict::Unchecked => return None,
    };
    let mut set = |kind, holds: bool| {
        let condition = Condition::new(kind, holds, checked.reason, message.clone(), None, now);
        // ESO's conditions have no such times and generations; they would only make every check news.
        set_condition(&mut new.conditions, Condition { last_update_time: None, ..condition });
    };
    set(ConditionType::Ready, holds);
    if checked.stalled {
        set(ConditionType::Stalled, true);
    } else {
        remove_condition(&mut new.conditions, ConditionType::Stalled);
    }
    new.capabilities = Some(Capabilities::ReadOnly);
    let same = |a: &Condition, b: &Condition| a.says_the_same_as(b) && a.status != ConditionStatus::Unknown;
    let unchanged = old.conditions.len() == new.conditions.len()
        && old.conditions.iter().zip(&new.conditions).all(|(a, b)| same(a, b))
        // Whatever another controller said it could do with the store: no reason to write.
        && old.capabilities.is_some()
        && old.observed_generation.is_none_or(|seen| Some(seen) == generation);
    new.observed_generation = generation;
    (!unchanged).then_some(new)
}
