//! The objects that a store's settings name, read from the API server.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::Resource as _;
use kube::client::Body;
use serde::Deserialize;
use serde_json::json;

use super::{StoreError, StoreId};
use crate::controllers::api::{self, Api, ApiError};
use crate::controllers::observe;
use crate::providers::{Cause, ProviderError, TokenSource, file};
use crate::resource::secret_store as resource;
use crate::seal::Identity;
use crate::secret::Plaintext;
use crate::stores::{Account, Accounts, Objects, Part, Read};
use crate::sync::schedule::Class;

/// The cluster, and the disk of the controller.
pub(super) struct Cluster {
    pub(super) api: Api,
    /// The folder that a `file` store's `path` is in.
    pub(super) files: Option<PathBuf>,
}

impl Objects for Cluster {
    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str, key: &'a str) -> Read<'a, Option<Plaintext>> {
        async move {
            let live = observe::secret(&self.api, namespace, name).await.map_err(|error| {
                unread(format!("cannot get Kubernetes secret {name:?} from namespace {namespace:?}: {error}"), &error)
            })?;
            let mut live = live.ok_or_else(|| StoreError::Material {
                problem: format!("cannot get Kubernetes secret {name:?} from namespace {namespace:?}: not found"),
                class: Class::Blocked,
            })?;
            Ok(Part { version: version(&(&live.uid, &live.resource_version)), value: live.data.remove(key) })
        }
        .boxed()
    }

    fn config_map<'a>(&'a self, namespace: &'a str, name: &'a str, key: &'a str) -> Read<'a, Option<Vec<u8>>> {
        async move {
            let map = self.api.get::<ConfigMap>(namespace, name).await.map_err(|error| {
                unread(format!("cannot get ConfigMap {name:?} from namespace {namespace:?}: {error}"), &error)
            })?;
            let version = version(&(&map.metadata.uid, &map.metadata.resource_version));
            let binary = map.binary_data.and_then(|mut data| data.remove(key)).map(|bytes| bytes.0);
            let text = || map.data.and_then(|mut data| data.remove(key)).map(String::into_bytes);
            Ok(Part { version, value: binary.or_else(text) })
        }
        .boxed()
    }

    fn file<'a>(&'a self, store: &'a StoreId, path: &'a str) -> Read<'a, file::Source> {
        async move {
            let path = resource::file_path(store.is_cluster(), self.files.as_deref(), path);
            Ok(Part { version: 0, value: file::Source::Path(path.map_err(StoreError::Invalid)?) })
        }
        .boxed()
    }

    fn identities(&self) -> Option<Vec<Identity>> {
        None
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

impl Accounts for Cluster {
    fn annotations<'a>(&'a self, namespace: &'a str, name: &'a str) -> Read<'a, BTreeMap<String, String>> {
        async move {
            let account = self.api.get::<ServiceAccount>(namespace, name).await.map_err(|error| {
                unread(format!("cannot get service account {name:?} from namespace {namespace:?}: {error}"), &error)
            })?;
            // Its version changes for reasons of others; what counts are its annotations.
            let version = version(&(&account.metadata.uid, &account.metadata.annotations));
            Ok(Part { version, value: account.metadata.annotations.unwrap_or_default() })
        }
        .boxed()
    }

    fn tokens(&self, account: Account) -> Arc<dyn TokenSource> {
        Arc::new(ServiceAccountTokens { api: self.api.clone(), account })
    }

    fn own_token(&self) -> Arc<dyn TokenSource> {
        Arc::new(OwnToken)
    }
}

fn version(of: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn unread(problem: String, error: &ApiError) -> StoreError {
    StoreError::Material { problem, class: error.class() }
}

/// Asks the API server for a token each time.
struct ServiceAccountTokens {
    api: Api,
    account: Account,
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
        let Account { namespace, name, audiences, seconds } = &self.account;
        let mut spec = json!({ "expirationSeconds": seconds });
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
        let path = ServiceAccount::url_path(&(), Some(namespace));
        let request = http::Request::post(format!("{path}/{name}/token"))
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
                let (name, namespace) = (&self.account.name, &self.account.namespace);
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

/// The token of the controller's own service account, as the kubelet keeps it fresh.
struct OwnToken;

const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

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

fn unreadable() -> ProviderError {
    ProviderError::new(Cause::Misconfigured, format!("the controller has no service account token at {OWN_TOKEN}"))
}
