//! What a store's settings name in the cluster: Secrets, ConfigMaps and tokens of service accounts.
//!
//! Namespaces: those in a SecretStore never count, it reads its own. A ClusterSecretStore reads where its selectors say,
//! and where they say nothing, in the namespace of the ExternalSecret that uses it.

#[cfg(feature = "aws")]
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bulla_crds::secret_store::{CaProvider, CaProviderKind, FileRef, SecretKeySelector, ServiceAccountSelector};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::Resource as _;
use kube::client::Body;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::id::{StoreError, StoreId};
use crate::controllers::api::{self, Api, ApiError};
use crate::controllers::observe;
use crate::providers::{Cause, ProviderError, TokenSource};
use crate::secret::Plaintext;
use crate::sync::external::access::{CredentialNamespace, StoreScope, credential_namespace};
use crate::sync::schedule::Class;

/// Reads on behalf of one store, and remembers the versions of what it read.
pub(super) struct Materials<'a> {
    api: &'a Api,
    store: &'a StoreId,
    /// The namespace of the ExternalSecret that uses a ClusterSecretStore.
    user: Option<&'a str>,
    versions: DefaultHasher,
}

impl<'a> Materials<'a> {
    pub(super) fn new(api: &'a Api, store: &'a StoreId, user: Option<&'a str>) -> Self {
        Self { api, store, user, versions: DefaultHasher::new() }
    }

    /// Whether the store is one of the whole cluster.
    #[cfg(feature = "vault")]
    pub(super) fn is_of_cluster(&self) -> bool {
        self.store.is_cluster()
    }

    /// A number that changes when anything that was read does.
    pub(super) fn fingerprint(&self) -> u64 {
        self.versions.finish()
    }

    /// The namespace that a selector means.
    fn namespace(&self, selected: Option<&str>) -> Result<String, StoreError> {
        let store = self.store;
        let scope = if store.is_cluster() { StoreScope::Cluster } else { StoreScope::Namespace(&store.namespace) };
        match credential_namespace(scope, selected, self.user) {
            Ok(CredentialNamespace::Known(namespace)) => Ok(namespace),
            Ok(CredentialNamespace::Referent) => Err(StoreError::Referent),
            // Validation has refused it before: nothing is read for such a store.
            Err(error) => Err(StoreError::Invalid(error.to_string())),
        }
    }

    /// One value of a Secret.
    pub(super) async fn secret(
        &mut self,
        selector: &SecretKeySelector,
        usual: Option<&str>,
    ) -> Result<Plaintext, StoreError> {
        let namespace = self.namespace(selector.namespace.as_deref())?;
        let key = selector.key.as_deref().filter(|key| !key.is_empty()).or(usual).unwrap_or_default();
        self.secret_at(&namespace, &selector.name, key).await
    }

    async fn secret_at(&mut self, namespace: &str, name: &str, key: &str) -> Result<Plaintext, StoreError> {
        let live = observe::secret(self.api, namespace, name).await.map_err(|error| {
            unread(format!("cannot get Kubernetes secret {name:?} from namespace {namespace:?}: {error}"), &error)
        })?;
        let mut live = live.ok_or_else(|| StoreError::Material {
            problem: format!("cannot get Kubernetes secret {name:?} from namespace {namespace:?}: not found"),
            class: Class::Blocked,
        })?;
        (&live.uid, &live.resource_version).hash(&mut self.versions);
        live.data.remove(key).ok_or_else(|| StoreError::Material {
            problem: format!("cannot find secret data for key {key:?} in secret {name:?} of namespace {namespace:?}"),
            class: Class::Blocked,
        })
    }

    /// One value of a Secret as text without the line end that editors leave.
    pub(super) async fn text(
        &mut self,
        selector: &SecretKeySelector,
        usual: Option<&str>,
    ) -> Result<Zeroizing<String>, StoreError> {
        let value = self.secret(selector, usual).await?;
        let text = std::str::from_utf8(value.expose()).map_err(|_| {
            StoreError::Invalid(format!("key {:?} of secret {:?} is not text", selector.key, selector.name))
        })?;
        Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    async fn config_map(&mut self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, StoreError> {
        let map = self.api.get::<ConfigMap>(namespace, name).await.map_err(|error| {
            unread(format!("cannot get ConfigMap {name:?} from namespace {namespace:?}: {error}"), &error)
        })?;
        (&map.metadata.uid, &map.metadata.resource_version).hash(&mut self.versions);
        let binary = map.binary_data.and_then(|mut data| data.remove(key)).map(|bytes| bytes.0);
        let text = || map.data.and_then(|mut data| data.remove(key)).map(String::into_bytes);
        binary.or_else(text).ok_or_else(|| StoreError::Material {
            problem: format!("cannot find key {key:?} in ConfigMap {name:?} of namespace {namespace:?}"),
            class: Class::Blocked,
        })
    }

    /// The bytes of a key that is no secret by itself.
    pub(super) async fn file(&mut self, file: &FileRef, is_secret: bool) -> Result<Vec<u8>, StoreError> {
        let namespace = self.namespace(file.namespace.as_deref())?;
        if is_secret {
            return Ok(self.secret_at(&namespace, &file.name, &file.key).await?.expose().to_vec());
        }
        self.config_map(&namespace, &file.name, &file.key).await
    }

    /// Certificates of authorities, PEM: from the bundle in the settings or from where they say.
    pub(super) async fn authorities(
        &mut self,
        bundle: Option<&str>,
        provider: Option<&CaProvider>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        use base64::Engine as _;
        if let Some(bundle) = bundle.filter(|bundle| !bundle.is_empty()) {
            let decoded = base64::engine::general_purpose::STANDARD.decode(bundle);
            return decoded.map(Some).map_err(|_| StoreError::Invalid("caBundle is not base64".to_owned()));
        }
        let Some(provider) = provider else { return Ok(None) };
        let namespace = self.namespace(provider.namespace.as_deref())?;
        let (name, key) = (provider.name.as_str(), provider.key.as_deref().unwrap_or_default());
        Ok(Some(match provider.r#type {
            CaProviderKind::Secret => self.secret_at(&namespace, name, key).await?.expose().to_vec(),
            CaProviderKind::ConfigMap => self.config_map(&namespace, name, key).await?,
        }))
    }

    #[cfg(feature = "aws")]
    /// The annotations of a service account, and a source of its tokens.
    pub(super) async fn service_account(
        &mut self,
        selector: &ServiceAccountSelector,
    ) -> Result<(BTreeMap<String, String>, String), StoreError> {
        let namespace = self.namespace(selector.namespace.as_deref())?;
        let name = &selector.name;
        let account = self.api.get::<ServiceAccount>(&namespace, name).await.map_err(|error| {
            unread(format!("cannot get service account {name:?} from namespace {namespace:?}: {error}"), &error)
        })?;
        // Its version changes for reasons of others; what counts are its annotations.
        (&account.metadata.uid, &account.metadata.annotations).hash(&mut self.versions);
        Ok((account.metadata.annotations.unwrap_or_default(), namespace))
    }

    /// A source of tokens of a service account for `audiences`.
    pub(super) fn tokens(
        &self,
        selector: &ServiceAccountSelector,
        audiences: Vec<String>,
        seconds: i64,
    ) -> Result<Arc<dyn TokenSource>, StoreError> {
        let namespace = self.namespace(selector.namespace.as_deref())?;
        Ok(Arc::new(ServiceAccountTokens {
            api: self.api.clone(),
            namespace,
            name: selector.name.clone(),
            audiences,
            seconds,
        }))
    }
}

fn unread(problem: String, error: &ApiError) -> StoreError {
    StoreError::Material { problem, class: error.class() }
}

/// Asks the API server for a token each time.
struct ServiceAccountTokens {
    api: Api,
    namespace: String,
    name: String,
    audiences: Vec<String>,
    seconds: i64,
}

#[derive(Deserialize)]
struct Answer {
    status: Issued,
}

#[derive(Deserialize)]
struct Issued {
    token: String,
}

impl ServiceAccountTokens {
    async fn issue(&self) -> Result<Plaintext, ApiError> {
        let mut spec = json!({ "expirationSeconds": self.seconds });
        if !self.audiences.is_empty() {
            spec["audiences"] = json!(self.audiences);
        }
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
        let path = ServiceAccount::url_path(&(), Some(&self.namespace));
        let request = http::Request::post(format!("{path}/{}/token", self.name))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string().into_bytes()))
            .map_err(|_| ApiError::Invalid("the name cannot be used in a request".to_owned()))?;
        let bytes = self.api.send(request).await?;
        let answer = serde_json::from_slice::<Answer>(&bytes);
        api::wipe(bytes);
        // The one copy is taken over, and wiped in the end.
        Ok(Plaintext::from(answer.map_err(|_| ApiError::Unreadable)?.status.token))
    }
}

impl TokenSource for ServiceAccountTokens {
    fn token(&self) -> BoxFuture<'_, Result<Plaintext, ProviderError>> {
        async {
            self.issue().await.map_err(|error| {
                let (name, namespace) = (&self.name, &self.namespace);
                let cause = match &error {
                    ApiError::NotFound | ApiError::Forbidden(_) => Cause::Unauthenticated,
                    ApiError::Invalid(_) => Cause::Misconfigured,
                    ApiError::Throttled(after) => Cause::Throttled { after: *after },
                    ApiError::AlreadyExists
                    | ApiError::Conflict
                    | ApiError::Server(_)
                    | ApiError::Unreachable
                    | ApiError::Fenced
                    | ApiError::Unreadable => Cause::Unavailable,
                };
                let message = format!("no token of service account {name:?} in namespace {namespace:?}: {error}");
                ProviderError::new(cause, message)
            })
        }
        .boxed()
    }
}

#[cfg(feature = "vault")]
/// A token that was kept in a Secret.
pub(super) struct KeptToken(pub(super) Plaintext);

#[cfg(feature = "vault")]
impl TokenSource for KeptToken {
    fn token(&self) -> BoxFuture<'_, Result<Plaintext, ProviderError>> {
        async { Ok(Plaintext::copy_of(self.0.expose())) }.boxed()
    }
}

#[cfg(feature = "vault")]
/// The token of the controller's own service account, as the kubelet keeps it fresh.
pub(super) struct OwnToken;

#[cfg(feature = "vault")]
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

#[cfg(feature = "vault")]
impl TokenSource for OwnToken {
    fn token(&self) -> BoxFuture<'_, Result<Plaintext, ProviderError>> {
        async {
            let mut read = tokio::task::spawn_blocking(|| std::fs::read(OWN_TOKEN)).await.map_err(|_| unreadable())?;
            if let Ok(bytes) = &mut read {
                let end = bytes.trim_ascii_end().len();
                bytes.truncate(end);
            }
            read.map(Plaintext::new).map_err(|_| unreadable())
        }
        .boxed()
    }
}

#[cfg(feature = "vault")]
fn unreadable() -> ProviderError {
    ProviderError::new(Cause::Misconfigured, format!("the controller has no service account token at {OWN_TOKEN}"))
}
