//! One pass over one SealedSecret.
//!
//! The first pass costs two writes: the Secret is created without looking first, and the status patched. Only where
//! that fails, or a Secret is known to be there, is it read. Where the status' digest proves the live data right,
//! nothing is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulla_crds::condition::find_condition;
use bulla_crds::{ConditionStatus, ConditionType, SealedSecret, WrittenSecret};
use jiff::Timestamp;
use kube::Resource as _;
use tokio::time::Instant;
use tracing::{Instrument as _, debug, info, warn};

use super::desired;
use super::dispatch::fingerprint;
use super::status::{self, Verdict};
use super::{Said, SealedConfig, SyncError, orphan, status::is_settled};
use crate::audit;
use crate::controllers::api::{self, Api, ApiError};
use crate::controllers::events::{Events, Kind, Regarding};
use crate::controllers::metrics::{self, Metrics, Standing};
use crate::controllers::notify::{self, Notices};
use crate::controllers::queue::{Key, Version};
use crate::controllers::{apply, observe, trace};
use crate::resource::{self, Desired};
use crate::seal::{DigestKey, KeyId, Keyring};
use crate::secret::{Shape, Values};
use crate::sync::schedule::Class;
use crate::sync::{self, Annotations, Content, Live, Owner, Plan, Refusal};

/// What a pass needs besides its object.
pub(in crate::controllers) struct Context {
    pub(in crate::controllers) api: Api,
    pub(in crate::controllers) events: Events,
    pub(in crate::controllers) metrics: Metrics,
    pub(in crate::controllers) notices: Notices,
    pub(in crate::controllers) config: SealedConfig,
    pub(in crate::controllers) said: Said,
}

impl Context {
    /// An object came by that is in sync, or has to be seen to.
    pub(in crate::controllers) fn saw(&self, key: &Key, object: &SealedSecret, is_settled: bool) {
        if is_settled {
            self.metrics.objects.stands(KIND, key, standing(object, None));
        } else {
            self.metrics.objects.seen(KIND, key);
        }
    }

    /// An object is gone.
    pub(in crate::controllers) fn forget(&self, key: &Key) {
        self.metrics.objects.forget(KIND, key);
        self.notices.forget(KIND, key);
        self.said.forget(key);
    }
}

const KIND: metrics::Kind = metrics::Kind::SealedSecret;

/// How an object stands after a pass that failed for this reason, or did not.
fn standing<'a>(object: &'a SealedSecret, failure: Option<&'static str>) -> Standing<'a> {
    let labels = object.metadata.labels.as_ref();
    let instance = labels.and_then(|labels| labels.get("app.kubernetes.io/instance")).map(String::as_str);
    Standing { instance, ..Standing::new(failure.is_none(), failure.unwrap_or("Unsealed")) }
}

/// Where the object comes from.
pub(in crate::controllers) enum Job {
    /// The watch just delivered it.
    Fresh(Box<SealedSecret>),
    /// It has to be read.
    Again,
    /// It is gone, and its Secret has to go too.
    Orphan,
}

/// What is known of a target before anything is read.
#[derive(Clone, Copy, Default)]
pub(in crate::controllers) struct Seen {
    /// Whether there is one.
    pub(in crate::controllers) exists: bool,
    /// Its version, where nothing about it but the data can be wrong.
    pub(in crate::controllers) version: Option<Version>,
}

/// What came of a pass.
pub(in crate::controllers) struct Report {
    /// The fingerprint of the object as it was worked on, where it was read.
    pub(in crate::controllers) fingerprint: Option<u64>,
    /// The object's version that our status write made.
    pub(in crate::controllers) status: Option<Version>,
    /// How it ended.
    pub(in crate::controllers) outcome: Outcome,
}

/// How a pass ended.
#[derive(Debug)]
pub(in crate::controllers) enum Outcome {
    /// The object is gone or going.
    Gone,
    /// The Secret is right, in this version.
    Synced(Version),
    /// It is not.
    Failed {
        /// When to try again.
        class: Class,
        /// Whether a new key might help.
        wants_key: bool,
        /// Whether the API server seems to be away.
        outage: bool,
    },
}

impl Outcome {
    fn of(error: &ApiError) -> Self {
        if *error == ApiError::NotFound {
            return Self::Gone;
        }
        Self::Failed { class: error.class(), wants_key: false, outage: error.is_outage() }
    }
}

/// Brings one SealedSecret into sync and writes its status.
pub(in crate::controllers) async fn reconcile(
    context: &Context,
    keyring: Arc<Keyring>,
    key: &Key,
    job: Job,
    seen: Seen,
) -> Report {
    work(context, keyring, key, job, seen).instrument(trace::pass!(KIND, key)).await
}

async fn work(context: &Context, keyring: Arc<Keyring>, key: &Key, job: Job, seen: Seen) -> Report {
    let report = |fingerprint, status, outcome| Report { fingerprint, status, outcome };
    let object = match job {
        Job::Fresh(object) => *object,
        Job::Again => match context.api.get(key.namespace(), key.name()).await {
            Ok(object) => object,
            Err(error) => return report(None, None, Outcome::of(&error)),
        },
        Job::Orphan => {
            let outcome = orphan::collect(&context.api, key).await.map_or_else(|e| Outcome::of(&e), |()| Outcome::Gone);
            return report(None, None, outcome);
        }
    };
    let print = Some(fingerprint(&object));
    if object.metadata.deletion_timestamp.is_some() {
        return report(print, None, Outcome::Gone);
    }
    if let Some(version) = seen.version
        && is_settled(&object, version)
    {
        context.saw(key, &object, true);
        context.notices.good(KIND, key);
        return report(print, None, Outcome::Synced(version));
    }
    context.metrics.unseal_requests.inc();
    let hinted = status::hints_at_secret(&object, context.config.watches_targets);
    let exists = seen.exists || hinted;
    let began = Instant::now();
    let object = Arc::new(object);
    let result = Pass { context, keyring, object: &object }.run(exists).await;
    let verdict = match &result {
        Ok(done) => Verdict::Synced { key_values: done.key_values.clone(), secret: done.secret.clone() },
        Err(error) => Verdict::Failed(error),
    };
    let news = status::news(&object, &verdict, Timestamp::now()).filter(|_| context.config.writes_status);
    let is_news = match &result {
        _ if context.config.writes_status => news.is_some(),
        Ok(_) => context.said.is_news(key, None),
        Err(error) => context.said.is_news(key, Some(&error.to_string())),
    };
    announce(context, key, &object, &result, is_news);
    context.metrics.passes.took(KIND, began.elapsed());
    let mut written = None;
    if let Some(news) = news {
        let path = SealedSecret::url_path(&(), Some(key.namespace()));
        let patch = status::patch(object.status.as_ref(), &news);
        let patch = context.api.patch_status(path, key.name(), object.metadata.uid.as_deref(), patch);
        match patch.instrument(trace::step!("status")).await {
            Ok(version) => written = Some(Version::parse(&version)),
            Err(error) => {
                debug!(namespace = key.namespace(), name = key.name(), %error, "cannot write the status");
                if error != ApiError::NotFound {
                    context.metrics.failed("status", key.namespace());
                }
                return report(print, None, Outcome::of(&error));
            }
        }
    }
    let outcome = match result {
        Ok(done) => Outcome::Synced(Version::parse(&done.secret.resource_version)),
        Err(error) => {
            let outage = matches!(&error, SyncError::Read(e) | SyncError::Write(e) if e.is_outage());
            Outcome::Failed { class: error.class(), wants_key: error.wants_key(), outage }
        }
    };
    report(print, written, outcome)
}

/// What events say was being done.
const ACTION: &str = "Unseal";

fn regarding(object: &SealedSecret) -> Regarding {
    let (namespace, name) = api::place(&object.metadata);
    Regarding {
        api_version: bulla_crds::sealed_secret::API_VERSION,
        kind: bulla_crds::sealed_secret::KIND,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: object.metadata.uid.clone(),
    }
}

/// Says what happened, once: in the log, in the metrics and, as far as there is time, as an event.
fn announce(context: &Context, key: &Key, object: &SealedSecret, result: &Result<Done, SyncError>, is_news: bool) {
    let (namespace, name) = (key.namespace(), key.name());
    let failure = result.as_ref().err().map(SyncError::reason);
    context.metrics.objects.stands(KIND, key, standing(object, failure));
    let record = |action, keys: &[String], outcome| {
        let kind = bulla_crds::sealed_secret::KIND;
        audit::record(audit::Entry { action, actor: "controller", kind, namespace, name, keys, outcome });
    };
    match result {
        Ok(done) => {
            let status = object.status.as_ref();
            if done.wrote && status.is_none_or(|status| status.conditions.is_empty()) {
                let created = object.metadata.creation_timestamp.as_ref().map(|created| created.0);
                context.metrics.passes.first_synced(KIND, created);
            }
            if let Some(values) = &done.key_values {
                let keys: Vec<String> = values.keys().map(ToString::to_string).collect();
                record(audit::Action::Open, &keys, "ok");
            }
            if done.wrote {
                record(audit::Action::Write, &[], "ok");
            }
            context.notices.good(KIND, key);
        }
        Err(error) => {
            if let (SyncError::Resource(_), true) = (error, is_news) {
                record(audit::Action::Open, &[], error.reason());
            }
            let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let synced = find_condition(conditions, ConditionType::Synced);
            let lasted = notify::lasted(is_news, synced, Timestamp::now());
            context.notices.failed(KIND, key, error.reason(), &error.to_string(), lasted);
        }
    }
    match result {
        Ok(done) if done.wrote => {
            debug!(namespace, name, "unsealed");
            let note = "SealedSecret unsealed successfully";
            context.events.post(&regarding(object), Kind::Normal, ACTION, "Unsealed", note);
        }
        Ok(_) => {}
        Err(error) => {
            context.metrics.failed(error.metric(), namespace);
            if is_news {
                warn!(namespace, name, reason = error.reason(), %error, "not in sync");
                let note = error.to_string();
                context.events.post(&regarding(object), Kind::Warning, ACTION, error.event(), &note);
            }
        }
    }
}

struct Pass<'a> {
    context: &'a Context,
    keyring: Arc<Keyring>,
    object: &'a Arc<SealedSecret>,
}

/// A Secret that is right now.
struct Done {
    key_values: Option<BTreeMap<KeyId, usize>>,
    secret: WrittenSecret,
    wrote: bool,
}

/// How often a pass starts over when others write at the same time.
const ROUNDS: usize = 3;

/// Objects with more values than this are opened off the runtime's own threads.
const FEW_VALUES: usize = 4;

impl Pass<'_> {
    async fn run(&self, exists: bool) -> Result<Done, SyncError> {
        if !self.context.config.opens_whole_secrets
            && self.object.spec.data.as_ref().is_some_and(|data| !data.is_empty())
        {
            return Err(SyncError::Deprecated);
        }
        let merged = status::was_merged(self.object);
        // What is not known to be there is created without looking first, unless it would be somebody else's.
        let mut live = if exists || merged { self.live().await? } else { None };
        if live.is_none() && merged {
            return Err(SyncError::Refused(Refusal::MergeTargetGone));
        }
        if let Some(live) = &live
            && let Some(done) = self.without_opening(live).await?
        {
            return Ok(done);
        }
        let desired = self.open().instrument(trace::step!("open")).await?;
        for _ in 0..ROUNDS {
            match self.write(&desired, live.as_ref()).instrument(trace::step!("write")).await {
                Err(SyncError::Write(ApiError::AlreadyExists | ApiError::Conflict | ApiError::NotFound)) => {}
                other => return other,
            }
            let merged = merged || live.as_ref().is_some_and(is_only_merged_into);
            live = self.live().await?;
            if live.is_none() && merged {
                return Err(SyncError::Refused(Refusal::MergeTargetGone));
            }
        }
        Err(SyncError::Write(ApiError::Conflict))
    }

    /// The short way: the digest in the status proves the live data right.
    async fn without_opening(&self, live: &Live) -> Result<Option<Done>, SyncError> {
        let Some(digest) = self.trusted_digest() else { return Ok(None) };
        let Some(key) = self.keyring.digest_key_of(digest) else { return Ok(None) };
        if !DigestKey::same(&digest_of(key, &live.kind, &live.data), digest) {
            return Ok(None);
        }
        let (shape, owner) = (resource::shape(self.object), desired::owner(self.object));
        let plan = sync::plan(&self.wanted(&shape, Content::Proven, &owner), Some(live));
        let done = |resource_version, wrote| Done {
            key_values: None,
            secret: WrittenSecret { resource_version, digest: digest.to_owned() },
            wrote,
        };
        match plan {
            Plan::Keep => Ok(Some(done(live.resource_version.clone(), false))),
            Plan::Refuse(refusal) => Err(SyncError::Refused(refusal)),
            Plan::Update(update) => {
                let (namespace, name) = self.place();
                let none = Values::new();
                match apply::replace(&self.context.api, namespace, name, &update, live, &none).await {
                    Ok(version) => Ok(Some(done(version, true))),
                    Err(ApiError::Conflict | ApiError::NotFound) => Ok(None),
                    Err(error) => Err(SyncError::Write(error)),
                }
            }
            Plan::Create(_) => Ok(None),
        }
    }

    /// The digest of the last write, where it was made for this very generation and scope.
    fn trusted_digest(&self) -> Option<&str> {
        let status = self.object.status.as_ref()?;
        // After a failure the status keeps the digest of the last good Secret, which is not what this generation asks for.
        let synced = find_condition(&status.conditions, ConditionType::Synced);
        synced.filter(|synced| synced.status == ConditionStatus::True)?;
        let current = status.observed_generation == self.object.metadata.generation
            && status.scope.as_deref() == Some(resource::declared_scope(self.object).as_str())
            // The whole-Secret form hides labels in the sealed value.
            && self.object.spec.data.is_none();
        let digest = status.secret.as_ref().map(|secret| secret.digest.as_str())?;
        (current && !digest.is_empty()).then_some(digest)
    }

    async fn open(&self) -> Result<Desired, SyncError> {
        let now = Timestamp::now();
        let values = self.object.spec.encrypted_data.len();
        let templates = self.object.spec.template.as_ref().map_or(0, |template| template.data.len());
        if values + templates <= FEW_VALUES {
            return Ok(resource::open(self.object, &self.keyring, now)?);
        }
        let (object, keyring) = (Arc::clone(self.object), Arc::clone(&self.keyring));
        let opening = tokio::task::spawn_blocking(move || resource::open(&object, &keyring, now));
        Ok(opening.await.map_err(|_| SyncError::Panicked)??)
    }

    async fn live(&self) -> Result<Option<Live>, SyncError> {
        let (namespace, name) = self.place();
        observe::secret(&self.context.api, namespace, name).await.map_err(SyncError::Read)
    }

    async fn write(&self, desired: &Desired, live: Option<&Live>) -> Result<Done, SyncError> {
        let (api, (namespace, name), target) = (&self.context.api, self.place(), &desired.target);
        let owner = desired::owner(self.object);
        let content = Content::Opened(&target.data);
        let plan = sync::plan(&self.wanted(&target.shape, content, &owner), live);
        let (resource_version, wrote) = match (plan, live) {
            (Plan::Create(head), _) => (apply::create(api, namespace, name, &head, &target.data).await, true),
            (Plan::Update(update), Some(live)) => {
                info!(namespace, name, "updating the Secret");
                (apply::replace(api, namespace, name, &update, live, &target.data).await, true)
            }
            (Plan::Keep, Some(live)) => (Ok(live.resource_version.clone()), false),
            (Plan::Refuse(refusal), _) => return Err(SyncError::Refused(refusal)),
            (Plan::Update(_) | Plan::Keep, None) => return Err(SyncError::Write(ApiError::Conflict)),
        };
        let resource_version = resource_version.map_err(SyncError::Write)?;
        // What is merged into holds more than ours: no digest of ours can prove it.
        let digest = match (live, self.keyring.digest_key()) {
            (Some(live), _) if is_only_merged_into(live) => status::MERGED.to_owned(),
            (Some(live), _) if live.is_marked(Annotations::PATCH) => String::new(),
            (_, Some(key)) => digest_of(key, target.shape.effective_kind(), &target.data),
            (_, None) => String::new(),
        };
        let secret = WrittenSecret { resource_version, digest };
        Ok(Done { key_values: Some(desired.key_values.clone()), secret, wrote })
    }

    fn wanted<'a>(&'a self, shape: &'a Shape, content: Content<'a>, owner: &'a Owner) -> sync::Desired<'a> {
        sync::Desired { shape, content, owner, labels: &self.context.config.labels }
    }

    fn place(&self) -> (&str, &str) {
        api::place(&self.object.metadata)
    }
}

/// Whether a Secret is somebody else's and stays so.
fn is_only_merged_into(live: &Live) -> bool {
    live.is_marked(Annotations::PATCH) && !live.is_marked(Annotations::MANAGED)
}

fn digest_of(key: &DigestKey, kind: &str, data: &Values) -> String {
    let values = data.iter().map(|(name, value)| (name.as_str(), value.expose()));
    key.digest(std::iter::once(("type", kind.as_bytes())).chain(values))
}
