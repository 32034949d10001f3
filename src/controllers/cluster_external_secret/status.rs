//! The status of a ClusterExternalSecret: ESO's conditions with the true cause in the message.

use std::collections::{BTreeMap, BTreeSet};

use bulla_crds::cluster_external_secret::FailedNamespace;
use bulla_crds::condition::{find_condition, remove_condition};
use bulla_crds::{ClusterExternalSecretStatus, Condition, ConditionStatus, ConditionType, set_condition};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The most characters of a message: Argo CD shows it verbatim.
const MESSAGE: usize = 1024;

/// What came of a pass.
pub(super) enum Verdict {
    /// The spec cannot work, and why; nothing was touched.
    Invalid(String),
    /// Where the ExternalSecrets are, and where not and why.
    Done { name: String, provisioned: BTreeSet<String>, failed: BTreeMap<String, String> },
}

/// The status to write, or `None` if the one that is there says it all.
pub(super) fn news(
    old: &ClusterExternalSecretStatus,
    generation: Option<i64>,
    verdict: Verdict,
    now: Timestamp,
) -> Option<ClusterExternalSecretStatus> {
    let mut new = old.clone();
    new.observed_generation = generation;
    let (holds, reason, message, stalled) = match verdict {
        Verdict::Invalid(problem) => (false, "InvalidSpec", problem, true),
        Verdict::Done { name, provisioned, failed } => {
            new.external_secret_name = Some(name);
            new.provisioned_namespaces = provisioned.into_iter().collect();
            let failed = failed.into_iter().map(|(namespace, reason)| FailedNamespace { namespace, reason });
            new.failed_namespaces = failed.collect();
            if new.failed_namespaces.is_empty() {
                (true, "Provisioned", String::new(), false)
            } else {
                (false, "NamespacesFailed", "one or more namespaces failed".to_owned(), false)
            }
        }
    };
    let message: String = message.chars().take(MESSAGE).collect();
    let mut set = |kind, holds: bool| {
        let condition = Condition::new(kind, holds, reason, message.clone(), None, now);
        set_condition(&mut new.conditions, Condition { last_update_time: None, ..condition });
    };
    set(ConditionType::Ready, holds);
    if stalled {
        set(ConditionType::Stalled, true);
    } else {
        remove_condition(&mut new.conditions, ConditionType::Stalled);
    }
    (new != *old && !is_pruned(old, &new)).then_some(new)
}

/// Whether `old` is what is left of `new` where the installed CRD is ESO's and prunes what it does not know.
fn is_pruned(old: &ClusterExternalSecretStatus, new: &ClusterExternalSecretStatus) -> bool {
    let left = |condition: &Condition| (condition.r#type.clone(), condition.status, condition.message.clone());
    let extras = old.conditions.iter().any(|condition| condition.reason.is_some());
    !extras
        && old.observed_generation.is_none()
        && old.external_secret_name == new.external_secret_name
        && old.provisioned_namespaces == new.provisioned_namespaces
        && old.failed_namespaces == new.failed_namespaces
        && old.conditions.iter().map(left).eq(new.conditions.iter().map(left))
}

/// As a merge patch: what is empty is taken out.
pub(super) fn patch(uid: &str, status: &ClusterExternalSecretStatus) -> Value {
    let list = |value: Value| if value.as_array().is_some_and(Vec::is_empty) { Value::Null } else { value };
    json!({
        "metadata": { "uid": uid },
        "status": {
            "externalSecretName": status.external_secret_name,
            "provisionedNamespaces": list(json!(status.provisioned_namespaces)),
            "failedNamespaces": list(json!(status.failed_namespaces)),
            "conditions": status.conditions,
            "observedGeneration": status.observed_generation,
        },
    })
}

/// `Ready`, where it is said, and the sentence with it.
pub(super) fn ready(status: &ClusterExternalSecretStatus) -> Option<(bool, &str)> {
    let ready = find_condition(&status.conditions, ConditionType::Ready)?;
    Some((ready.status == ConditionStatus::True, ready.message.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(failed: &[&str]) -> Verdict {
        let failed = failed.iter().map(|name| ((*name).to_owned(), "no".to_owned())).collect();
        Verdict::Done { name: "db".to_owned(), provisioned: ["a".to_owned()].into(), failed }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let first = news(&ClusterExternalSecretStatus::default(), Some(1), done(&[]), at(1)).unwrap();
        assert_eq!(ready(&first), Some((true, "")));
        assert_eq!(news(&first, Some(1), done(&[]), at(2)), None);
        let second = news(&first, Some(1), done(&["b"]), at(3)).unwrap();
        assert_eq!(ready(&second), Some((false, "one or more namespaces failed")));
        assert_eq!(patch("u", &first)["status"]["failedNamespaces"], Value::Null, "a merge patch must clear it");
        let stalled = news(&second, Some(2), Verdict::Invalid("bad".to_owned()), at(4)).unwrap();
        assert_eq!((ready(&stalled), stalled.conditions.len()), (Some((false, "bad")), 2));
        assert_eq!(stalled.provisioned_namespaces, ["a"], "nothing was touched");
        assert_eq!(news(&stalled, Some(3), done(&[]), at(5)).unwrap().conditions.len(), 1);
    }

    #[test]
    fn a_status_that_esos_crd_pruned_is_no_news() {
        let mut first = news(&ClusterExternalSecretStatus::default(), Some(1), done(&["b"]), at(1)).unwrap();
        first.observed_generation = None;
        for condition in &mut first.conditions {
            (condition.reason, condition.last_transition_time) = (None, None);
        }
        assert_eq!(news(&first, Some(1), done(&["b"]), at(2)), None);
        assert!(news(&first, Some(1), done(&[]), at(2)).is_some());
    }
}
