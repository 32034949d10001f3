//! One pass over one ExternalSecret: fetch, lay out, plan, write, report.
//!
//! The first pass costs two writes: the Secret is created without looking first, and the status patched. A refresh that
//! brings nothing new costs the status only: what the Secret holds is known from the version that it has and from the
//! hash in its metadata, both of which the watch tells.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::condition::find_condition;
use bulla_crds::{ConditionType, ExternalSecret};
use jiff::Timestamp;
use kube::Resource as _;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{Instrument as _, debug, warn};

use super::error::{Away, SyncError};
use super::metrics::Metrics;
use super::pass::{Done, Pass, Wrote};
use super::status::{self, SyncReason, Verdict};
use super::stores::{StoreId, Stores};
use crate::audit;
use crate::controllers::api::{self, Api, ApiError};
use crate::controllers::events::{Events, Kind, Regarding};
use crate::controllers::notify::{self, Notices};
use crate::controllers::queue::{Key, Version};
use crate::controllers::{metrics, trace};
use crate::resource::external_secret::{self as resource, Asked};
use crate::sync::external::refresh;
use crate::sync::schedule::Class;
use crate::sync::target::TargetRefusal;

/// What a pass needs besides its object.
pub(in crate::controllers) struct Context {
    pub(in crate::controllers) api: Api,
    pub(in crate::controllers) events: Events,
    pub(in crate::controllers) stores: Arc<Stores>,
    pub(in crate::controllers) metrics: Metrics,
    pub(in crate::controllers) notices: Notices,
    /// Writes to the API server at the same time.
    pub(in crate::controllers) writes: Semaphore,
    /// What opens and closes an action in templates.
    pub(in crate::controllers) delimiters: (String, String),
    /// Makes numbers that tell contents apart, in this process only.
    pub(in crate::controllers) digests: RandomState,
}

impl Context {
    /// An object came by that is in sync, or has to be seen to.
    pub(super) fn saw(&self, key: &Key, object: &ExternalSecret, asked: Option<&Asked>, is_settled: bool) {
        let refreshed = object.status.as_ref().and_then(|status| status.refresh_time.as_ref());
        let interval = asked.map_or(Duration::ZERO, refreshes);
        match refreshed {
            Some(at) if is_settled && status::is_ready(object) => self.metrics.was_synced(key, at.0, interval),
            Some(_) | None => self.metrics.objects.seen(KIND, key),
        }
    }

    /// An object is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.metrics.forget(key);
        self.notices.forget(KIND, key);
    }
}

const KIND: metrics::Kind = metrics::Kind::ExternalSecret;

/// From one refresh to the next, zero where there are none.
fn refreshes(asked: &Asked) -> Duration {
    if asked.policy == refresh::Policy::Periodic { asked.interval } else { Duration::ZERO }
}

/// What the dispatcher knows of the target.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// The target's version and the hash in its metadata, if it is there.
    pub(super) target: Option<(Version, Option<DataHash>)>,
    /// The version that is known to be as it was left.
    pub(super) right: Option<Version>,
    /// What was left there, as a number of this process.
    pub(super) digest: Option<u64>,
    /// What about the target stood in the way of the last pass.
    pub(super) refused: Option<Box<Standing>>,
}

/// A target that must not be written as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its version.
    pub(super) version: Version,
    /// Why not.
    pub(super) refusal: TargetRefusal,
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
        /// What about the target stood in the way.
        refused: Option<Box<Standing>>,
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
    work(context, key, object, hints, reason).instrument(trace::pass!(KIND, key)).await
}

async fn work(context: &Context, key: &Key, object: Box<ExternalSecret>, hints: Hints, reason: SyncReason) -> Report {
    let began = (Timestamp::now(), Instant::now());
    if object.metadata.deletion_timestamp.is_some() || is_of_another(context, key, &object).await {
        debug!(namespace = key.namespace(), name = key.name(), "left alone: another controller's, or being deleted");
        return Report { object: None, outcome: Outcome::Left };
    }
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
    let failure = result.as_ref().err().map(SyncError::metric);
    let refreshes = asked.as_ref().map_or(Duration::ZERO, refreshes);
    context.metrics.passed(key, failure, began.1.elapsed(), refreshes);
    let mut written = None;
    if let Some(news) = news {
        match write_status(context, key, &object, &news).instrument(trace::step!("status")).await {
            Ok(()) => written = Some(Box::new(ExternalSecret { status: Some(news), ..*object })),
            Err(ApiError::NotFound) => return Report { object: None, outcome: Outcome::Gone },
            Err(error) => {
                debug!(namespace = key.namespace(), name = key.name(), %error, "cannot write the status");
                let outcome = Outcome::Failed {
                    class: error.class(),
                    interval,
                    refused: None,
                    waits_for: Vec::new(),
                    away: Away::of(&error),
                };
                return Report { object: None, outcome };
            }
        }
    }
    let outcome = match result {
        Ok(done) => Outcome::Synced { target: done.version.as_deref().map(Version::parse), digest: done.digest, next },
        Err(error) => {
            let (class, waits_for, away) = (error.class(), error.waits_for(), error.away());
            let refused = match error {
                SyncError::Refused(standing) => Some(Box::new(standing)),
                SyncError::Spec(_)
                | SyncError::Fetch(_)
                | SyncError::TemplateFrom(..)
                | SyncError::Target(_)
                | SyncError::Read(_)
                | SyncError::Write(_)
                | SyncError::Delete(_)
                | SyncError::Panicked => None,
            };
            Outcome::Failed { class, interval, refused, waits_for, away }
        }
    };
    Report { object: written, outcome }
}

/// Whether a store that the object names is of another controller class: the object is left to that controller.
pub(super) async fn is_of_another(context: &Context, key: &Key, object: &ExternalSecret) -> bool {
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
    let path = ExternalSecret::url_path(&(), Some(key.namespace()));
    let _permit = context.writes.acquire().await;
    context.api.patch_status(path, key.name(), object.metadata.uid.as_deref(), patch).await.map(drop)
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

/// Leaves a line in the audit log about the Secret of `key`.
pub(super) fn record(key: &Key, action: audit::Action, outcome: &str) {
    let kind = bulla_crds::external_secret::KIND;
    let (namespace, name) = (key.namespace(), key.name());
    audit::record(audit::Entry { action, actor: "controller", kind, namespace, name, keys: &[], outcome });
}

/// Says what happened, once: in the log, in the metrics and, as far as there is time, as an event.
fn announce(context: &Context, key: &Key, object: &ExternalSecret, result: &Result<Done, SyncError>, is_news: bool) {
    let (namespace, name) = (key.namespace(), key.name());
    let post = |kind, reason, note: &str| context.events.post(&regarding(object), kind, "Sync", reason, note);
    match result {
        Ok(done) => {
            if object.status.as_ref().is_none_or(|status| status.refresh_time.is_none()) {
                let created = object.metadata.creation_timestamp.as_ref().map(|created| created.0);
                context.metrics.passes.first_synced(KIND, created);
            }
            match done.wrote {
                Wrote::Nothing => {}
                Wrote::Created | Wrote::Updated => record(key, audit::Action::Write, "ok"),
                Wrote::Deleted => record(key, audit::Action::Delete, "ok"),
            }
            context.notices.good(KIND, key);
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
            let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let ready = find_condition(conditions, ConditionType::Ready);
            let lasted = notify::lasted(is_news, ready, Timestamp::now());
            context.notices.failed(KIND, key, error.metric(), &error.to_string(), lasted);
            if is_news {
                warn!(namespace, name, %error, "not in sync");
                post(Kind::Warning, "UpdateFailed", &error.to_string());
            }
        }
    }
}
