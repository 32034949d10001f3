//! Namespaces, and which of them are selected.

use std::collections::{BTreeMap, BTreeSet};

use bulla_crds::ClusterExternalSecretSpec;
use bulla_crds::names::external_secrets::NAMESPACE_FINALIZER_PREFIX;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::resource::secret_store::selector;
use crate::sync::external::access::Selector;

/// A namespace, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    labels: BTreeMap<String, String>,
    /// Whether it is being deleted.
    leaving: bool,
    /// All finalizers, if one of them is of ClusterExternalSecrets; else none.
    finalizers: Vec<String>,
    /// Its version, where there are finalizers to take off.
    version: String,
}

impl Place {
    /// What there is to know of a namespace.
    pub(super) fn read(metadata: ObjectMeta) -> Self {
        let finalizers = metadata.finalizers.unwrap_or_default();
        let matters = finalizers.iter().any(|name| name.starts_with(NAMESPACE_FINALIZER_PREFIX));
        Self {
            labels: metadata.labels.unwrap_or_default(),
            leaving: metadata.deletion_timestamp.is_some(),
            finalizers: if matters { finalizers } else { Vec::new() },
            version: if matters { metadata.resource_version.unwrap_or_default() } else { String::new() },
        }
    }

    /// The ClusterExternalSecrets that External Secrets made this namespace wait for.
    pub(super) fn waits_for(&self) -> impl Iterator<Item = &str> {
        self.finalizers.iter().filter_map(|name| name.strip_prefix(NAMESPACE_FINALIZER_PREFIX))
    }

    /// The finalizers without that of a ClusterExternalSecret, and the version that has them; `None` if it has none.
    pub(super) fn without_finalizer_of(&self, name: &str) -> Option<(Vec<String>, String)> {
        let is_it = |finalizer: &String| finalizer.strip_prefix(NAMESPACE_FINALIZER_PREFIX) == Some(name);
        let has_it = self.finalizers.iter().any(is_it);
        has_it.then(|| (self.finalizers.iter().filter(|name| !is_it(name)).cloned().collect(), self.version.clone()))
    }
}

/// Which namespaces are meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Selection {
    /// One of them must match.
    selectors: Vec<Selector>,
    /// Or the name must be one of these.
    names: BTreeSet<String>,
}

impl Selection {
    /// Reads the selectors of a spec; an error says which one means nothing and why.
    pub(super) fn read(spec: &ClusterExternalSecretSpec) -> Result<Self, String> {
        let list = spec.namespace_selectors.iter().enumerate();
        let list = list.map(|(index, selector)| (format!("spec.namespaceSelectors[{index}]"), selector));
        let single = spec.namespace_selector.iter().map(|selector| ("spec.namespaceSelector".to_owned(), selector));
        let mut selectors = Vec::new();
        for (path, labels) in single.chain(list) {
            let selector = selector(labels);
            // What is wrong with a selector is wrong whatever the labels.
            selector.matches(&BTreeMap::new()).map_err(|problem| format!("{path}: {problem}"))?;
            selectors.push(selector);
        }
        Ok(Self { selectors, names: spec.namespaces.iter().cloned().collect() })
    }

    /// Whether this namespace is meant. One that is being deleted is not.
    pub(super) fn takes(&self, name: &str, place: &Place) -> bool {
        let matches = |selector: &Selector| selector.matches(&place.labels) == Ok(true);
        !place.leaving && (self.names.contains(name) || self.selectors.iter().any(matches))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn place(metadata: Value) -> Place {
        Place::read(serde_json::from_value(metadata).unwrap())
    }

    fn selection(mut spec: Value) -> Result<Selection, String> {
        spec["externalSecretSpec"] = json!({});
        Selection::read(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn selectors_and_names_add_up_and_nothing_selects_nothing() {
        let a = place(json!({"labels": {"team": "a"}}));
        let b = place(json!({"labels": {"team": "b", "tier": "prod"}}));
        let bare = place(json!({}));
        let table = [
            (json!({}), [false, false, false]),
            (json!({"namespaceSelectors": [{}]}), [true, true, true]),
            (json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}), [true, false, false]),
            (
                json!({"namespaceSelectors": [{"matchLabels": {"team": "a"}}, {"matchLabels": {"tier": "prod"}}]}),
                [true, true, false],
            ),
            (json!({"namespaceSelectors": [{"matchLabels": {"team": "b", "tier": "dev"}}]}), [false, false, false]),
            (json!({"namespaces": ["bare", "nowhere"]}), [false, false, true]),
            (
                json!({
                    "namespaces": ["bare"],
                    "namespaceSelector": {"matchLabels": {"team": "a"}},
                    "namespaceSelectors": [{"matchExpressions": [{"key": "tier", "operator": "Exists"}]}],
                }),
                [true, true, true],
            ),
        ];
        for (spec, expected) in table {
            let selection = selection(spec.clone()).unwrap();
            let found = [("a", &a), ("b", &b), ("bare", &bare)].map(|(name, place)| selection.takes(name, place));
            assert_eq!(found, expected, "{spec}");
        }
    }

    #[test]
    fn a_namespace_that_is_being_deleted_does_not_count() {
        let leaving = place(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let all = selection(json!({"namespaces": ["x"], "namespaceSelectors": [{}]})).unwrap();
        assert!(!all.takes("x", &leaving));
    }

    #[test]
    fn a_selector_without_a_meaning_is_named() {
        let bad = json!({"matchExpressions": [{"key": "k", "operator": "In"}]});
        let problem = selection(json!({"namespaceSelectors": [{}, bad]})).unwrap_err();
        assert_eq!(problem, "spec.namespaceSelectors[1]: the requirement on label \"k\" lists no values");
        let problem = selection(json!({"namespaceSelector": bad})).unwrap_err();
        assert!(problem.starts_with("spec.namespaceSelector: "), "{problem}");
    }

    #[test]
    fn only_the_finalizer_of_one_is_taken_off() {
        let prefix = NAMESPACE_FINALIZER_PREFIX;
        let place = place(json!({
            "finalizers": ["theirs", format!("{prefix}a"), format!("{prefix}ab")], "resourceVersion": "7",
        }));
        assert_eq!(place.waits_for().collect::<Vec<_>>(), ["a", "ab"]);
        let rest = vec!["theirs".to_owned(), format!("{prefix}ab")];
        assert_eq!(place.without_finalizer_of("a"), Some((rest, "7".to_owned())));
        assert_eq!(place.without_finalizer_of("b"), None);
    }
}
