//! The rules for `provider.vault` and `provider.openBao`.

use super::Rules;
use crate::secret_store::{ClientTls, KvVersion, VaultAuth, VaultProvider};

impl Rules<'_> {
    pub(super) fn vault(&mut self, root: &str, settings: &VaultProvider) {
        if settings.server.is_empty() {
            self.refuse(format!("{root}.server"), "must not be empty");
        }
        let checks = settings.check_and_set.as_ref().is_some_and(|check| check.required == Some(true));
        if checks && settings.version == Some(KvVersion::V1) {
            self.refuse(format!("{root}.checkAndSet"), "checkAndSet is not supported with Vault KV version v1");
        }
        self.ca_provider(&format!("{root}.caProvider"), settings.ca_provider.as_ref());
        if let Some(ClientTls { cert_secret_ref, key_secret_ref }) = &settings.tls {
            let path = format!("{root}.tls");
            if cert_secret_ref.is_some() != key_secret_ref.is_some() {
                let sentence = "when provided, both ClientTLS.ClientCert and ClientTLS.SecretRef should be provided";
                self.refuse(&path, sentence);
            }
            self.secret_key(&format!("{path}.certSecretRef"), cert_secret_ref.as_ref());
            self.secret_key(&format!("{path}.keySecretRef"), key_secret_ref.as_ref());
        }
        if let Some(auth) = &settings.auth {
            self.vault_auth(&format!("{root}.auth"), auth);
        }
    }

    fn vault_auth(&mut self, root: &str, auth: &VaultAuth) {
        self.secret_key(&format!("{root}.tokenSecretRef"), auth.token_secret_ref.as_ref());
        if let Some(role) = &auth.app_role {
            let path = format!("{root}.appRole");
            if role.role_id.as_deref().unwrap_or_default().is_empty() && role.role_ref.is_none() {
                self.refuse(&path, "roleId or roleRef must be set");
            }
            self.secret_key(&format!("{path}.roleRef"), role.role_ref.as_ref());
            self.secret_key(&format!("{path}.secretRef"), Some(&role.secret_ref));
        }
        if let Some(method) = &auth.kubernetes {
            let path = format!("{root}.kubernetes");
            self.service_account(&format!("{path}.serviceAccountRef"), method.service_account_ref.as_ref());
            self.secret_key(&format!("{path}.secretRef"), method.secret_ref.as_ref());
        }
        if let Some(method) = &auth.ldap {
            self.secret_key(&format!("{root}.ldap.secretRef"), method.secret_ref.as_ref());
        }
        if let Some(method) = &auth.user_pass {
            self.secret_key(&format!("{root}.userPass.secretRef"), method.secret_ref.as_ref());
        }
        if let Some(method) = &auth.jwt {
            let path = format!("{root}.jwt");
            self.secret_key(&format!("{path}.secretRef"), method.secret_ref.as_ref());
            if let Some(token) = &method.kubernetes_service_account_token {
                let path = format!("{path}.kubernetesServiceAccountToken.serviceAccountRef");
                self.service_account(&path, Some(&token.service_account_ref));
            } else if method.secret_ref.is_none() {
                self.refuse(path, "secretRef or kubernetesServiceAccountToken must be set");
            }
        }
        if let Some(method) = &auth.cert {
            self.secret_key(&format!("{root}.cert.clientCert"), method.client_cert.as_ref());
            self.secret_key(&format!("{root}.cert.secretRef"), method.secret_ref.as_ref());
        }
        if auth.method().is_none() {
            for (name, method) in [("iam", auth.iam), ("gcp", auth.gcp)] {
                if method.is_some() {
                    self.refuse(format!("{root}.{name}"), "this way to log in is not supported");
                }
            }
        }
    }
}
