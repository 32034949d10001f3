//! What a ClusterExternalSecret asks for.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use bulla_crds::names::external_secrets::FORCE_SYNC;
use bulla_crds::{ClusterExternalSecret, ExternalSecretSpec, cluster_external_secret};

use super::places::Selection;
use crate::sync::external::duration;

/// How often it is looked again where `refreshTime` does not say.
const REFRESH: Duration = Duration::from_secs(3600);
/// The shortest interval that is kept to.
const SHORTEST: Duration = Duration::from_secs(5);

/// What a ClusterExternalSecret asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The ExternalSecrets' name.
    pub(super) name: String,
    /// Their spec.
    pub(super) spec: ExternalSecretSpec,
    /// The spec in short.
    pub(super) digest: u64,
    /// Their labels.
    pub(super) labels: BTreeMap<String, String>,
    /// Their annotations, with the wish for a sync now.
    pub(super) annotations: BTreeMap<String, String>,
    /// Where they are wanted.
    pub(super) selection: Selection,
    /// How often it is looked again; `None` is never.
    pub(super) refresh: Option<Duration>,
}

impl Wanted {
    /// Reads an object; an error says why it cannot work.
    pub(super) fn read(object: &ClusterExternalSecret) -> Result<Self, String> {
        let spec = object.spec.as_ref().map_err(ToString::to_string)?;
        let broken: Vec<_> = cluster_external_secret::validate(spec).iter().map(ToString::to_string).collect();
        if !broken.is_empty() {
            return Err(broken.join("; "));
        }
        let selection = Selection::read(spec)?;
        let name = spec.external_secret_name.as_ref().filter(|name| !name.is_empty()).or(object.metadata.name.as_ref());
        let metadata = spec.external_secret_metadata.clone().unwrap_or_default();
        let mut annotations = metadata.annotations;
        let force = object.metadata.annotations.as_ref().and_then(|all| all.get(FORCE_SYNC));
        annotations.extend(force.map(|value| (FORCE_SYNC.to_owned(), value.clone())));
        let refresh = match spec.refresh_time.as_deref().map(duration::interval) {
            None => Some(REFRESH),
            // Zero is never, as with ExternalSecrets.
            Some(Ok(interval)) => (!interval.is_zero()).then(|| interval.max(SHORTEST)),
            Some(Err(error)) => return Err(format!("spec.refreshTime: {error}")),
        };
        Ok(Self {
            name: name.cloned().unwrap_or_default(),
            digest: digest(&spec.external_secret_spec),
            spec: spec.external_secret_spec.clone(),
            labels: metadata.labels,
            annotations,
            selection,
            refresh,
        })
    }
}

/// A spec in short: equal for specs that mean the same, whatever the order and form of their fields.
pub(super) fn digest(spec: &ExternalSecretSpec) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    // It came from JSON, so it goes there again.
    KEYS.hash_one(serde_json::to_vec(spec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: Value) -> Result<Wanted, String> {
        let metadata = json!({"name": "ces", "annotations": {FORCE_SYNC: "now", "other": "x"}});
        Wanted::read(&serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn inner() -> Value {
        json!({"secretStoreRef": {"name": "s"}, "dataFrom": [{"extract": {"key": "k"}}]})
    }

    #[test]
    fn defaults_are_those_of_external_secrets() {
        let wanted = read(json!({"externalSecretSpec": inner()})).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.refresh), ("ces", Some(REFRESH)));
        assert_eq!(wanted.annotations, [(FORCE_SYNC.to_owned(), "now".to_owned())].into());
        let metadata = json!({"annotations": {"a": "1"}, "labels": {"b": "2"}});
        let spec = json!({
            "externalSecretSpec": inner(), "externalSecretName": "db", "externalSecretMetadata": metadata,
            "refreshTime": "0s",
        });
        let wanted = read(spec).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.refresh), ("db", None));
        assert_eq!((wanted.annotations.len(), wanted.labels["b"].as_str()), (2, "2"));
        let wanted = read(json!({"externalSecretSpec": inner(), "refreshTime": "1ms"})).unwrap();
        assert_eq!(wanted.refresh, Some(SHORTEST));
    }

    #[test]
    fn what_cannot_work_says_where() {
        for (spec, expected) in [
            (json!({}), "spec lacks externalSecretSpec"),
            (json!({"externalSecretSpec": {"secretStoreRef": {"name": "s"}}}), "spec.externalSecretSpec"),
            (json!({"externalSecretSpec": inner(), "refreshTime": "often"}), "spec.refreshTime"),
        ] {
            let problem = read(spec).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn specs_that_mean_the_same_have_one_digest() {
        let of = |text: &str| digest(&serde_json::from_str(text).unwrap());
        let one = of(r#"{"secretStoreRef":{"name":"s","kind":"SecretStore"},"data":[]}"#);
        assert_eq!(one, of(r#"{"secretStoreRef":{"kind":"SecretStore","name":"s"}}"#));
        assert_ne!(one, of(r#"{"secretStoreRef":{"kind":"SecretStore","name":"t"}}"#));
    }
}
