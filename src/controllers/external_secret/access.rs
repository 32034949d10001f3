//! Who may use a ClusterSecretStore: from the API's words to those of the rule.

use std::collections::BTreeMap;

use bulla_crds::secret_store::StoreCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::sync::external::access::{self, AccessError, Condition, Operator, Requirement, Selector};

/// Whether `conditions` of the cluster store `store` admit a namespace with these labels.
pub(super) fn admit(
    store: &str,
    conditions: &[StoreCondition],
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), AccessError> {
    let conditions: Vec<_> = conditions.iter().map(condition).collect();
    access::admit(store, &conditions, namespace, labels)
}

fn condition(condition: &StoreCondition) -> Condition {
    Condition {
        selector: condition.namespace_selector.as_ref().map(selector),
        namespaces: condition.namespaces.clone(),
        regexes: condition.namespace_regexes.clone(),
    }
}

/// A label selector in the words of the rule.
pub(in crate::controllers) fn selector(selector: &LabelSelector) -> Selector {
    let requirements = selector.match_expressions.iter().flatten().map(|expression| Requirement {
        key: expression.key.clone(),
        operator: match expression.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => Operator::Other(other.to_owned()),
        },
        values: expression.values.clone().unwrap_or_default(),
    });
    Selector { labels: selector.match_labels.clone().unwrap_or_default(), requirements: requirements.collect() }
}
