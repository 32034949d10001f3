//! Whether the conditions of a ClusterSecretStore admit a namespace.

use std::collections::BTreeMap;

use bulla_crds::secret_store::StoreCondition;

use super::{StoreError, StoreId};
use crate::resource::secret_store as resource;
use crate::sync::external::access::AccessError;
use crate::sync::schedule::Class;

/// Whether one of `conditions` admits the namespace. `labels` are `None` where it is not known yet: it then counts for
/// no selector, as one that asks for the absence of a label would otherwise let in whoever is not known.
///
/// # Errors
/// [`StoreError::Denied`], [`StoreError::Invalid`]; [`StoreError::NotReady`] where the labels may still change that.
pub fn admit(
    id: &StoreId,
    conditions: &[StoreCondition],
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<(), StoreError> {
    let refused = |error: AccessError| match error {
        AccessError::Denied { .. } => StoreError::Denied(error.to_string()),
        AccessError::Invalid { .. } | AccessError::ForeignNamespace { .. } => StoreError::Invalid(error.to_string()),
    };
    if let Some(labels) = labels {
        return resource::admit(&id.name, conditions, namespace, labels).map_err(refused);
    }
    let mut by_name = conditions.to_vec();
    by_name.iter_mut().for_each(|condition| condition.namespace_selector = None);
    resource::admit(&id.name, &by_name, namespace, &BTreeMap::new()).map_err(|error| {
        if has_selector(conditions) {
            let problem = format!("the namespace {namespace:?} is not known yet");
            StoreError::NotReady { store: id.to_string(), problem, class: Class::Blocked }
        } else {
            refused(error)
        }
    })
}

/// Whether labels of a namespace make a difference.
#[must_use]
pub fn has_selector(conditions: &[StoreCondition]) -> bool {
    conditions.iter().any(|condition| condition.namespace_selector.is_some())
}

#[cfg(test)]
mod tests {
    use bulla_crds::external_secret::StoreKind;
    use serde_json::json;

    use super::*;

    fn ask(conditions: serde_json::Value, labels: Option<&BTreeMap<String, String>>) -> Result<(), StoreError> {
        let conditions: Vec<StoreCondition> = serde_json::from_value(conditions).unwrap();
        admit(&StoreId::new(StoreKind::ClusterSecretStore, "", "wide"), &conditions, "app", labels)
    }

    #[test]
    fn who_is_not_known_is_not_admitted_by_a_label_that_is_absent() {
        let absent = json!({"matchExpressions": [{"key": "untrusted", "operator": "DoesNotExist"}]});
        let other = json!({"matchExpressions": [{"key": "untrusted", "operator": "NotIn", "values": ["yes"]}]});
        let none = BTreeMap::new();
        for selector in [absent.clone(), other, json!({})] {
            let conditions = json!([{"namespaceSelector": selector}]);
            assert_eq!(ask(conditions.clone(), Some(&none)), Ok(()));
            let error = ask(conditions, None).unwrap_err();
            assert_eq!(error.class(), Class::Blocked, "it is asked again soon");
            assert!(!error.is_stalled() && error.to_string().contains("\"app\" is not known yet"), "{error}");
        }
        let marked = BTreeMap::from([("untrusted".to_owned(), "yes".to_owned())]);
        let conditions = json!([{"namespaceSelector": absent}]);
        assert!(matches!(ask(conditions, Some(&marked)), Err(StoreError::Denied(_))));
    }

    #[test]
    fn names_admit_who_is_not_known() {
        let selector = json!({"matchLabels": {"a": "b"}});
        assert_eq!(ask(json!([{"namespaceSelector": selector}, {"namespaces": ["app"]}]), None), Ok(()));
        assert_eq!(ask(json!([{"namespaceSelector": selector, "namespaceRegexes": ["^a"]}]), None), Ok(()));
        assert!(matches!(ask(json!([{"namespaces": ["other"]}]), None), Err(StoreError::Denied(_))));
        assert_eq!(ask(json!([]), None), Ok(()));
    }
}
