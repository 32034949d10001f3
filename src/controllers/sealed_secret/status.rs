//! The status of a SealedSecret: what to write, and whether there is anything to write.

use std::collections::BTreeMap;

use bulla_crds::condition::remove_condition;
use bulla_crds::{
    Condition, ConditionType, SealedSecret, SealedSecretStatus, WrittenSecret, condition::find_condition, set_condition,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::SyncError;
use super::desired::requested_at;
use crate::controllers::queue::Version;
use crate::resource::declared_scope;
use crate::seal::KeyId;

/// What came of a sync.
pub(super) enum Verdict<'a> {
    /// The Secret is as it should be.
    Synced {
        /// The keys that opened it and how many values each; `None` where nothing had to be opened.
        key_values: Option<BTreeMap<KeyId, usize>>,
        /// The Secret's version and digest.
        secret: WrittenSecret,
    },
    /// It is not.
    Failed(&'a SyncError),
}

/// In place of a digest: the Secret is somebody else's and we only merge into it.
pub(super) const MERGED: &str = "merged";

/// Whether what this generation asks for was merged into a Secret of somebody else's.
pub(super) fn was_merged(object: &SealedSecret) -> bool {
    let Some(status) = &object.status else { return false };
    let merged = status.secret.as_ref().is_some_and(|secret| secret.digest == MERGED);
    merged && status.observed_generation == object.metadata.generation
}

/// Whether the status speaks of a Secret that the watch need not know: because nothing is watched, or because another
/// controller wrote it, which did not mark it for us. Then it is worth a look before one is created.
pub(super) fn hints_at_secret(object: &SealedSecret, watches_targets: bool) -> bool {
    let Some(status) = &object.status else { return false };
    let synced = find_condition(&status.conditions, ConditionType::Synced);
    match status.secret {
        Some(_) => !watches_targets,
        None => synced.is_some_and(|synced| synced.status == true.into()),
    }
}

/// The most characters of a message: Argo CD shows it verbatim.
const MESSAGE: usize = 1024;

/// The status to write, or `None` if the one that is there says it all.
pub(super) fn news(object: &SealedSecret, verdict: &Verdict<'_>, now: Timestamp) -> Option<SealedSecretStatus> {
    let old = object.status.clone().unwrap_or_default();
    let mut new = old.clone();
    let generation = object.metadata.generation;
    new.observed_generation = generation;
    new.scope = Some(declared_scope(object).as_str().to_owned());
    if let Some(requested) = requested_at(object) {
        new.last_handled_reconcile_at = Some(requested.to_owned());
    }
    let (synced, reason, message) = match verdict {
        Verdict::Synced { key_values, secret } => {
            if let Some(key_values) = key_values {
                let count = |(id, count): (&KeyId, &usize)| (id.to_string(), i64::try_from(*count).unwrap_or(i64::MAX));
                new.key_values = key_values.iter().map(count).collect();
                new.key_ids = new.key_values.keys().cloned().collect();
            }
            new.secret = Some(secret.clone());
            (true, "Unsealed", String::new())
        }
        Verdict::Failed(error) => {
            // That an earlier generation was merged says nothing about this one, except where its target is gone.
            let is_about_another = old.observed_generation != generation && !error.is_merge_target_gone();
            new.secret = new.secret.filter(|secret| !(is_about_another && secret.digest == MERGED));
            (false, error.reason(), error.to_string().chars().take(MESSAGE).collect())
        }
    };
    let mut set = |kind, holds: bool| {
        let condition = Condition::new(kind, holds, reason, message.clone(), generation, now);
        set_condition(&mut new.conditions, condition);
    };
    set(ConditionType::Synced, synced);
    set(ConditionType::Ready, synced);
    let (present, absent) = match verdict {
        Verdict::Synced { .. } => (None, [ConditionType::Reconciling, ConditionType::Stalled].as_slice()),
        Verdict::Failed(error) if error.is_stalled() => {
            (Some(ConditionType::Stalled), [ConditionType::Reconciling].as_slice())
        }
        Verdict::Failed(_) => (Some(ConditionType::Reconciling), [ConditionType::Stalled].as_slice()),
    };
    if let Some(kind) = present {
        set(kind, true);
    }
    for kind in absent {
        remove_condition(&mut new.conditions, *kind);
    }
    (new != old && !is_pruned(&old, &new)).then_some(new)
}

/// `new` as a merge patch over `old`: what is not so any more has to be taken out by name.
pub(super) fn patch(old: Option<&SealedSecretStatus>, new: &SealedSecretStatus) -> Value {
    let mut patch = json!(new);
    let stale = old.iter().flat_map(|old| old.key_values.keys()).filter(|id| !new.key_values.contains_key(*id));
    for id in stale {
        patch["keyValues"][id.as_str()] = Value::Null;
    }
    if new.secret.is_none() && old.is_some_and(|old| old.secret.is_some()) {
        patch["secret"] = Value::Null;
    }
    patch
}

/// Whether nothing at all has to be done: the status says so for this generation, these annotations and this version
/// of the target.
pub(in crate::controllers) fn is_settled(object: &SealedSecret, target: Version) -> bool {
    let Some(status) = &object.status else { return false };
    let synced = find_condition(&status.conditions, ConditionType::Synced);
    let handled = requested_at(object).is_none_or(|at| status.last_handled_reconcile_at.as_deref() == Some(at));
    status.observed_generation == object.metadata.generation
        && synced.is_some_and(|condition| condition.status == true.into())
        && status.scope.as_deref() == Some(declared_scope(object).as_str())
        && status.secret.as_ref().is_some_and(|secret| Version::parse(&secret.resource_version) == target)
        && handled
}

/// Whether `old` is what is left of `new` where the installed CRD is upstream's and prunes what it does not know.
fn is_pruned(old: &SealedSecretStatus, new: &SealedSecretStatus) -> bool {
    let extras = old.scope.is_some() || old.secret.is_some() || !old.key_ids.is_empty() || !old.key_values.is_empty();
    let same = |(old, new): (&Condition, &Condition)| {
        let new = Condition { observed_generation: old.observed_generation, ..new.clone() };
        old.says_the_same_as(&new)
    };
    !extras
        && old.observed_generation == new.observed_generation
        && old.conditions.len() == new.conditions.len()
        && old.conditions.iter().zip(&new.conditions).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::api::ApiError;
    use crate::sync::Refusal;

    fn object() -> SealedSecret {
        serde_json::from_value(json!({"metadata": {"name": "n", "generation": 2}, "spec": {"encryptedData": {}}}))
            .unwrap()
    }

    fn synced() -> Verdict<'static> {
        let secret = WrittenSecret { resource_version: "7".to_owned(), digest: "k:d".to_owned() };
        Verdict::Synced { key_values: Some([(KeyId::of(b"k"), 3)].into()), secret }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn holding(status: &SealedSecretStatus) -> Vec<(&str, &str)> {
        status.conditions.iter().map(|c| (c.r#type.as_str(), c.status.as_str())).collect()
    }

    #[test]
    fn a_verdict_becomes_conditions_with_synced_first() {
        let refused = SyncError::Refused(Refusal::NotOwned { controller: None });
        let going = SyncError::Refused(Refusal::Terminating);
        let away = SyncError::Write(ApiError::Unreachable);
        let invalid = SyncError::Write(ApiError::Invalid("data".to_owned()));
        let stalled = [("Synced", "False"), ("Ready", "False"), ("Stalled", "True")];
        let reconciling = [("Synced", "False"), ("Ready", "False"), ("Reconciling", "True")];
        for (verdict, expected) in [
            (synced(), [("Synced", "True"), ("Ready", "True")].as_slice()),
            (Verdict::Failed(&refused), &stalled),
            (Verdict::Failed(&invalid), &stalled),
            (Verdict::Failed(&going), &reconciling),
            (Verdict::Failed(&away), &reconciling),
        ] {
            // Whatever stood there before.
            let mut object = object();
            for earlier in [synced(), Verdict::Failed(&refused), Verdict::Failed(&away)] {
                object.status = news(&object, &earlier, at(1)).or(object.status);
            }
            let status = news(&object, &verdict, at(2)).or(object.status).unwrap();
            assert_eq!(holding(&status), expected);
            assert_eq!(status.observed_generation, Some(2));
            assert!(status.conditions.iter().all(|c| c.observed_generation == Some(2) && c.reason.is_some()));
        }
    }

    #[test]
    fn there_is_no_news_in_the_same_verdict() {
        let mut object = object();
        object.status = news(&object, &synced(), at(1));
        assert!(news(&object, &synced(), at(9)).is_none());
        assert!(is_settled(&object, Version::parse("7")));
        assert!(!is_settled(&object, Version::parse("8")), "another version of the target");
        object.metadata.generation = Some(3);
        assert!(!is_settled(&object, Version::parse("7")), "another generation");
        assert!(news(&object, &synced(), at(9)).is_some());
    }

    #[test]
    fn keys_are_counted_and_those_that_open_nothing_any_more_are_taken_out() {
        let mut object = object();
        let [first, second] = [KeyId::of(b"k").to_string(), KeyId::of(b"l").to_string()];
        object.status = news(&object, &synced(), at(1));
        let old = object.status.clone().unwrap();
        assert_eq!((old.key_ids.as_slice(), old.key_values[&first]), ([first.clone()].as_slice(), 3));
        let secret = WrittenSecret { resource_version: "8".to_owned(), digest: String::new() };
        let verdict = Verdict::Synced { key_values: Some([(KeyId::of(b"l"), 1)].into()), secret };
        let new = news(&object, &verdict, at(2)).unwrap();
        assert_eq!(patch(Some(&old), &new)["keyValues"], json!({ &first: null, &second: 1 }));
        assert_eq!(patch(None, &new)["keyValues"], json!({ &second: 1 }));
    }

    #[test]
    fn a_generation_that_only_failed_was_not_merged() {
        let merged = |generation| {
            let mut object = object();
            let secret = WrittenSecret { resource_version: "7".to_owned(), digest: MERGED.to_owned() };
            object.status = news(&object, &Verdict::Synced { key_values: None, secret }, at(1));
            object.metadata.generation = Some(generation);
            object
        };
        let (away, gone) = (SyncError::Write(ApiError::Unreachable), SyncError::Refused(Refusal::MergeTargetGone));
        assert!(was_merged(&merged(2)) && !was_merged(&merged(3)));
        for (generation, error, remains) in [(2, &away, true), (2, &gone, true), (3, &away, false), (3, &gone, true)] {
            let mut object = merged(generation);
            let old = object.status.take();
            object.status.clone_from(&old);
            let new = news(&object, &Verdict::Failed(error), at(2)).unwrap();
            let patch = patch(old.as_ref(), &new);
            assert_eq!(patch.get("secret").is_some_and(Value::is_null), !remains, "{generation} {error}");
            object.status = Some(new);
            assert_eq!(was_merged(&object), remains, "{generation} {error}");
        }
        // A digest proves something of its own.
        let mut object = object();
        object.status = news(&object, &synced(), at(1));
        object.metadata.generation = Some(3);
        assert!(news(&object, &Verdict::Failed(&away), at(2)).unwrap().secret.is_some());
    }

    #[test]
    fn another_message_is_news() {
        let mut object = object();
        let first = SyncError::Write(ApiError::Invalid("a".to_owned()));
        let second = SyncError::Write(ApiError::Invalid("b".to_owned()));
        object.status = news(&object, &Verdict::Failed(&first), at(1));
        assert!(news(&object, &Verdict::Failed(&first), at(2)).is_none());
        assert!(news(&object, &Verdict::Failed(&second), at(2)).is_some());
    }

    #[test]
    fn annotations_that_count_unsettle() {
        let mut object = object();
        object.status = news(&object, &synced(), at(1));
        for name in ["sealedsecrets.bitnami.com/cluster-wide", bulla_crds::names::RECONCILE_REQUESTED_AT] {
            object.metadata.annotations = Some([(name.to_owned(), "true".to_owned())].into());
            assert!(!is_settled(&object, Version::parse("7")), "{name}");
        }
        object.metadata.annotations = Some([("other".to_owned(), "true".to_owned())].into());
        assert!(is_settled(&object, Version::parse("7")));
    }

    #[test]
    fn what_upstreams_crd_leaves_of_our_status_is_not_written_again() {
        let mut object = object();
        let mut status = news(&object, &synced(), at(1)).unwrap();
        (status.scope, status.secret, status.key_ids) = (None, None, Vec::new());
        status.key_values.clear();
        status.conditions.iter_mut().for_each(|condition| condition.observed_generation = None);
        object.status = Some(status);
        assert!(news(&object, &synced(), at(2)).is_none());
    }
}
