//! The status of an ExternalSecret: ESO's conditions and reasons with the true cause in the message.

use std::fmt;

use bulla_crds::condition::{find_condition, remove_condition};
use bulla_crds::external_secret::{Binding, WrittenSecret};
use bulla_crds::names::external_secrets::FORCE_SYNC;
use bulla_crds::{Condition, ConditionStatus, ConditionType, ExternalSecret, ExternalSecretStatus, set_condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::error::SyncError;
use crate::sync::external::hash;
use crate::sync::external::refresh::Reason;

/// Why an object is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncReason {
    /// As the rule of refreshes says.
    Due(Reason),
    /// Its Secret is not as it was left.
    Drift,
    /// The last try failed.
    Retry,
}

impl SyncReason {
    /// The word in the status.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Due(Reason::First) => "FirstSync",
            Self::Due(Reason::Spec) => "SpecChanged",
            Self::Due(Reason::Metadata) => "MetadataChanged",
            Self::Due(Reason::Interval) => "RefreshInterval",
            Self::Due(Reason::Clock) => "ClockChanged",
            Self::Drift => "Drift",
            Self::Retry => "Retry",
        }
    }

    /// Whether somebody waits for it, so that it goes before refreshes.
    pub(super) const fn is_urgent(self) -> bool {
        !matches!(self, Self::Due(Reason::Interval | Reason::Clock))
    }
}

impl fmt::Display for SyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a sync ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Good {
    /// The Secret is as it should be.
    Synced,
    /// The provider has nothing any more; the Secret stays.
    Retained,
    /// The provider has nothing any more; the Secret went.
    Deleted,
    /// There is no Secret to merge into.
    Missing,
    /// The Secret is immutable; a change was not written.
    Frozen,
}

impl Good {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Synced => ("SecretSynced", "secret synced"),
            Self::Retained => ("SecretSynced", "secret retained due to DeletionPolicy=Retain"),
            Self::Deleted => ("SecretDeleted", "secret deleted due to DeletionPolicy=Delete"),
            Self::Missing => ("SecretMissing", "secret will not be created due to CreationPolicy=Merge"),
            Self::Frozen => ("SecretSynced", "secret is immutable; a change at the provider was not written"),
        }
    }
}

/// What came of a sync.
pub(super) enum Verdict<'a> {
    /// It ended well.
    Good {
        /// How.
        good: Good,
        /// When it began.
        began: Timestamp,
        /// When the next one is due.
        next: Option<Timestamp>,
        /// The Secret's name and version, where there is one.
        secret: Option<(&'a str, &'a str)>,
    },
    /// It failed.
    Failed(&'a SyncError),
}

/// The most characters of a message: Argo CD shows it verbatim.
const MESSAGE: usize = 1024;

/// The `syncedResourceVersion` of an object as it is.
pub(super) fn version_of(object: &ExternalSecret) -> String {
    let metadata = &object.metadata;
    let nothing = std::collections::BTreeMap::new();
    let labels = metadata.labels.as_ref().unwrap_or(&nothing);
    let annotations = metadata.annotations.as_ref().unwrap_or(&nothing);
    hash::synced_resource_version(metadata.generation.unwrap_or_default(), labels, annotations)
}

/// The status to write, or `None` if the one that is there says it all.
pub(super) fn news(
    object: &ExternalSecret,
    verdict: &Verdict<'_>,
    reason: SyncReason,
    now: Timestamp,
) -> Option<ExternalSecretStatus> {
    let old = object.status.clone().unwrap_or_default();
    let mut new = old.clone();
    new.observed_generation = object.metadata.generation;
    let annotations = object.metadata.annotations.as_ref();
    new.last_force_sync = annotations.and_then(|annotations| annotations.get(FORCE_SYNC)).cloned();
    let (holds, word, message) = match verdict {
        Verdict::Good { good, began, next, secret } => {
            new.refresh_time = Some(Time(whole_second(*began)));
            new.synced_resource_version = Some(version_of(object));
            new.next_refresh_time = next.map(|next| Time(whole_second(next)));
            new.sync_reason = Some(reason.to_string());
            new.binding = secret.map(|(name, _)| Binding { name: name.to_owned() });
            new.secret = secret
                .map(|(_, version)| WrittenSecret { resource_version: version.to_owned(), ..WrittenSecret::default() });
            let (word, message) = good.words();
            (true, word, message.to_owned())
        }
        Verdict::Failed(error) => {
            let said = said_before(&old, object).filter(|_| error.is_held_back());
            let message = said.unwrap_or_else(|| error.to_string().chars().take(MESSAGE).collect());
            (false, "SecretSyncedError", message)
        }
    };
    let mut set = |kind, holds: bool| {
        let condition = Condition::new(kind, holds, word, message.clone(), None, now);
        set_condition(&mut new.conditions, Condition { last_update_time: None, ..condition });
    };
    set(ConditionType::Ready, holds);
    match verdict {
        Verdict::Failed(error) if error.is_stalled() => set(ConditionType::Stalled, true),
        Verdict::Failed(_) | Verdict::Good { .. } => {
            remove_condition(&mut new.conditions, ConditionType::Stalled);
        }
    }
    (new != old && !is_pruned(&old, &new)).then_some(new)
}

/// What is said of the failure that lasts: the reason that the provider gave is worth more than that it was not asked.
fn said_before(old: &ExternalSecretStatus, object: &ExternalSecret) -> Option<String> {
    let ready = find_condition(&old.conditions, ConditionType::Ready)?;
    let lasts = ready.status == ConditionStatus::False && old.observed_generation == object.metadata.generation;
    ready.message.clone().filter(|_| lasts)
}

/// Statuses have whole seconds.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Whether `old` is what is left of `new` where the installed CRD is ESO's and prunes what it does not know.
fn is_pruned(old: &ExternalSecretStatus, new: &ExternalSecretStatus) -> bool {
    let extras = old.observed_generation.is_some() || old.secret.is_some() || old.next_refresh_time.is_some();
    !extras
        && old.refresh_time == new.refresh_time
        && old.synced_resource_version == new.synced_resource_version
        && old.binding == new.binding
        && old.conditions.len() == new.conditions.len()
        && old.conditions.iter().zip(&new.conditions).all(|(old, new)| old.says_the_same_as(new))
}

/// Whether the last sync ended well.
pub(super) fn is_ready(object: &ExternalSecret) -> bool {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find_condition(conditions, ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True)
}
