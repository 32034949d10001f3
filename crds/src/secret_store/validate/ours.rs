//! The rules for what External Secrets does not have.

use super::Rules;
use crate::secret_store::{FileProvider, FileRef, RateLimit};

impl Rules<'_> {
    pub(super) fn rate_limit(&mut self, limit: &RateLimit) {
        if limit.calls_per_second.is_some_and(|calls| !calls.is_finite() || calls <= 0.0) {
            self.refuse("spec.rateLimit.callsPerSecond", "must be above zero");
        }
        if limit.burst == Some(0) {
            self.refuse("spec.rateLimit.burst", "must be at least one");
        }
    }

    pub(super) fn file(&mut self, settings: &FileProvider) {
        const ROOT: &str = "spec.provider.file";
        let FileProvider { path, config_map_ref, secret_ref, identity_secret_ref } = settings;
        let places = [path.is_some(), config_map_ref.is_some(), secret_ref.is_some()];
        if places.into_iter().filter(|set| *set).count() != 1 {
            self.refuse(ROOT, "exactly one of path, configMapRef and secretRef must be set");
        }
        if path.as_ref().is_some_and(String::is_empty) {
            self.refuse(format!("{ROOT}.path"), "must not be empty");
        }
        // Of a cluster's objects only a cluster's object can hold the identity; a host finds a path's by itself.
        if path.is_none() && identity_secret_ref.is_none() {
            self.refuse(format!("{ROOT}.identitySecretRef"), "must be set");
        }
        for (field, reference) in [("configMapRef", config_map_ref), ("secretRef", secret_ref)] {
            let namespace = reference.as_ref().and_then(|FileRef { namespace, .. }| namespace.as_deref());
            self.selected_namespace(&format!("{ROOT}.{field}"), namespace);
        }
        self.secret_key(&format!("{ROOT}.identitySecretRef"), identity_secret_ref.as_ref());
    }
}
