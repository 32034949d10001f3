//! The rules for `provider.kubernetes`.

use super::Rules;
use crate::secret_store::{KubernetesAuth, KubernetesProvider};

const ROOT: &str = "spec.provider.kubernetes";

impl Rules<'_> {
    pub(super) fn kubernetes(&mut self, settings: &KubernetesProvider) {
        if let Some(server) = &settings.server {
            self.ca_provider(&format!("{ROOT}.server.caProvider"), server.ca_provider.as_ref());
        }
        match (&settings.auth, &settings.auth_ref) {
            (Some(_), Some(_)) => self.refuse(ROOT, "authRef and inline auth cannot both be set"),
            (None, None) => self.refuse(format!("{ROOT}.auth"), "no auth provider given"),
            (Some(auth), None) => self.kubernetes_auth(auth),
            (None, Some(_)) => {}
        }
        self.secret_key(&format!("{ROOT}.authRef"), settings.auth_ref.as_ref());
    }

    fn kubernetes_auth(&mut self, auth: &KubernetesAuth) {
        let root = format!("{ROOT}.auth");
        let KubernetesAuth { cert, token, service_account } = auth;
        let methods =
            [("cert", cert.is_some()), ("token", token.is_some()), ("serviceAccount", service_account.is_some())];
        let methods: Vec<_> = methods.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect();
        if methods.is_empty() {
            self.refuse(&root, "no auth provider given");
        }
        if methods.len() > 1 {
            self.refuse(&root, format!("multiple auth methods provided: {}", methods.join(", ")));
        }
        if let Some(cert) = cert {
            self.full_secret_key(&format!("{root}.cert.clientCert"), "ClientCert", cert.client_cert.as_ref());
            self.full_secret_key(&format!("{root}.cert.clientKey"), "ClientKey", cert.client_key.as_ref());
        }
        if let Some(token) = token {
            self.full_secret_key(&format!("{root}.token.bearerToken"), "BearerToken", token.bearer_token.as_ref());
        }
        self.service_account(&format!("{root}.serviceAccount"), service_account.as_ref());
    }
}
