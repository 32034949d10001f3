//! The settings of a Vault or OpenBao store.

use std::sync::Arc;
use std::time::Duration;

use bulla_crds::secret_store::{
    KvVersion, RetrySettings, ServiceAccountSelector, VaultAppRole, VaultAuth, VaultCert, VaultJwt, VaultKubernetes,
    VaultProvider,
};

use super::StoreError;
use super::materials::{KeptToken, Materials};
use super::retry::retries;
use crate::providers::vault::{self, Auth, ClientCertificate, Settings};
use crate::providers::{Gate, Provider, TokenSource};
use crate::secret::Plaintext;

/// How long a service account's token lives that is shown to Vault.
const TOKEN_SECONDS: i64 = 600;
const CERTIFICATE: Option<&str> = Some("tls.crt");
const KEY: Option<&str> = Some("tls.key");

/// Makes a provider of the settings.
pub(super) async fn connect(
    materials: &mut Materials<'_>,
    provider: &VaultProvider,
    retry: Option<&RetrySettings>,
    gate: Gate,
) -> Result<Arc<dyn Provider>, StoreError> {
    Ok(vault::connect(settings(materials, provider, retry).await?, gate)?)
}

async fn settings(
    materials: &mut Materials<'_>,
    settings: &VaultProvider,
    retry: Option<&RetrySettings>,
) -> Result<Settings, StoreError> {
    let tls = settings.tls.as_ref();
    let client_certificate = match tls.map(|tls| (&tls.cert_secret_ref, &tls.key_secret_ref)) {
        Some((Some(certificate), Some(key))) => Some(ClientCertificate {
            certificate: materials.secret(certificate, CERTIFICATE).await?,
            key: materials.secret(key, KEY).await?,
        }),
        None | Some(_) => None,
    };
    let auth = settings.auth.as_ref().ok_or_else(|| invalid("no auth method is given"))?;
    let (attempts, interval) = retries(retry)?;
    Ok(Settings {
        server: settings.server.clone(),
        mount: settings.path.clone(),
        version: match settings.version.unwrap_or_default() {
            KvVersion::V1 => vault::KvVersion::V1,
            KvVersion::V2 => vault::KvVersion::V2,
        },
        namespace: settings.namespace.clone(),
        auth_namespace: auth.namespace.clone(),
        ca: materials.authorities(settings.ca_bundle.as_deref(), settings.ca_provider.as_ref()).await?,
        client_certificate,
        headers: settings.headers.clone(),
        forward_inconsistent: settings.read_your_writes == Some(true) && settings.forward_inconsistent == Some(true),
        auth: login(materials, auth).await?,
        retries: attempts.unwrap_or(0),
        retry_interval: interval.unwrap_or(Duration::from_secs(1)),
    })
}

fn invalid(problem: &str) -> StoreError {
    StoreError::Invalid(format!("spec.provider.vault.auth: {problem}"))
}

fn mount(path: Option<&String>, usual: &str) -> String {
    path.filter(|path| !path.is_empty()).map_or_else(|| usual.to_owned(), Clone::clone)
}

async fn login(materials: &mut Materials<'_>, auth: &VaultAuth) -> Result<Auth, StoreError> {
    if let Some(token) = &auth.token_secret_ref {
        return Ok(Auth::Token(plain(materials.text(token, Some("token")).await?.as_bytes())));
    }
    if let Some(role) = &auth.app_role {
        return app_role(materials, role).await;
    }
    if let Some(account) = &auth.kubernetes {
        let token = kubernetes_token(materials, account).await?;
        let mount = mount(account.mount_path.as_ref(), "kubernetes");
        return Ok(Auth::Kubernetes { mount, role: account.role.clone(), token });
    }
    if let Some(user) = &auth.ldap {
        let password = user.secret_ref.as_ref().ok_or_else(|| invalid("ldap.secretRef is missing"))?;
        let password = plain(materials.text(password, None).await?.as_bytes());
        return Ok(Auth::Ldap { mount: mount(user.path.as_ref(), "ldap"), username: user.username.clone(), password });
    }
    if let Some(user) = &auth.user_pass {
        let password = user.secret_ref.as_ref().ok_or_else(|| invalid("userPass.secretRef is missing"))?;
        let password = plain(materials.text(password, None).await?.as_bytes());
        let (mount, username) = (mount(user.path.as_ref(), "userpass"), user.username.clone());
        return Ok(Auth::UserPass { mount, username, password });
    }
    if let Some(jwt) = &auth.jwt {
        let (mount, role) = (mount(jwt.path.as_ref(), "jwt"), jwt.role.clone());
        return Ok(Auth::Jwt { mount, role, token: jwt_token(materials, jwt).await? });
    }
    if let Some(certificate) = &auth.cert {
        return by_certificate(materials, certificate).await;
    }
    let unsupported = [(auth.iam.is_some(), "iam"), (auth.gcp.is_some(), "gcp")];
    Err(match unsupported.iter().find(|(is_set, _)| *is_set) {
        Some((_, name)) => invalid(&format!("the method {name:?} is not supported")),
        None => invalid("no auth method is given"),
    })
}

fn plain(bytes: &[u8]) -> Plaintext {
    Plaintext::copy_of(bytes)
}

async fn app_role(materials: &mut Materials<'_>, role: &VaultAppRole) -> Result<Auth, StoreError> {
    let role_id = match (&role.role_ref, role.role_id.as_deref().map(str::trim).filter(|id| !id.is_empty())) {
        (_, Some(id)) => plain(id.as_bytes()),
        (Some(reference), None) => plain(materials.text(reference, None).await?.as_bytes()),
        (None, None) => return Err(invalid("appRole needs roleId or roleRef")),
    };
    let secret_id = plain(materials.text(&role.secret_ref, None).await?.as_bytes());
    Ok(Auth::AppRole { mount: mount(role.path.as_ref(), "approle"), role_id, secret_id })
}

async fn kubernetes_token(
    materials: &mut Materials<'_>,
    account: &VaultKubernetes,
) -> Result<Arc<dyn TokenSource>, StoreError> {
    if let Some(selector) = &account.service_account_ref {
        return materials.tokens(selector, selector.audiences.clone(), TOKEN_SECONDS);
    }
    if let Some(secret) = &account.secret_ref {
        let token = materials.text(secret, Some("token")).await?;
        return Ok(Arc::new(KeptToken(plain(token.as_bytes()))));
    }
    // With it, whoever names the server could be the controller: that is for those who rule the cluster.
    if !materials.is_of_cluster() {
        return Err(invalid("kubernetes of a SecretStore needs serviceAccountRef or secretRef"));
    }
    materials.own_token()
}

/// Vault's own audience, where the deprecated field does not say another.
const AUDIENCE: &str = "vault";

async fn jwt_token(materials: &mut Materials<'_>, jwt: &VaultJwt) -> Result<Arc<dyn TokenSource>, StoreError> {
    if let Some(secret) = &jwt.secret_ref {
        return Ok(Arc::new(KeptToken(plain(materials.text(secret, None).await?.as_bytes()))));
    }
    let Some(token) = &jwt.kubernetes_service_account_token else {
        return Err(invalid("jwt needs secretRef or kubernetesServiceAccountToken"));
    };
    let selector: &ServiceAccountSelector = &token.service_account_ref;
    let mut audiences = token.audiences.clone().unwrap_or_default();
    audiences.extend(selector.audiences.iter().cloned());
    if audiences.is_empty() {
        audiences.push(AUDIENCE.to_owned());
    }
    materials.tokens(selector, audiences, token.expiration_seconds.unwrap_or(TOKEN_SECONDS))
}

async fn by_certificate(materials: &mut Materials<'_>, certificate: &VaultCert) -> Result<Auth, StoreError> {
    let missing = |field: &str| invalid(&format!("cert.{field} is missing"));
    let public = certificate.client_cert.as_ref().ok_or_else(|| missing("clientCert"))?;
    let private = certificate.secret_ref.as_ref().ok_or_else(|| missing("secretRef"))?;
    Ok(Auth::Certificate {
        mount: mount(certificate.path.as_ref(), "cert"),
        role: certificate.vault_role.clone(),
        certificate: ClientCertificate {
            certificate: materials.secret(public, CERTIFICATE).await?,
            key: materials.secret(private, KEY).await?,
        },
    })
}
