//! What a pass does to the target: keep it, write it, delete it.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use bulla_crds::ExternalSecret;
use bulla_crds::external_secret::DeletionPolicy;
use bulla_crds::names::external_secrets as names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use kube::api::{DeleteParams, Preconditions};
use tokio::time::Instant;
use tracing::info;

use super::error::SyncError;
use super::pass::{Done, Pass, Wrote};
use super::reconcile::{Context, Hints, Standing, data_hash, is_of_another, record, regarding};
use super::status::{self, Good, SyncReason};
use crate::audit;
use crate::controllers::api::{self, ApiError};
use crate::controllers::events::Kind;
use crate::controllers::queue::{Key, Version};
use crate::controllers::{apply, observe};
use crate::resource::external_secret as resource;
use crate::secret::Target;
use crate::sync::external::hash;
use crate::sync::target::{self, Creation, Marks, Step, TargetRefusal, Wanted};
use crate::sync::{Live, Owner};

/// How often a pass starts over when others write at the same time.
const ROUNDS: usize = 3;

impl Pass<'_> {
    /// A number that changes with what the target should hold and with who writes it how.
    fn digest(&self, target: &Target) -> u64 {
        let mut hasher = self.context.digests.build_hasher();
        let shape = &target.shape;
        (&shape.kind, shape.immutable, &shape.labels, &shape.annotations, &shape.finalizers).hash(&mut hasher);
        (&target.name, self.asked.creation as u8, &self.object.metadata.uid).hash(&mut hasher);
        for (key, value) in &target.data {
            key.hash(&mut hasher);
            value.expose().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The version of the target where nothing has to be done, which no read is needed to know.
    fn unchanged(&self, target: &Target, digest: u64) -> Option<Version> {
        let (version, live_hash) = self.hints.target?;
        if self.hints.right != Some(version) {
            return None;
        }
        if self.hints.digest == Some(digest) {
            return Some(version);
        }
        // Not written by this process: what it was left with is known by its hash, if all else is as it was then.
        let object_is_as_it_was =
            self.object.status.as_ref().and_then(|status| status.synced_resource_version.as_deref())
                == Some(status::version_of(self.object).as_str());
        let exact = matches!(self.asked.creation, Creation::Owner | Creation::Orphan);
        let plain = self.object.spec.as_ref().is_ok_and(|spec| !resource::renders_metadata(spec));
        let same = live_hash.is_some() && live_hash == data_hash(&hash::data_hash(&target.data));
        (self.hints.digest.is_none() && object_is_as_it_was && exact && plain && same).then_some(version)
    }

    pub(super) async fn write(&self, target: &Target) -> Result<Done, SyncError> {
        let digest = self.digest(target);
        if self.unchanged(target, digest).is_some() {
            let status = self.object.status.as_ref();
            let version =
                status.and_then(|status| status.secret.as_ref()).map(|secret| secret.resource_version.clone());
            let version = version.or_else(|| self.hints.right.map(|right| right.to_string()));
            let digest = Some(digest);
            return Ok(Done { good: Good::Synced, version, digest, wrote: Wrote::Nothing, skipped: Vec::new() });
        }
        let look_first = self.hints.target.is_some() || self.asked.creation == Creation::Merge;
        let mut live = if look_first { self.live(&target.name).await? } else { None };
        for _ in 0..ROUNDS {
            match self.step(target, live.as_ref(), digest).await {
                Err(SyncError::Write(ApiError::AlreadyExists | ApiError::Conflict)) => {}
                // The namespace may be gone, too: then the next round says so.
                Err(SyncError::Write(ApiError::NotFound)) if live.is_some() => {}
                other => return other,
            }
            live = self.live(&target.name).await?;
        }
        Err(SyncError::Write(ApiError::Conflict))
    }

    async fn step(&self, target: &Target, live: Option<&Live>, digest: u64) -> Result<Done, SyncError> {
        let (api, namespace) = (&self.context.api, self.key.namespace());
        let owner = self.owner();
        let manager = hash::field_manager(self.key.name());
        let created_by = hash::text_hash(&self.key.to_string());
        let wanted = Wanted {
            shape: &target.shape,
            values: &target.data,
            owner: &owner,
            creation: self.asked.creation,
            manager: &manager,
            created_by: &created_by,
            hash: &|data| hash::pairs_hash(data.iter().map(|(key, value)| (*key, *value))),
        };
        let plan = target::plan(&wanted, live);
        let done = |good, version, wrote| Done { good, version, digest: Some(digest), wrote, skipped: Vec::new() };
        Ok(match (plan, live) {
            (Step::Create(head), _) => {
                let _permit = self.context.writes.acquire().await;
                let version = apply::create(api, namespace, &target.name, &head, &target.data).await;
                done(Good::Synced, Some(version.map_err(SyncError::Write)?), Wrote::Created)
            }
            (Step::Update(update), Some(live)) => {
                info!(namespace, name = self.key.name(), secret = target.name, "updating the Secret");
                let _permit = self.context.writes.acquire().await;
                let version = apply::replace(api, namespace, &target.name, &update, live, &target.data).await;
                done(Good::Synced, Some(version.map_err(SyncError::Write)?), Wrote::Updated)
            }
            (Step::Keep, Some(live)) => done(Good::Synced, Some(live.resource_version.clone()), Wrote::Nothing),
            (Step::Frozen, Some(live)) => {
                // It does not hold what is wanted: the next refresh looks again, and says so again.
                let version = Some(live.resource_version.clone());
                Done { digest: None, ..done(Good::Frozen, version, Wrote::Nothing) }
            }
            (Step::Missing, _) => Done::without_target(Good::Missing, Wrote::Nothing),
            (Step::Refuse(refusal), Some(live)) => {
                let version = Version::parse(&live.resource_version);
                return Err(SyncError::Refused(Standing { version, refusal }));
            }
            (Step::Update(_) | Step::Keep | Step::Frozen | Step::Refuse(_), None) => {
                return Err(SyncError::Write(ApiError::Conflict));
            }
        })
    }

    fn owner(&self) -> Owner {
        Owner {
            api_version: bulla_crds::object::API_VERSION.to_owned(),
            kind: bulla_crds::external_secret::KIND.to_owned(),
            name: self.key.name().to_owned(),
            uid: self.object.metadata.uid.clone().unwrap_or_default(),
        }
    }

    async fn live(&self, name: &str) -> Result<Option<Live>, SyncError> {
        observe::secret(&self.context.api, self.key.namespace(), name).await.map_err(SyncError::Read)
    }

    /// The provider has nothing: the Secret stays as it is.
    pub(super) fn retained(&self) -> Done {
        let version = self.hints.target.map(|(version, _)| version.to_string());
        Done { good: Good::Retained, version, digest: None, wrote: Wrote::Nothing, skipped: Vec::new() }
    }

    /// The provider has nothing and the Secret is to go with it.
    pub(super) async fn delete(&self) -> Result<Done, SyncError> {
        let name = &self.asked.target;
        if self.delete_ours(name).await? {
            return Ok(Done::without_target(Good::Deleted, Wrote::Deleted));
        }
        match self.live(name).await? {
            None => Ok(Done::without_target(Good::Deleted, Wrote::Nothing)),
            Some(live) if live.terminating => Ok(Done::without_target(Good::Deleted, Wrote::Nothing)),
            Some(live) => {
                let version = Version::parse(&live.resource_version);
                Err(SyncError::Refused(Standing { version, refusal: TargetRefusal::NotOurs }))
            }
        }
    }

    /// What stood in the way of the last pass, if it still stands there: then the provider need not be asked.
    pub(super) async fn still_refused(&self) -> Result<(), SyncError> {
        let Some(standing) = self.hints.refused.as_deref().filter(|_| self.reason == SyncReason::Retry) else {
            return Ok(());
        };
        let live = self.live(&self.asked.target).await?;
        let stands = live.is_some_and(|live| Version::parse(&live.resource_version) == standing.version);
        if stands { Err(SyncError::Refused(standing.clone())) } else { Ok(()) }
    }

    /// Deletes the Secret of that name if this object owns it.
    async fn delete_ours(&self, name: &str) -> Result<bool, SyncError> {
        let Some(live) = self.live(name).await? else { return Ok(false) };
        let owner = self.owner();
        if live.terminating || live.controller().is_none_or(|controller| !target::is_ours(&owner, controller)) {
            return Ok(false);
        }
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(live.uid), resource_version: Some(live.resource_version) }),
            ..DeleteParams::default()
        };
        let request = api::at::<Secret>(self.key.namespace()).delete(name, &parameters).map_err(ApiError::from);
        let _permit = self.context.writes.acquire().await;
        let deleted = match request {
            Ok(request) => self.context.api.send(api::with_body(request)).await,
            Err(error) => Err(error),
        };
        match deleted {
            Ok(body) => api::wipe(body),
            Err(ApiError::NotFound) => {}
            Err(error) => return Err(SyncError::Delete(error)),
        }
        Ok(true)
    }

    /// The Secret that this object owned under another name goes.
    pub(super) async fn remove_renamed(&self) -> Result<(), SyncError> {
        let binding = self.object.status.as_ref().and_then(|status| status.binding.as_ref());
        let Some(old) = binding.map(|binding| binding.name.as_str()).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        if old != self.asked.target && self.delete_ours(old).await? {
            record(self.key, audit::Action::Delete, "ok");
            let regarding = regarding(self.object);
            self.context.events.post(
                &regarding,
                Kind::Normal,
                "Sync",
                "Deleted",
                "secret deleted because it was orphaned",
            );
        }
        Ok(())
    }
}

/// What the External Secrets Operator left on an object that is being deleted: nobody else would take it off. What the
/// finalizer stands for is done first.
pub(super) async fn finalize(context: &Context, key: &Key, object: &ExternalSecret) -> Result<(), ApiError> {
    if is_of_another(context, key, object).await {
        return Ok(());
    }
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|name| name == names::FINALIZER) {
        return Ok(());
    }
    let deletes = object.spec.as_ref().is_ok_and(|spec| spec.deletion_policy() == DeletionPolicy::Delete);
    if let (true, Ok(asked)) = (deletes, resource::read(object)) {
        let began = (Timestamp::now(), Instant::now());
        let (hints, reason) = (Hints::default(), SyncReason::Retry);
        let pass = Pass { context, key, object, asked: &asked, hints, reason, began };
        match pass.delete_ours(&asked.target).await {
            Ok(true) => record(key, audit::Action::Delete, "ok"),
            Err(SyncError::Delete(error) | SyncError::Read(error)) => return Err(error),
            Ok(false) | Err(_) => {}
        }
    }
    let rest: Vec<_> = finalizers.iter().filter(|name| *name != names::FINALIZER).collect();
    let path = ExternalSecret::url_path(&(), Some(key.namespace()));
    context.api.leave_finalizers(path, key.name(), rest, object.metadata.resource_version.as_deref()).await
}

/// Whether a Secret that somebody else left for this object is right: the hash in its metadata is that of its data, and
/// it is marked as managed.
pub(super) async fn is_intact(context: &Context, key: &Key, target: &str) -> Result<Option<(Version, bool)>, ApiError> {
    let Some(live) = observe::secret(&context.api, key.namespace(), target).await? else { return Ok(None) };
    let marked = live.labels.get(Marks::MANAGED).is_some_and(|value| value == "true");
    let proven = live.annotations.get(Marks::DATA_HASH) == Some(&hash::data_hash(&live.data));
    Ok(Some((Version::parse(&live.resource_version), marked && proven)))
}
