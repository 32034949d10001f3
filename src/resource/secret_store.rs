//! What a SecretStore or ClusterSecretStore says: from the API's words to those of `sync` and `providers`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use bulla_crds::secret_store::{FakeProvider, StoreCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::providers::fake;
use crate::secret::Plaintext;
use crate::sync::external::access::{self, AccessError, Condition, Operator, Requirement, Selector};

/// Whether `conditions` of the cluster store `store` admit a namespace with these labels.
///
/// # Errors
/// If they do not, or cannot be understood.
pub fn admit(
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
#[must_use]
pub fn selector(selector: &LabelSelector) -> Selector {
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

/// What a store that holds its values itself is made from.
#[must_use]
pub fn fake_settings(settings: &FakeProvider) -> fake::Settings {
    let fails_validation = settings.validation_result.is_some_and(|result| !matches!(result, 0 | 1));
    let mut data = Vec::new();
    for entry in &settings.data {
        let value = match (&entry.value, &entry.value_map) {
            (Some(value), _) => value.reveal().to_owned(),
            // Only v1beta1 had it: a map that is read as one JSON object.
            (None, Some(map)) => {
                let map: serde_json::Map<_, _> =
                    map.iter().map(|(key, value)| (key.clone(), value.reveal().into())).collect();
                serde_json::Value::Object(map).to_string()
            }
            (None, None) => String::new(),
        };
        let (key, version) = (entry.key.clone(), entry.version.clone());
        data.push(fake::Entry { key, version, value: Plaintext::from(value) });
    }
    fake::Settings { data, fails_validation }
}

/// Where the file of a `file` store is: a path on the disk of whoever reads it is for those who rule the cluster, and
/// stays inside `folder`, which that reader's arguments name.
///
/// # Errors
/// In words for the author of the store, with the field.
pub fn file_path(is_cluster_store: bool, folder: Option<&Path>, path: &str) -> Result<PathBuf, String> {
    let refuse = |why: &str| Err(format!("spec.provider.file.path: {why}"));
    if !is_cluster_store {
        return refuse("only a ClusterSecretStore may name a file by its path; use configMapRef");
    }
    let Some(folder) = folder else {
        return refuse("the controller was started without --file-store-root");
    };
    let path = Path::new(path);
    if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return refuse("it must be relative, without \"..\"");
    }
    Ok(folder.join(path))
}
