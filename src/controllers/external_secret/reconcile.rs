//! One pass over one ExternalSecret: fetch, lay out, plan, write, report.
//!
//! The first pass costs two writes: the Secret is created without looking first, and the status patched. A refresh that
//! brings nothing new costs the status only: what the Secret holds is known from the version that it has and from the
//! hash in its metadata, both of which the watch tells.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::external_secret::DeletionPolicy;
use bulla_crds::{ExternalSecret, names::external_secrets as names};
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::{Asked as AskedStore, Away, SyncError};
use super::metrics::Metrics;
use super::status::{self, Good, SyncReason, Verdict};
use super::stores::{self, StoreId, Stores};
use crate::controllers::api::{self, Api, ApiError, FIELD_MANAGER};
use crate::controllers::events::{Events, Kind, Regarding};
use crate::controllers::queue::{Key, Version};
use crate::controllers::{apply, observe};
use crate::providers::{Reply, Urgency};
use crate::resource::external_secret::{self as resource, Asked, TemplateObject};
use crate::secret::template::Delimiters;
use crate::secret::{Target, Values};
use crate::sync::external::{self, hash, refresh};
use crate::sync::remote::Request;
use crate::sync::schedule::Class;
use crate::sync::target::{self, Creation, Marks, Step, Wanted};
use crate::sync::{Live, Owner};

/// What a pass needs besides its object.
pub(in crate::controllers) struct Context {
    pub(in crate::controllers) api: Api,
    pub(in crate::controllers) events: Events,
    pub(in crate::controllers) stores: Arc<Stores>,
    pub(in crate::controllers) metrics: Metrics,
    /// Writes to the API server at the same time.
    pub(in crate::controllers) writes: Semaphore,
    /// What opens and closes an action in templates.
    pub(in crate::controllers) delimiters: (String, String),
    /// Makes numbers that tell contents apart, in this process only.
    pub(in crate::controllers) digests: RandomState,
}

/// What the dispatcher knows of the target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hints {
    /// The target's version and the hash in its metadata, if it is there.
    pub(super) target: Option<(Version, Option<DataHash>)>,
    /// The version that is known to be as it was left.
    pub(super) right: Option<Version>,
    /// What was left there, as a number of this process.
    pub(super) digest: Option<u64>,
}

/// The hash in a target's metadata: SHA3-224.
pub(super) type DataHash = [u8; 28];

/// Reads the hash from the target's annotation.
pub(super) fn data_hash(text: &str) -> Option<DataHash> {
    let mut hash = [0; 28];
    if text.len() != 56 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// What came of a pass.
pub(super) struct Report {
    /// The object with the status that was written, where one was.
    pub(super) object: Option<Box<ExternalSecret>>,
    /// How it ended.
    pub(super) outcome: Outcome,
}

/// How a pass ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The object is gone.
    Gone,
    /// It is another controller's.
    Left,
    /// It is in sync.
    Synced {
        /// The target's version, where there is one.
        target: Option<Version>,
        /// What it holds, as a number of this process.
        digest: Option<u64>,
        /// When it is due again.
        next: Option<Timestamp>,
    },
    /// It is not.
    Failed {
        /// When to try again.
        class: Class,
        /// The refresh interval: a provider that refuses is not asked more often for long.
        interval: Duration,
        /// The stores that have to get better first.
        waits_for: Vec<StoreId>,
        /// Who seems to be away.
        away: Away,
    },
}

/// Fetches, writes and reports. The object is as the watch last had it.
pub(super) async fn reconcile(
    context: &Context,
    key: &Key,
    object: Box<ExternalSecret>,
    hints: Hints,
    reason: SyncReason,
) -> Report {
    let began = (Timestamp::now(), Instant::now());
    if is_of_another(context, key, &object).await {
        debug!(namespace = key.namespace(), name = key.name(), "its store is another controller's");
        return Report { object: None, outcome: Outcome::Left };
    }
    context.metrics.sync_calls(key.namespace(), key.name());
    let asked = resource::read(&object);
    let interval = asked.as_ref().map_or(Duration::ZERO, |asked| asked.interval);
    let result = match &asked {
        Ok(asked) => Pass { context, key, object: &object, asked, hints, reason, began }.run().await,
        Err(error) => Err(SyncError::Spec(error.clone())),
    };
    let next = match (&asked, &result) {
        (Ok(asked), Ok(_)) => next_refresh(&object, asked, began.0),
        (Ok(_) | Err(_), _) => None,
    };
    let verdict = match (&result, &asked) {
        (Ok(done), Ok(asked)) => {
            let secret = done.version.as_deref().map(|version| (asked.target.as_str(), version));
            Verdict::Good { good: done.good, began: began.0, next, secret }
        }
        (Err(error), _) => Verdict::Failed(error),
        // Nothing that could not be read ends well.
        (Ok(_), Err(_)) => Verdict::Failed(&SyncError::Panicked),
    };
    let news = status::news(&object, &verdict, reason, Timestamp::now());
    announce(context, key, &object, &result, news.is_some());
    context.metrics.synced(key.namespace(), key.name(), result.is_ok(), began.1.elapsed());
    let mut written = None;
    if let Some(news) = news {
        match write_status(context, key, &object, &news).await {
            Ok(()) => written = Some(Box::new(ExternalSecret { status: Some(news), ..*object })),
            Err(ApiError::NotFound) => return Report { object: None, outcome: Outcome::Gone },
            Err(error) => {
                debug!(namespace = key.namespace(), name = key.name(), %error, "cannot write the status");
                let outcome =
                    Outcome::Failed { class: error.class(), interval, waits_for: Vec::new(), away: Away::of(&error) };
                return Report { object: None, outcome };
            }
        }
    }
    let outcome = match result {
        Ok(done) => Outcome::Synced { target: done.version.as_deref().map(Version::parse), digest: done.digest, next },
        Err(error) => {
            Outcome::Failed { class: error.class(), interval, waits_for: error.waits_for(), away: error.away() }
        }
    };
    Report { object: written, outcome }
}

/// Whether a store that the object names is of another controller class: the object is left to that controller.
async fn is_of_another(context: &Context, key: &Key, object: &ExternalSecret) -> bool {
    let Ok(asked) = resource::read(object) else { return false };
    for store in &asked.stores {
        if context.stores.is_of_another(&Stores::id(store, key.namespace())).await {
            return true;
        }
    }
    false
}

/// When an object that was just synced is due again.
fn next_refresh(object: &ExternalSecret, asked: &Asked, began: Timestamp) -> Option<Timestamp> {
    let synced = refresh::Synced { version: status::version_of(object), at: began };
    match due(object, asked, Some(&synced), began) {
        refresh::Due::At(at) => Some(at),
        refresh::Due::Now(_) | refresh::Due::Never => None,
    }
}

/// When `object` is due, having last been synced as `synced` says.
pub(super) fn due(
    object: &ExternalSecret,
    asked: &Asked,
    synced: Option<&refresh::Synced>,
    now: Timestamp,
) -> refresh::Due {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let random = synced.map_or(0, |synced| refresh::spread(uid, synced.at));
    let version = status::version_of(object);
    let (policy, interval, windows) = (asked.policy, asked.interval, &asked.windows);
    refresh::due(&refresh::Refresh { policy, interval, windows, synced, version: &version, random }, now)
}

async fn write_status(
    context: &Context,
    key: &Key,
    object: &ExternalSecret,
    status: &bulla_crds::ExternalSecretStatus,
) -> Result<(), ApiError> {
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let unreadable = |_| ApiError::Unreadable;
    let mut patch = serde_json::to_value(status).map_err(unreadable)?;
    let old = serde_json::to_value(object.status.as_ref()).map_err(unreadable)?;
    // In a merge patch, what is to go has to be said.
    if let (Some(new), Value::Object(old)) = (patch.as_object_mut(), old) {
        let gone: Map<String, Value> = old
            .into_iter()
            .filter(|(field, _)| !new.contains_key(field))
            .map(|(field, _)| (field, Value::Null))
            .collect();
        new.extend(gone);
    }
    let patch = Patch::Merge(json!({ "metadata": { "uid": object.metadata.uid }, "status": patch }));
    let request =
        api::at::<ExternalSecret>(key.namespace()).patch_subresource("status", key.name(), &parameters, &patch)?;
    let _permit = context.writes.acquire().await;
    context.api.write(api::with_body(request)).await.map(drop)
}

/// The object that events are about.
pub(super) fn regarding(object: &ExternalSecret) -> Regarding {
    let (namespace, name) = api::place(&object.metadata);
    Regarding {
        api_version: bulla_crds::object::API_VERSION,
        kind: bulla_crds::external_secret::KIND,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: object.metadata.uid.clone(),
    }
}

/// Says what happened, once: in the log, in the metrics and, as far as there is time, as an event.
fn announce(context: &Context, key: &Key, object: &ExternalSecret, result: &Result<Done, SyncError>, is_news: bool) {
    let (namespace, name) = (key.namespace(), key.name());
    let post = |kind, reason, note: &str| context.events.post(&regarding(object), kind, "Sync", reason, note);
    match result {
        Ok(done) => {
            for skipped in &done.skipped {
                post(Kind::Normal, "MissingProviderSecret", skipped);
            }
            match done.wrote {
                Wrote::Nothing => {}
                Wrote::Created => post(Kind::Normal, "Created", "secret created"),
                Wrote::Updated => post(Kind::Normal, "Updated", "secret updated"),
                Wrote::Deleted => post(Kind::Normal, "Deleted", "secret deleted due to DeletionPolicy=Delete"),
            }
        }
        Err(error) => {
            if is_news {
                warn!(namespace, name, %error, "not in sync");
                post(Kind::Warning, "UpdateFailed", &error.to_string());
            }
        }
    }
}

struct Pass<'a> {
    context: &'a Context,
    key: &'a Key,
    object: &'a ExternalSecret,
    asked: &'a Asked,
    hints: Hints,
    reason: SyncReason,
    began: (Timestamp, Instant),
}

/// What a pass did to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrote {
    Nothing,
    Created,
    Updated,
    Deleted,
}

/// A target that is right now.
struct Done {
    good: Good,
    version: Option<String>,
    digest: Option<u64>,
    wrote: Wrote,
    skipped: Vec<String>,
}

impl Done {
    const fn without_target(good: Good, wrote: Wrote) -> Self {
        Self { good, version: None, digest: None, wrote, skipped: Vec::new() }
    }
}

/// How often a pass starts over when others write at the same time.
const ROUNDS: usize = 3;
/// How old an answer to somebody else may be.
const SHARED: Duration = Duration::from_secs(10);

impl Pass<'_> {
    async fn run(&self) -> Result<Done, SyncError> {
        let fetched = self.fetch().await?;
        let skipped: Vec<_> = fetched.skipped.iter().map(ToString::to_string).collect();
        let deletion = self.object.spec.as_ref().map(|spec| spec.deletion_policy()).unwrap_or_default();
        let mut done = if self.asked.creation == Creation::None {
            Done::without_target(Good::Synced, Wrote::Nothing)
        } else if fetched.values.is_empty() && deletion == DeletionPolicy::Delete {
            self.delete().await?
        } else if fetched.values.is_empty() && deletion == DeletionPolicy::Retain {
            self.retained()
        } else {
            let target = self.lay_out(fetched.values).await?;
            self.write(&target).await?
        };
        self.remove_renamed().await?;
        done.skipped = skipped;
        Ok(done)
    }

    /// Asks all stores at once and makes values of what they say.
    async fn fetch(&self) -> Result<external::Assembled, SyncError> {
        let namespace = self.key.namespace();
        let ids: Vec<_> = self.asked.stores.iter().map(|store| Stores::id(store, namespace)).collect();
        let mut by_store: Vec<Vec<Request>> = vec![Vec::new(); ids.len()];
        for (store, request) in external::requests(&self.asked.items) {
            if let Some(requests) = by_store.get_mut(store) {
                requests.push(request);
            }
        }
        let urgency = if self.reason.is_urgent() { Urgency::Soon } else { Urgency::Later };
        let now = self.began.1;
        // Whoever asked for a sync by an edit wants what is there now.
        let forced = matches!(self.reason, SyncReason::Due(refresh::Reason::Metadata | refresh::Reason::Spec));
        let not_before = if forced { now } else { now.checked_sub(SHARED).unwrap_or(now) };
        let stores = &self.context.stores;
        let asking = ids.iter().zip(&by_store).map(|(id, requests)| async move {
            stores::ask(stores, id, namespace, requests, urgency, not_before).await
        });
        let mut answers: HashMap<(usize, &Request), Reply> = HashMap::new();
        for (index, (replies, requests)) in join_all(asking).await.into_iter().zip(&by_store).enumerate() {
            let store = ids.get(index).cloned();
            let replies = replies.map_err(|error| match store {
                Some(store) => SyncError::Store { store, error },
                None => SyncError::Panicked,
            })?;
            answers.extend(requests.iter().map(|request| (index, request)).zip(replies));
        }
        let mut answer = |store: usize, request: &Request| {
            let reply = answers.get(&(store, request)).cloned();
            let id = ids.get(store).cloned().unwrap_or_else(|| StoreId::new(Default::default(), "", ""));
            let lost = || crate::providers::ProviderError::new(crate::providers::Cause::Unavailable, "no answer");
            reply.unwrap_or_else(|| Err(lost())).map_err(|error| AskedStore { store: id, error })
        };
        resource::assemble(self.asked, &mut answer, self.began.0).map_err(SyncError::Items)
    }

    async fn lay_out(&self, values: Values) -> Result<Target, SyncError> {
        let mut texts = BTreeMap::new();
        if let Ok(spec) = &self.object.spec {
            for object in resource::template_objects(spec) {
                let values = self.template_object(&object).await?;
                texts.insert(object, values);
            }
        }
        let (left, right) = &self.context.delimiters;
        let delimiters = Delimiters { left, right };
        resource::target(self.object, self.asked, values, &texts, self.began.0, delimiters).map_err(SyncError::Target)
    }

    async fn template_object(&self, object: &TemplateObject) -> Result<Values, SyncError> {
        let (api, namespace, name) = (&self.context.api, self.key.namespace(), object.name.as_str());
        let kind = if object.is_secret { "secret" } else { "configmap" };
        let failed = |error: &ApiError| SyncError::TemplateFrom(format!("{kind} {name}: {error}"), error.class());
        if object.is_secret {
            let live = observe::secret(api, namespace, name).await.map_err(|error| failed(&error))?;
            return live.map(|live| live.data).ok_or_else(|| failed(&ApiError::NotFound));
        }
        let request = api::at::<ConfigMap>(namespace).get(name, &GetParams::default());
        let answer = match request {
            Ok(request) => api.call::<ConfigMap>(api::with_body(request)).await,
            Err(error) => Err(error.into()),
        };
        let map = answer.map_err(|error| failed(&error))?;
        Ok(map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into())).collect())
    }

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

    async fn write(&self, target: &Target) -> Result<Done, SyncError> {
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
            (Step::Frozen, Some(live)) => done(Good::Frozen, Some(live.resource_version.clone()), Wrote::Nothing),
            (Step::Missing, _) => Done::without_target(Good::Missing, Wrote::Nothing),
            (Step::Refuse(refusal), _) => return Err(SyncError::Refused(refusal)),
            (Step::Update(_) | Step::Keep | Step::Frozen, None) => return Err(SyncError::Write(ApiError::Conflict)),
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
    fn retained(&self) -> Done {
        let version = self.hints.target.map(|(version, _)| version.to_string());
        Done { good: Good::Retained, version, digest: None, wrote: Wrote::Nothing, skipped: Vec::new() }
    }

    /// The provider has nothing and the Secret is to go with it.
    async fn delete(&self) -> Result<Done, SyncError> {
        let wrote = if self.delete_ours(&self.asked.target).await? { Wrote::Deleted } else { Wrote::Nothing };
        Ok(Done::without_target(Good::Deleted, wrote))
    }

    /// Deletes the Secret of that name if this object owns it.
    async fn delete_ours(&self, name: &str) -> Result<bool, SyncError> {
        let Some(live) = self.live(name).await? else { return Ok(false) };
        let uid = self.object.metadata.uid.as_deref().unwrap_or_default();
        if live.terminating || live.controller().is_none_or(|controller| controller.uid != uid) {
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
    async fn remove_renamed(&self) -> Result<(), SyncError> {
        let binding = self.object.status.as_ref().and_then(|status| status.binding.as_ref());
        let Some(old) = binding.map(|binding| binding.name.as_str()).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        if old != self.asked.target && self.delete_ours(old).await? {
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
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|name| name == names::FINALIZER) {
        return Ok(());
    }
    let deletes = object.spec.as_ref().is_ok_and(|spec| spec.deletion_policy() == DeletionPolicy::Delete);
    if let (true, Ok(asked)) = (deletes, resource::read(object)) {
        let began = (Timestamp::now(), Instant::now());
        let (hints, reason) = (Hints::default(), SyncReason::Retry);
        let pass = Pass { context, key, object, asked: &asked, hints, reason, began };
        if let Err(SyncError::Delete(error) | SyncError::Read(error)) = pass.delete_ours(&asked.target).await {
            return Err(error);
        }
    }
    let rest: Vec<_> = finalizers.iter().filter(|name| *name != names::FINALIZER).collect();
    let version = &object.metadata.resource_version;
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": rest, "resourceVersion": version } }));
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let request = api::at::<ExternalSecret>(key.namespace()).patch(key.name(), &parameters, &patch)?;
    match context.api.write(api::with_body(request)).await {
        Ok(_) | Err(ApiError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a Secret that somebody else left for this object is right: the hash in its metadata is that of its data, and
/// it is marked as managed.
pub(super) async fn is_intact(context: &Context, key: &Key, target: &str) -> Result<Option<(Version, bool)>, ApiError> {
    let Some(live) = observe::secret(&context.api, key.namespace(), target).await? else { return Ok(None) };
    let marked = live.labels.get(Marks::MANAGED).is_some_and(|value| value == "true");
    let proven = live.annotations.get(Marks::DATA_HASH) == Some(&hash::data_hash(&live.data));
    Ok(Some((Version::parse(&live.resource_version), marked && proven)))
}
