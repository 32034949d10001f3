//! Status conditions: the types we set, and how to set one in a list.
//!
//! `Synced` is what Argo CD and upstream's printer columns read, and they read it at index 0: it stays first.
//! `Ready`, `Reconciling` and `Stalled` are what Flux and kstatus read.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The condition types that Bulla sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The Secret holds what was sealed. Upstream's only condition; kept first in the list.
    Synced,
    /// The same for Flux and kstatus.
    Ready,
    /// Work is under way, or a failure that may pass will be retried.
    Reconciling,
    /// Nothing will change until somebody edits the object or adds a key.
    Stalled,
}

impl ConditionType {
    /// The word in `conditions[].type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows yet; also what any other word is read as.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ConditionStatus {
    /// The word in `conditions[].status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of `status.conditions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is stated, such as `Synced`. A string, since other controllers may have put theirs here.
    pub r#type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation of the object that the statement is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When anything in this entry last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// One CamelCase word for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people; never secret bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Condition {
    /// A statement made at `now`. Empty `reason` and `message` are left out of the object.
    pub fn new(
        r#type: ConditionType,
        status: impl Into<ConditionStatus>,
        reason: impl Into<String>,
        message: impl Into<String>,
        generation: Option<i64>,
        now: Timestamp,
    ) -> Self {
        let not_empty = |text: String| (!text.is_empty()).then_some(text);
        Self {
            r#type: r#type.as_str().to_owned(),
            status: status.into(),
            observed_generation: generation,
            last_update_time: Some(Time(now)),
            last_transition_time: Some(Time(now)),
            reason: not_empty(reason.into()),
            message: not_empty(message.into()),
        }
    }

    /// Is this the condition of that type?
    pub fn is_type(&self, r#type: ConditionType) -> bool {
        self.r#type == r#type.as_str()
    }

    /// Does it say the same, times aside?
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.r#type == other.r#type
            && self.status == other.status
            && self.observed_generation == other.observed_generation
            && self.reason == other.reason
            && self.message == other.message
    }
}

/// The condition of that type, if the list has one.
pub fn find_condition(conditions: &[Condition], r#type: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.is_type(r#type))
}

/// Puts `new` into the list, in place of the one of the same type, and says whether anything but times changed.
///
/// An entry that says the same stays as it is, times included, so that a status without news is a status without a
/// write. `lastTransitionTime` moves only when `status` does. `Synced` goes to index 0; other new types to the end.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition) -> bool {
    let is_synced = new.is_type(ConditionType::Synced);
    let Some(at) = conditions.iter().position(|old| old.r#type == new.r#type) else {
        let at = if is_synced { 0 } else { conditions.len() };
        conditions.insert(at, new);
        return true;
    };
    if is_synced && at != 0 {
        let moved = conditions.remove(at);
        conditions.insert(0, moved);
        set_condition(conditions, new);
        return true;
    }
    let old = &mut conditions[at];
    if old.says_the_same_as(&new) {
        return false;
    }
    if old.status == new.status && old.last_transition_time.is_some() {
        new.last_transition_time = old.last_transition_time.take();
    }
    *old = new;
    true
}

/// Takes the condition of that type out of the list and says whether there was one.
pub fn remove_condition(conditions: &mut Vec<Condition>, r#type: ConditionType) -> bool {
    let before = conditions.len();
    conditions.retain(|condition| !condition.is_type(r#type));
    conditions.len() != before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn synced(holds: bool, message: &str, second: i64) -> Condition {
        Condition::new(ConditionType::Synced, holds, "R", message, Some(1), at(second))
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let mut list = vec![];
        assert!(set_condition(&mut list, synced(false, "a", 10)));
        assert!(set_condition(&mut list, synced(false, "b", 20)));
        assert_eq!(list[0].last_transition_time, Some(Time(at(10))));
        assert_eq!(list[0].last_update_time, Some(Time(at(20))));
        assert!(set_condition(&mut list, synced(true, "", 30)));
        assert_eq!(list[0].last_transition_time, Some(Time(at(30))));
        assert_eq!(list[0].message, None);
    }

    #[test]
    fn saying_the_same_again_changes_nothing() {
        let mut list = vec![synced(true, "", 10)];
        let before = list.clone();
        assert!(!set_condition(&mut list, synced(true, "", 99)));
        assert_eq!(list, before);
    }

    #[test]
    fn synced_is_first_whatever_came_before() {
        let ready = Condition::new(ConditionType::Ready, true, "R", "", None, at(1));
        let mut list = vec![ready.clone()];
        set_condition(&mut list, synced(true, "", 2));
        assert!(list[0].is_type(ConditionType::Synced));

        let mut list = vec![ready, synced(true, "", 2)];
        assert!(set_condition(&mut list, synced(true, "", 3)), "the order is news");
        assert!(list[0].is_type(ConditionType::Synced));
        assert_eq!(list.len(), 2);
        assert!(remove_condition(&mut list, ConditionType::Ready));
        assert!(!remove_condition(&mut list, ConditionType::Ready));
        assert!(find_condition(&list, ConditionType::Synced).is_some());
    }

    #[test]
    fn serializes_in_upstreams_field_names_without_empty_fields() {
        let text = serde_json::to_string(&synced(true, "", 0)).unwrap();
        assert_eq!(
            text,
            r#"{"type":"Synced","status":"True","observedGeneration":1,"lastUpdateTime":"1970-01-01T00:00:00Z","lastTransitionTime":"1970-01-01T00:00:00Z","reason":"R"}"#
        );
    }
}
