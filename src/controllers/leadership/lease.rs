//! Leases as they are on the API server, and the calls about them.
//!
//! Every write names the version that it replaces: of two who try, one gets through.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{DeleteParams, GetParams, ListParams, PostParams, Preconditions};
use kube::core::ObjectList;
use kube::runtime::watcher;
use sha2::{Digest as _, Sha256};

use super::config::Availability;
use crate::controllers::api::{self, Api, ApiError, FIELD_MANAGER};
use crate::controllers::watch::{self, Namespaces, Streams};

/// How the names of all our Leases begin.
const PREFIX: &str = "bulla-controller-";
/// The label that tells what a Lease is about.
const LABEL: &str = "bulla.dev/lease";
const SHARD: &str = "shard";
const MEMBER: &str = "member";
/// The annotation that tells how many shards its holder divides the namespaces into.
const SHARDS: &str = "bulla.dev/shards";

/// One of the Leases that a replica may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// That of a shard: whoever holds it serves the shard.
    Shard(u32),
    /// Its own: as long as it is renewed, the replica counts when shards are divided.
    Member,
}

/// Why a Lease was not taken or renewed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is another's, or is gone: so it is now.
    Lost(Option<Box<Lease>>),
    /// Another process of the same identity has it: so it is now.
    Doubled(Box<Lease>),
    /// The call failed.
    Call(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Call(error)
    }
}

/// The calls. Clones share the connection.
#[derive(Clone)]
pub(super) struct Leases {
    api: Api,
    namespace: String,
    settings: Availability,
    sent: Sent,
}

/// Times of renewal that this process wrote, or may have written: they tell it from another of the same identity.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<VecDeque<Timestamp>>>);

impl Sent {
    /// More than are on their way for all Leases of a replica before it gives them up.
    const MOST: usize = 4096;

    /// Now, as a time to write.
    fn now(&self) -> MicroTime {
        // No more precise than what comes back.
        let now = Timestamp::now();
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= Self::MOST {
            sent.pop_front();
        }
        sent.push_back(now);
        MicroTime(now)
    }

    /// Whether this process was the last to renew a Lease.
    fn has(&self, lease: &Lease) -> bool {
        let time = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        time.is_some_and(|time| sent.contains(&time.0))
    }
}

impl Leases {
    pub(super) fn new(api: Api, namespace: &str, settings: Availability) -> Self {
        Self { api, namespace: namespace.to_owned(), settings, sent: Sent::default() }
    }

    /// The name of a Lease.
    pub(super) fn name(&self, slot: Slot) -> String {
        match slot {
            Slot::Shard(shard) => format!("{PREFIX}{shard}"),
            Slot::Member => {
                // An identity may have characters that a name may not.
                let digest = Sha256::digest(self.settings.identity.as_bytes());
                let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!("{PREFIX}member-{hex}")
            }
        }
    }

    /// Tells what happens to all our Leases.
    pub(super) fn watch(&self) -> Streams<Lease> {
        let here = Namespaces::These(vec![self.namespace.clone()]);
        watch::objects(&self.api.client(), &here, &watcher::Config::default().labels(LABEL))
    }

    /// All our Leases as they are at this moment.
    async fn list(&self) -> Result<Vec<Lease>, ApiError> {
        let request = api::at::<Lease>(&self.namespace).list(&ListParams::default().labels(LABEL))?;
        self.call::<ObjectList<Lease>>(request).await.map(|list| list.items)
    }

    async fn get(&self, name: &str) -> Result<Option<Box<Lease>>, ApiError> {
        let request = api::at::<Lease>(&self.namespace).get(name, &GetParams::default())?;
        match self.call(request).await {
            Ok(lease) => Ok(Some(Box::new(lease))),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a Lease that is free as far as is known; `seen` is how it was then. Gives it, and all others as they are
    /// afterwards.
    pub(super) async fn take(&self, slot: Slot, seen: Option<Lease>) -> Result<(Lease, Vec<Lease>), Failure> {
        let name = self.name(slot);
        let is_new = seen.is_none();
        let mut lease = seen.unwrap_or_default();
        self.claim(slot, &name, &mut lease);
        let taken = if is_new { self.create(&lease).await } else { self.replace(&name, &lease).await };
        let taken = match taken {
            Err(ApiError::Conflict | ApiError::AlreadyExists | ApiError::NotFound) => {
                return Err(Failure::Lost(self.get(&name).await?));
            }
            other => other?,
        };
        Ok((taken, self.list().await?))
    }

    /// Says that the holder lives.
    pub(super) async fn renew(&self, slot: Slot, mut lease: Lease) -> Result<Lease, Failure> {
        let name = self.name(slot);
        // The first renewal may have got through without its answer, or somebody set a label.
        for _ in 0..2 {
            spec(&mut lease).renew_time = Some(self.sent.now());
            match self.replace(&name, &lease).await {
                Err(ApiError::Conflict) => match self.get(&name).await? {
                    Some(current) if self.is_own(&current) => lease = *current,
                    Some(current) if holder(&current) == self.settings.identity => {
                        return Err(Failure::Doubled(current));
                    }
                    other => return Err(Failure::Lost(other)),
                },
                Err(ApiError::NotFound) => return Err(Failure::Lost(None)),
                other => return Ok(other?),
            }
        }
        Err(Failure::Call(ApiError::Conflict))
    }

    /// Gives a Lease back, so that others need not wait. One that is another's is left alone.
    pub(super) async fn release(&self, slot: Slot, mut lease: Lease) -> Result<(), Failure> {
        let name = self.name(slot);
        for _ in 0..2 {
            spec(&mut lease).holder_identity = Some(String::new());
            spec(&mut lease).renew_time = Some(self.sent.now());
            let done = match slot {
                Slot::Shard(_) => self.replace(&name, &lease).await.map(drop),
                Slot::Member => self.delete(&lease).await,
            };
            match done {
                Err(ApiError::Conflict) => match self.get(&name).await? {
                    Some(current) if self.is_own(&current) => lease = *current,
                    _ => return Ok(()),
                },
                Err(ApiError::NotFound) => return Ok(()),
                other => return Ok(other?),
            }
        }
        Err(Failure::Call(ApiError::Conflict))
    }

    /// Deletes a Lease if it is still as it is here.
    pub(super) async fn delete(&self, lease: &Lease) -> Result<(), ApiError> {
        let preconditions = Preconditions {
            resource_version: lease.metadata.resource_version.clone(),
            uid: lease.metadata.uid.clone(),
        };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let name = lease.metadata.name.as_deref().unwrap_or_default();
        let request = api::at::<Lease>(&self.namespace).delete(name, &parameters)?;
        self.within(self.api.send(api::with_body(request))).await.map(drop)
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, ApiError> {
        let body = serde_json::to_vec(lease).map_err(|_| ApiError::Unreadable)?;
        self.call(api::at::<Lease>(&self.namespace).create(&manager(), body)?).await
    }

    async fn replace(&self, name: &str, lease: &Lease) -> Result<Lease, ApiError> {
        let body = serde_json::to_vec(lease).map_err(|_| ApiError::Unreadable)?;
        self.call(api::at::<Lease>(&self.namespace).replace(name, &manager(), body)?).await
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, request: http::Request<Vec<u8>>) -> Result<T, ApiError> {
        self.within(self.api.call(api::with_body(request))).await
    }

    /// A call that hangs must leave time for another before the deadline.
    async fn within<T>(&self, call: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let patience = self.settings.renew_deadline / 2;
        tokio::time::timeout(patience, call).await.unwrap_or(Err(ApiError::Unreachable))
    }

    /// Whether a Lease is this process' own, and not only that of one that has the same identity.
    fn is_own(&self, lease: &Lease) -> bool {
        holder(lease) == self.settings.identity && self.sent.has(lease)
    }

    /// Fills in what makes a Lease ours.
    fn claim(&self, slot: Slot, name: &str, lease: &mut Lease) {
        let kind = match slot {
            Slot::Shard(_) => SHARD,
            Slot::Member => MEMBER,
        };
        let ObjectMeta { name: named, namespace, labels, annotations, managed_fields, .. } = &mut lease.metadata;
        *named = Some(name.to_owned());
        *namespace = Some(self.namespace.clone());
        *managed_fields = None;
        labels.get_or_insert_default().insert(LABEL.to_owned(), kind.to_owned());
        annotations.get_or_insert_default().insert(SHARDS.to_owned(), self.settings.shards.to_string());
        let is_news = holder(lease) != self.settings.identity;
        let now = self.sent.now();
        let spec = spec(lease);
        spec.holder_identity = Some(self.settings.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.settings.lease_duration.as_secs()).ok();
        spec.renew_time = Some(now.clone());
        if is_news {
            spec.acquire_time = Some(now);
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(-1).saturating_add(1));
        }
    }
}

/// Who holds it; empty where nobody does.
pub(super) fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// How long it is good after its last change, as its holder says.
pub(super) fn duration(lease: &Lease) -> Option<Duration> {
    let seconds = lease.spec.as_ref()?.lease_duration_seconds?;
    Some(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// The shard that it is about; `None` for the Lease of a member.
pub(super) fn shard(lease: &Lease) -> Option<u32> {
    lease.metadata.name.as_deref()?.strip_prefix(PREFIX)?.parse().ok()
}

/// Whether it says that a replica lives.
pub(super) fn is_member(lease: &Lease) -> bool {
    lease.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL)).is_some_and(|kind| kind == MEMBER)
}

/// How many shards its holder counts.
pub(super) fn shards(lease: &Lease) -> Option<u32> {
    lease.metadata.annotations.as_ref()?.get(SHARDS)?.parse().ok()
}

fn spec(lease: &mut Lease) -> &mut LeaseSpec {
    lease.spec.get_or_insert_default()
}

fn manager() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_tells_itself_from_another_of_its_identity() {
        let (one, other) = (Sent::default(), Sent::default());
        let mut lease = Lease::default();
        assert!(!one.has(&lease), "nobody ever renewed it");
        spec(&mut lease).renew_time = Some(one.now());
        one.now();
        // As it comes back from the API server.
        let mut lease: Lease = serde_json::from_value(serde_json::to_value(&lease).unwrap()).unwrap();
        assert!(one.has(&lease) && one.clone().has(&lease) && !other.has(&lease));
        std::thread::sleep(Duration::from_millis(1));
        spec(&mut lease).renew_time = Some(other.now());
        assert!(!one.has(&lease) && other.has(&lease));
        for _ in 0..2 * Sent::MOST {
            one.now();
        }
        assert_eq!(one.0.lock().unwrap().len(), Sent::MOST);
    }
}
