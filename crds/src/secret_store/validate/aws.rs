//! The rules for `provider.aws`.

use super::Rules;
use crate::secret_store::{AwsProvider, SecretsManager};

const ROOT: &str = "spec.provider.aws";
/// Days that Secrets Manager may wait before it deletes a secret.
const RECOVERY_DAYS: std::ops::RangeInclusive<i64> = 7..=30;
/// Session tags that `sessionTagsPolicy` sets.
const OWN_TAGS: [&str; 3] = ["esoNamespace", "esoStoreName", "esoStoreKind"];

impl Rules<'_> {
    pub(super) fn aws(&mut self, settings: &AwsProvider) {
        if settings.region.is_empty() {
            self.refuse(format!("{ROOT}.region"), "must not be empty");
        }
        for tag in OWN_TAGS {
            if settings.custom_session_tags.contains_key(tag) {
                let sentence = "is set by sessionTagsPolicy: use another key";
                self.refuse(format!("{ROOT}.customSessionTags.{tag}"), sentence);
            }
        }
        if let Some(deletion) = &settings.secrets_manager {
            self.aws_deletion(deletion);
        }
        let Some(auth) = &settings.auth else { return };
        if let Some(keys) = &auth.secret_ref {
            let root = format!("{ROOT}.auth.secretRef");
            for (field, selector) in [
                ("accessKeyIDSecretRef", &keys.access_key_id_secret_ref),
                ("secretAccessKeySecretRef", &keys.secret_access_key_secret_ref),
            ] {
                let path = format!("{root}.{field}");
                if selector.as_ref().is_none_or(|selector| selector.name.is_empty()) {
                    self.refuse(format!("{path}.name"), "must not be empty");
                }
                self.secret_key(&path, selector.as_ref());
            }
            self.secret_key(&format!("{root}.sessionTokenSecretRef"), keys.session_token_secret_ref.as_ref());
        }
        if let Some(jwt) = &auth.jwt {
            let path = format!("{ROOT}.auth.jwt.serviceAccountRef");
            if jwt.service_account_ref.is_none() {
                self.refuse(&path, "must be set");
            }
            self.service_account(&path, jwt.service_account_ref.as_ref());
        }
    }

    fn aws_deletion(&mut self, deletion: &SecretsManager) {
        let root = format!("{ROOT}.secretsManager");
        // Go leaves out a zero, and so a zero means that nothing is set.
        let days = deletion.recovery_window_in_days.filter(|days| *days != 0);
        if days.is_some_and(|days| !RECOVERY_DAYS.contains(&days)) {
            self.refuse(format!("{root}.recoveryWindowInDays"), "must be 7 to 30");
        }
        if days.is_some() && deletion.force_delete_without_recovery == Some(true) {
            self.refuse(root, "forceDeleteWithoutRecovery and recoveryWindowInDays cannot both be set");
        }
    }
}
