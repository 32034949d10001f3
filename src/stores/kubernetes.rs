//! The settings of a Kubernetes store: another cluster, or another namespace of this one.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crds::secret_store::{KubernetesAuth, KubernetesProvider};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::StoreError;
use super::connect::TOKEN_SECONDS;
use super::materials::Materials;
use crate::providers::kubernetes::{self, Settings};
use crate::providers::{Gate, Provider};

/// Where this cluster's API server is found from inside.
const THIS_CLUSTER: &str = "https://kubernetes.default";

/// Makes a provider of the settings.
pub(super) async fn connect(
    materials: &mut Materials<'_>,
    provider: &KubernetesProvider,
    gate: Gate,
) -> Result<Arc<dyn Provider>, StoreError> {
    materials.accounts("the provider kubernetes")?;
    Ok(kubernetes::connect(settings(materials, provider).await?, gate)?)
}

/// What a Kubernetes provider is made from.
async fn settings(materials: &mut Materials<'_>, settings: &KubernetesProvider) -> Result<Settings, StoreError> {
    let namespace = settings.remote_namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
    let mut config = match (&settings.auth_ref, &settings.auth) {
        (Some(_), Some(_)) => return Err(invalid("authRef and inline auth cannot both be set")),
        (None, None) => return Err(invalid("no auth provider given")),
        (Some(reference), None) => {
            let text = materials.text(reference, Some("kubeconfig")).await?;
            let unusable = |_| invalid("authRef does not name a kubeconfig that can be used");
            let kubeconfig = Kubeconfig::from_yaml(&text).map_err(unusable)?;
            refuse_foreign(&kubeconfig)?;
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)?;
            // It would be that of the controller's environment, which is not the store's.
            config.proxy_url = None;
            config
        }
        (None, Some(auth)) => inline(materials, settings, auth).await?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(std::time::Duration::from_secs(5));
    let client = Client::try_from(config).map_err(|_| invalid("server and auth do not make a connection"))?;
    Ok(Settings { client, namespace: namespace.to_owned() })
}

fn invalid(problem: &str) -> StoreError {
    StoreError::Invalid(format!("spec.provider.kubernetes: {problem}"))
}

/// Whoever may write a Secret must not thereby run programs, or read files, where the controller runs.
fn refuse_foreign(kubeconfig: &Kubeconfig) -> Result<(), StoreError> {
    let reaches_out = |auth: &AuthInfo| {
        auth.exec.is_some()
            || auth.auth_provider.is_some()
            || auth.token_file.is_some()
            || auth.client_certificate.is_some()
            || auth.client_key.is_some()
    };
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()).any(reaches_out);
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    if users || clusters.into_iter().any(|cluster| cluster.certificate_authority.is_some()) {
        return Err(invalid("a kubeconfig in a Secret must hold its credentials itself: no files, no commands"));
    }
    Ok(())
}

async fn inline(
    materials: &mut Materials<'_>,
    settings: &KubernetesProvider,
    auth: &KubernetesAuth,
) -> Result<Config, StoreError> {
    let server = settings.server.as_ref();
    let url = server.and_then(|server| server.url.as_deref()).filter(|url| !url.is_empty()).unwrap_or(THIS_CLUSTER);
    let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let mut config = Config::new(url.parse().map_err(|_| invalid("server.url is no URL"))?);
    let bundle = server.and_then(|server| server.ca_bundle.as_deref());
    let provider = server.and_then(|server| server.ca_provider.as_ref());
    if let Some(pem) = materials.authorities(bundle, provider).await? {
        config.root_cert = Some(certificates(&pem)?);
    }
    let mut methods = Vec::new();
    if let Some(cert) = &auth.cert {
        methods.push("cert");
        let missing = |field: &str| invalid(&format!("auth.cert.{field} is missing"));
        let public = cert.client_cert.as_ref().ok_or_else(|| missing("clientCert"))?;
        let private = cert.client_key.as_ref().ok_or_else(|| missing("clientKey"))?;
        let public = materials.secret(public, Some("tls.crt")).await?;
        let private = materials.secret(private, Some("tls.key")).await?;
        config.auth_info.client_certificate_data = Some(STANDARD.encode(public.expose()));
        config.auth_info.client_key_data = Some(STANDARD.encode(private.expose()).into());
    }
    if let Some(token) = &auth.token {
        methods.push("token");
        let selector = token.bearer_token.as_ref().ok_or_else(|| invalid("auth.token.bearerToken is missing"))?;
        config.auth_info.token = Some(materials.text(selector, Some("token")).await?.to_string().into());
    }
    if let Some(account) = &auth.service_account {
        methods.push("serviceAccount");
        let token = materials.tokens(account, account.audiences.clone(), TOKEN_SECONDS)?.token().await?;
        let text = String::from_utf8_lossy(token.expose()).into_owned();
        config.auth_info.token = Some(text.into());
    }
    match methods.len() {
        0 => Err(invalid("no auth provider given")),
        1 => Ok(config),
        _ => Err(invalid(&format!("multiple auth methods provided: {}", methods.join(", ")))),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let unusable = || invalid("the certificates of authorities are not PEM");
    let mut found = Vec::new();
    for block in x509_parser::pem::Pem::iter_from_buffer(pem) {
        found.push(block.map_err(|_| unusable())?.contents);
    }
    if found.is_empty() { Err(unusable()) } else { Ok(found) }
}
