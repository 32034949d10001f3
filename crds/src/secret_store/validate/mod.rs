//! The rules that a store must keep beyond its schema, and those of its schema that a file may break.
//!
//! The sentences of External Secrets are kept where it has one.

mod aws;
mod kubernetes;
mod ours;
mod vault;

use regex::Regex;

use super::{
    CaProvider, FakeProvider, RefreshInterval, SecretKeySelector, SecretStoreSpec, ServiceAccountSelector,
    StoreCondition, StoreProvider,
};
use crate::validation::{Violation, is_duration};

/// Every rule that the spec breaks. `namespace` is that of a store that is not cluster-scoped; where it is not known,
/// what depends on it is not checked. A provider that we do not serve breaks no rule.
pub fn validate(spec: &SecretStoreSpec, cluster_scoped: bool, namespace: Option<&str>) -> Vec<Violation> {
    let mut rules = Rules { cluster_scoped, namespace, broken: Vec::new() };
    rules.intervals(spec);
    for (index, condition) in spec.conditions.iter().enumerate() {
        rules.condition(index, condition);
    }
    if let Some(limit) = &spec.rate_limit {
        rules.rate_limit(limit);
    }
    rules.provider(&spec.provider);
    rules.broken
}

/// What is known of the store, and the rules that it breaks so far.
struct Rules<'a> {
    cluster_scoped: bool,
    namespace: Option<&'a str>,
    broken: Vec<Violation>,
}

impl Rules<'_> {
    fn refuse(&mut self, path: impl Into<String>, sentence: impl Into<String>) {
        self.broken.push(Violation::new(path, sentence));
    }

    fn intervals(&mut self, spec: &SecretStoreSpec) {
        let good = match &spec.refresh_interval {
            None => true,
            Some(RefreshInterval::Seconds(seconds)) => *seconds >= 0,
            Some(RefreshInterval::Duration(text)) => is_duration(text) && !text.starts_with('-'),
        };
        if !good {
            let sentence =
                "invalid refreshInterval: must be a number of seconds or a duration such as 5m, and not negative";
            self.refuse("spec.refreshInterval", sentence);
        }
        let interval = spec.retry_settings.as_ref().and_then(|settings| settings.retry_interval.as_ref());
        if interval.is_some_and(|text| !is_duration(text) || text.starts_with('-')) {
            self.refuse("spec.retrySettings.retryInterval", "must be a duration such as 5s, and not negative");
        }
    }

    fn condition(&mut self, index: usize, condition: &StoreCondition) {
        for (at, regex) in condition.namespace_regexes.iter().enumerate() {
            if Regex::new(regex).is_err() {
                let sentence = format!("failed to compile {at}th namespace regex in {index}th condition");
                self.refuse(format!("spec.conditions[{index}].namespaceRegexes[{at}]"), sentence);
            }
        }
    }

    fn provider(&mut self, provider: &StoreProvider) {
        const ROOT: &str = "spec.provider";
        match provider {
            StoreProvider::Aws(settings) => self.aws(settings),
            StoreProvider::Vault(settings) | StoreProvider::OpenBao(settings) => {
                self.vault(&format!("{ROOT}.{}", provider.key()), settings);
            }
            StoreProvider::Kubernetes(settings) => self.kubernetes(settings),
            StoreProvider::Fake(settings) => self.fake(settings),
            StoreProvider::File(settings) => self.file(settings),
            StoreProvider::Other(_) => {}
            StoreProvider::Several(keys) => {
                self.refuse(ROOT, format!("only one provider may be set, but there are {}", keys.join(", ")));
            }
            StoreProvider::Missing => self.refuse(ROOT, "a provider must be set"),
        }
    }

    fn fake(&mut self, settings: &FakeProvider) {
        for (index, item) in settings.data.iter().enumerate() {
            let path = format!("spec.provider.fake.data[{index}]");
            if item.key.is_empty() {
                self.refuse(format!("{path}.key"), "must not be empty");
            }
            let has_value = item.value.as_ref().is_some_and(|value| !value.reveal().is_empty());
            if !has_value && item.value_map.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
                self.refuse(format!("{path}.value"), "must not be empty");
            }
        }
    }

    /// A selector's namespace is free in a ClusterSecretStore. In a SecretStore it must not reach into another one.
    fn selected_namespace(&mut self, path: &str, selected: Option<&str>) {
        let own = self.namespace.filter(|_| !self.cluster_scoped);
        if let (Some(selected), Some(own)) = (selected, own)
            && selected != own
        {
            let sentence = "namespace should either be empty or match the namespace of the SecretStore \
                            for a namespaced SecretStore";
            self.refuse(format!("{path}.namespace"), sentence);
        }
    }

    fn secret_key(&mut self, path: &str, selector: Option<&SecretKeySelector>) {
        if let Some(selector) = selector {
            self.selected_namespace(path, selector.namespace.as_deref());
        }
    }

    fn service_account(&mut self, path: &str, selector: Option<&ServiceAccountSelector>) {
        if let Some(selector) = selector {
            self.selected_namespace(path, selector.namespace.as_deref());
        }
    }

    /// A selector that names a Secret and a key.
    fn full_secret_key(&mut self, path: &str, what: &str, selector: Option<&SecretKeySelector>) {
        if selector.is_none_or(|selector| selector.name.is_empty()) {
            self.refuse(format!("{path}.name"), format!("{what}.Name cannot be empty"));
        }
        if selector.and_then(|selector| selector.key.as_deref()).unwrap_or_default().is_empty() {
            self.refuse(format!("{path}.key"), format!("{what}.Key cannot be empty"));
        }
        self.secret_key(path, selector);
    }

    fn ca_provider(&mut self, path: &str, provider: Option<&CaProvider>) {
        let Some(provider) = provider else { return };
        let has_namespace = provider.namespace.as_ref().is_some_and(|namespace| !namespace.is_empty());
        if self.cluster_scoped && !has_namespace {
            let sentence = "CAProvider.namespace must not be empty with ClusterSecretStore";
            self.refuse(format!("{path}.namespace"), sentence);
        }
        if !self.cluster_scoped && has_namespace {
            self.refuse(format!("{path}.namespace"), "CAProvider.namespace must be empty with SecretStore");
        }
    }
}
