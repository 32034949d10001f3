//! What one object says about itself. Read field by field, so that one odd object cannot end a list of all of them.

use bulla_crds::condition::find_condition;
use bulla_crds::{Condition, ConditionStatus, ConditionType};
use jiff::Timestamp;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use crate::args::SyncedKind;

/// How an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum State {
    /// The Secret holds what the newest version of the object asks for.
    Synced,
    /// The controller says that it does not.
    Failed,
    /// The controller has said nothing yet, or the object is being deleted.
    Waiting,
    /// What the controller said is about an older version of the object.
    Stale,
    /// The controller says that it does not know.
    Unknown,
}

impl State {
    /// Every state, in the order in which they are counted.
    pub(crate) const ALL: [Self; 5] = [Self::Synced, Self::Failed, Self::Waiting, Self::Stale, Self::Unknown];

    /// The word in output.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Failed => "Failed",
            Self::Waiting => "Waiting",
            Self::Stale => "Stale",
            Self::Unknown => "Unknown",
        }
    }
}

/// A key that opened values of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct KeyUse {
    /// The key's id.
    pub(crate) id: String,
    /// How many values it opened; `None` where the status only says that it opened some.
    pub(crate) values: Option<u64>,
}

/// The store that an ExternalSecret names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct StoreName {
    /// `SecretStore` or `ClusterSecretStore`.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// What is behind it; `None` where nobody may know.
    pub(crate) provider: Option<String>,
}

/// An object, as its controller describes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    #[serde(serialize_with = "kind")]
    pub(crate) kind: SyncedKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) state: State,
    /// The controller's word for why.
    pub(crate) reason: Option<String>,
    /// The controller's sentence; never a value.
    pub(crate) message: Option<String>,
    /// Whether only a person can mend the failure.
    pub(crate) stalled: bool,
    /// The keys that opened a SealedSecret's values.
    pub(crate) keys: Vec<KeyUse>,
    /// The store of an ExternalSecret.
    pub(crate) store: Option<StoreName>,
    /// Name of the Secret that it makes; `None` where it makes none.
    pub(crate) secret: Option<String>,
    pub(crate) generation: Option<i64>,
    /// The generation that the status is about; `None` where it does not say.
    pub(crate) observed_generation: Option<i64>,
    pub(crate) created: Option<Timestamp>,
    /// When the controller last said something new.
    pub(crate) last_change: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn kind<S: serde::Serializer>(kind: &SyncedKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

impl Observed {
    /// Reads an object.
    pub(crate) fn of(kind: SyncedKind, object: &DynamicObject) -> Self {
        let (metadata, data) = (&object.metadata, &object.data);
        let conditions = conditions(data);
        let main = match kind {
            SyncedKind::SealedSecret => find_condition(&conditions, ConditionType::Synced),
            SyncedKind::ExternalSecret => None,
        };
        let main = main.or_else(|| find_condition(&conditions, ConditionType::Ready));
        let holds = main.map(|main| main.status);
        let observed_generation = observed_generation(data, holds);
        let is_stale = matches!((observed_generation, metadata.generation), (Some(seen), Some(now)) if seen != now);
        let is_going = metadata.deletion_timestamp.is_some();
        let state = match holds {
            _ if is_going => State::Waiting,
            None => State::Waiting,
            Some(_) if is_stale => State::Stale,
            Some(ConditionStatus::True) => State::Synced,
            Some(ConditionStatus::False) => State::Failed,
            Some(ConditionStatus::Unknown) => State::Unknown,
        };
        let stalled = find_condition(&conditions, ConditionType::Stalled).map(|stalled| stalled.status);
        let name = metadata.name.clone().unwrap_or_default();
        let reason = if is_going { Some("Deleting".to_owned()) } else { main.and_then(|main| main.reason.clone()) };
        let change = |condition: &Condition| {
            let times = [&condition.last_update_time, &condition.last_transition_time];
            times.into_iter().flatten().map(|time| time.0).max()
        };
        Self {
            kind,
            namespace: metadata.namespace.clone().unwrap_or_default(),
            secret: secret(kind, data, &name),
            name,
            state,
            reason,
            message: main.and_then(|main| main.message.clone()).filter(|message| !message.is_empty()),
            stalled: state == State::Failed && stalled == Some(ConditionStatus::True),
            keys: keys(data),
            store: store(data),
            generation: metadata.generation,
            observed_generation,
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            last_change: conditions.iter().filter_map(change).max(),
        }
    }

    /// `SealedSecret prod/db`.
    pub(crate) fn full_name(&self) -> String {
        format!("{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }

    /// Reason and message in one line, as far as there are any.
    pub(crate) fn why(&self) -> String {
        let nothing = match self.state {
            State::Waiting => "the controller has not looked at it yet",
            State::Stale => "the controller has not looked at its newest version yet",
            State::Synced | State::Failed | State::Unknown => "the controller gives no reason",
        };
        match (self.state, &self.reason, &self.message) {
            // What is said is about an older version.
            (State::Stale, _, _) | (_, None, None) => nothing.to_owned(),
            (_, Some(reason), Some(message)) => format!("{reason}: {message}"),
            (_, Some(one), None) | (_, None, Some(one)) => one.clone(),
        }
    }
}

/// The conditions that can be read.
pub(crate) fn conditions(data: &Value) -> Vec<Condition> {
    let list = data.pointer("/status/conditions").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect()
}

/// The generation that the status is about. The External Secrets Operator says it only of what went well, in a field
/// of its own.
fn observed_generation(data: &Value, holds: Option<ConditionStatus>) -> Option<i64> {
    if let Some(generation) = data.pointer("/status/observedGeneration").and_then(Value::as_i64) {
        return Some(generation);
    }
    let synced = data.pointer("/status/syncedResourceVersion").and_then(Value::as_str)?;
    let (generation, _) = synced.split_once('-')?;
    generation.parse().ok().filter(|_| holds == Some(ConditionStatus::True))
}

fn keys(data: &Value) -> Vec<KeyUse> {
    let counted = data.pointer("/status/keyValues").and_then(Value::as_object).filter(|counted| !counted.is_empty());
    if let Some(counted) = counted {
        return counted.iter().map(|(id, values)| KeyUse { id: id.clone(), values: values.as_u64() }).collect();
    }
    let ids = data.pointer("/status/keyIds").and_then(Value::as_array).into_iter().flatten();
    ids.filter_map(Value::as_str).map(|id| KeyUse { id: id.to_owned(), values: None }).collect()
}

/// The store that is named, or the first of those that single items name.
fn store(data: &Value) -> Option<StoreName> {
    let spec = data.get("spec")?;
    let usual = spec.get("secretStoreRef");
    let items = ["data", "dataFrom"].into_iter().filter_map(|field| spec.get(field)?.as_array()).flatten();
    let single = items.filter_map(|item| item.pointer("/sourceRef/storeRef"));
    let read = |reference: &Value| {
        let name = reference.get("name")?.as_str().filter(|name| !name.is_empty())?;
        let kind = reference.get("kind").and_then(Value::as_str).filter(|kind| !kind.is_empty());
        Some(StoreName { kind: kind.unwrap_or("SecretStore").to_owned(), name: name.to_owned(), provider: None })
    };
    usual.into_iter().chain(single).find_map(read)
}

/// The Secret that an object makes.
fn secret(kind: SyncedKind, data: &Value, name: &str) -> Option<String> {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    match kind {
        SyncedKind::SealedSecret => Some(name.to_owned()),
        SyncedKind::ExternalSecret => {
            let makes_none = text("/spec/target/creationPolicy") == Some("None");
            let makes_another_kind = data.pointer("/spec/target/manifest").is_some_and(Value::is_object);
            let target = text("/status/binding/name").or_else(|| text("/spec/target/name")).unwrap_or(name);
            (!makes_none && !makes_another_kind).then(|| target.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn observe(kind: SyncedKind, object: Value) -> Observed {
        Observed::of(kind, &serde_json::from_value(object).unwrap())
    }

    fn sealed(generation: i64, status: Value) -> Observed {
        let metadata = json!({"name": "db", "namespace": "prod", "generation": generation});
        observe(SyncedKind::SealedSecret, json!({"metadata": metadata, "spec": {}, "status": status}))
    }

    #[test]
    fn a_state_is_about_the_newest_version() {
        let status = |holds: &str| {
            json!({"observedGeneration": 2, "conditions": [
                {"type": "Synced", "status": holds, "reason": "R", "message": "m"},
                {"type": "Stalled", "status": "True"},
            ]})
        };
        for (generation, holds, state, stalled) in [
            (2, "True", State::Synced, false),
            (2, "False", State::Failed, true),
            (2, "Perhaps", State::Unknown, false),
            (3, "True", State::Stale, false),
            (3, "False", State::Stale, false),
        ] {
            let seen = sealed(generation, status(holds));
            assert_eq!((seen.state, seen.stalled), (state, stalled), "{generation} {holds}");
        }
        assert_eq!(sealed(1, Value::Null).state, State::Waiting);
        assert_eq!(sealed(1, json!({"conditions": "odd", "keyIds": 7})).state, State::Waiting);
    }

    #[test]
    fn counts_come_from_the_status_that_has_them() {
        let counted = sealed(1, json!({"keyValues": {"aa": 3}, "keyIds": ["aa"]}));
        assert_eq!(counted.keys, [KeyUse { id: "aa".to_owned(), values: Some(3) }]);
        let older = sealed(1, json!({"keyIds": ["aa", "bb"]}));
        assert_eq!(older.keys.iter().map(|key| key.values).collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn an_external_secret_of_the_other_operator_is_stale_by_its_own_field() {
        let object = |generation: i64| {
            json!({
                "metadata": {"name": "api", "namespace": "prod", "generation": generation},
                "spec": {"target": {"name": "t"}, "data": [{"sourceRef": {"storeRef": {"name": "s"}}}]},
                "status": {"syncedResourceVersion": "4-abc", "conditions": [{"type": "Ready", "status": "True"}]},
            })
        };
        let seen = observe(SyncedKind::ExternalSecret, object(4));
        assert_eq!((seen.state, seen.secret.as_deref()), (State::Synced, Some("t")));
        assert_eq!(seen.store.map(|store| store.name).as_deref(), Some("s"));
        assert_eq!(observe(SyncedKind::ExternalSecret, object(5)).state, State::Stale);
    }
}
