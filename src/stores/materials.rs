//! What a store's settings name: Secrets, ConfigMaps and tokens of service accounts.
//!
//! Namespaces: those in a SecretStore never count, it reads its own. A ClusterSecretStore reads where its selectors say,
//! and where they say nothing, in the namespace of the ExternalSecret that uses it.

#[cfg(feature = "aws")]
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bulla_crds::secret_store::{CaProvider, CaProviderKind, FileRef, SecretKeySelector, ServiceAccountSelector};
#[cfg(feature = "vault")]
use futures::FutureExt as _;
#[cfg(feature = "vault")]
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use super::objects::{Account, Accounts, Objects};
use super::{StoreError, StoreId};
#[cfg(feature = "vault")]
use crate::providers::ProviderError;
use crate::providers::{TokenSource, file};
use crate::seal::Identity;
use crate::secret::Plaintext;
use crate::sync::external::access::{CredentialNamespace, StoreScope, credential_namespace};
use crate::sync::schedule::Class;

/// Reads on behalf of one store, and remembers the versions of what it read.
pub(super) struct Materials<'a> {
    objects: &'a dyn Objects,
    store: &'a StoreId,
    /// The namespace of the ExternalSecret that uses a ClusterSecretStore.
    user: Option<&'a str>,
    versions: DefaultHasher,
}

impl<'a> Materials<'a> {
    pub(super) fn new(objects: &'a dyn Objects, store: &'a StoreId, user: Option<&'a str>) -> Self {
        Self { objects, store, user, versions: DefaultHasher::new() }
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
        let part = self.objects.secret(namespace, name, key).await?;
        part.version.hash(&mut self.versions);
        part.value.ok_or_else(|| StoreError::Material {
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
        let part = self.objects.config_map(namespace, name, key).await?;
        part.version.hash(&mut self.versions);
        part.value.ok_or_else(|| StoreError::Material {
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

    /// The file that a path of the store means.
    pub(super) async fn on_disk(&mut self, path: &str) -> Result<file::Source, StoreError> {
        let part = self.objects.file(self.store, path).await?;
        part.version.hash(&mut self.versions);
        Ok(part.value)
    }

    /// The private keys of whoever reads, where it has any to open files with.
    pub(super) fn own_identities(&self) -> Option<Vec<Identity>> {
        self.objects.identities()
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

    /// The service accounts around, which `what` takes.
    pub(super) fn accounts(&self, what: &str) -> Result<&'a dyn Accounts, StoreError> {
        self.objects.accounts().ok_or_else(|| {
            StoreError::Invalid(format!(
                "{what} takes a Kubernetes cluster around the program, which is not there: use credentials that a \
                 secret holds, or the machine's own"
            ))
        })
    }

    #[cfg(feature = "aws")]
    /// The annotations of a service account, and its namespace.
    pub(super) async fn annotations(
        &mut self,
        selector: &ServiceAccountSelector,
    ) -> Result<(BTreeMap<String, String>, String), StoreError> {
        let accounts = self.accounts("a service account's token")?;
        let namespace = self.namespace(selector.namespace.as_deref())?;
        let part = accounts.annotations(&namespace, &selector.name).await?;
        part.version.hash(&mut self.versions);
        Ok((part.value, namespace))
    }

    /// A source of tokens of a service account for `audiences`.
    pub(super) fn tokens(
        &self,
        selector: &ServiceAccountSelector,
        audiences: Vec<String>,
        seconds: i64,
    ) -> Result<Arc<dyn TokenSource>, StoreError> {
        let accounts = self.accounts("a service account's token")?;
        let namespace = self.namespace(selector.namespace.as_deref())?;
        Ok(accounts.tokens(Account { namespace, name: selector.name.clone(), audiences, seconds }))
    }

    /// The token of the program's own service account.
    #[cfg(feature = "vault")]
    pub(super) fn own_token(&self) -> Result<Arc<dyn TokenSource>, StoreError> {
        Ok(self.accounts("the program's own service account")?.own_token())
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
