//! Wrapped by Vault's Transit engine: the Secret holds what Vault wrote, which only Vault opens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt as _;

use super::{Answer, KeyWrapper, TransitWrapping, VaultLogin, WrapError};
use crate::providers::vault::{Auth, KvVersion, Settings, Transit};
use crate::providers::{Gate, ProviderError, TokenSource};
use crate::secret::Plaintext;
use crate::sync::schedule::Class;

/// Where the kubelet keeps the token of the controller's own service account fresh.
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Makes the wrapper; nothing is sent yet.
pub(super) async fn connect(settings: &TransitWrapping) -> Result<Transit, WrapError> {
    let auth = match settings.login.clone() {
        VaultLogin::TokenFile(file) => Auth::Token(read(&file).await?),
        VaultLogin::AppRole { mount, role_id, secret_id_file } => {
            let secret_id = read(&secret_id_file).await?;
            Auth::AppRole { mount, role_id: Plaintext::from(role_id), secret_id }
        }
        VaultLogin::Kubernetes { mount, role } => {
            let token = std::sync::Arc::new(FileToken(PathBuf::from(OWN_TOKEN)));
            Auth::Kubernetes { mount, role, token }
        }
    };
    let ca = match &settings.ca_file {
        Some(file) => Some(read(file).await?.expose().to_vec()),
        None => None,
    };
    let vault = Settings {
        server: settings.address.clone(),
        mount: None,
        version: KvVersion::V2,
        namespace: settings.namespace.clone(),
        auth_namespace: None,
        ca,
        client_certificate: None,
        headers: BTreeMap::new(),
        forward_inconsistent: false,
        auth,
        retries: 0,
        retry_interval: Duration::ZERO,
    };
    Ok(Transit::connect(vault, Gate::unmetered("HashiCorp/Vault"), &settings.key)?)
}

/// The content of a file without the line's end.
async fn read(path: &Path) -> Result<Plaintext, WrapError> {
    let unreadable = || WrapError::new(Class::Transient, format!("the file {} cannot be read", path.display()));
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read(file)).await.map_err(|_| unreadable())?;
    let mut bytes = read.map_err(|_| unreadable())?;
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(Plaintext::new(bytes))
}

/// A token that somebody keeps fresh in a file.
struct FileToken(PathBuf);

impl TokenSource for FileToken {
    fn token(&self) -> futures::future::BoxFuture<'_, Result<Plaintext, ProviderError>> {
        async {
            let token = read(&self.0).await;
            token.map_err(|error| ProviderError::new(crate::providers::Cause::Misconfigured, error.message))
        }
        .boxed()
    }
}

impl KeyWrapper for Transit {
    fn name(&self) -> String {
        format!("vault-transit:{}", Self::name(self))
    }

    fn wrap<'a>(&'a self, identity: &'a Plaintext) -> Answer<'a, Vec<u8>> {
        async { Ok(self.encrypt(identity).await?.into_bytes()) }.boxed()
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8]) -> Answer<'a, Plaintext> {
        async {
            let text = std::str::from_utf8(wrapped);
            let text = text.map_err(|_| WrapError::new(Class::Terminal, "what was wrapped is not Vault's"))?;
            Ok(self.decrypt(text).await?)
        }
        .boxed()
    }
}
