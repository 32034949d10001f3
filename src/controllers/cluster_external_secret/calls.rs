//! The calls of a pass.

use bulla_crds::names::external_secrets::CLUSTER_FINALIZER;
use bulla_crds::{ClusterExternalSecret, ClusterExternalSecretStatus, ExternalSecret};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::client::Body;
use kube::core::request;
use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use super::children::{Child, Parent};
use super::plan::{Release, Step};
use super::status;
use crate::controllers::api::{self, Api, ApiError, FIELD_MANAGER, METADATA_ONLY};
use crate::controllers::queue::Key;

/// What a call came to.
pub(super) enum Outcome {
    Written(Box<Child>),
    Deleted(String),
    Foreign,
    Failed(ApiError),
}

/// Takes a step; `digest` is that of the spec that it writes.
pub(super) async fn take(api: &Api, key: &Key, step: &Step, digest: Option<u64>) -> Outcome {
    let done = match step {
        Step::Create(object) => create(api, key, object).await,
        Step::Patch(patch) => change(api, key, patch).await,
        Step::Delete(uid) => return delete(api, key, uid).await,
    };
    match done {
        Ok(metadata) => Child::read(&metadata, digest).map_or(Outcome::Foreign, |child| Outcome::Written(child.into())),
        Err(ApiError::AlreadyExists) => Outcome::Foreign,
        Err(error) => Outcome::Failed(error),
    }
}

async fn create(api: &Api, key: &Key, object: &Value) -> Result<ObjectMeta, ApiError> {
    let body = serde_json::to_vec(object).map_err(|_| ApiError::Unreadable)?;
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let request = api::at::<ExternalSecret>(key.namespace()).create(&parameters, body)?;
    metadata_after(api, api::with_body(request)).await
}

async fn change(api: &Api, key: &Key, patch: &Value) -> Result<ObjectMeta, ApiError> {
    let body = serde_json::to_vec(patch).map_err(|_| ApiError::Unreadable)?;
    let path = ExternalSecret::url_path(&(), Some(key.namespace()));
    let request = http::Request::patch(format!("{path}/{}?fieldManager={FIELD_MANAGER}", key.name()))
        .header("content-type", "application/json-patch+json")
        .body(Body::from(body))
        .map_err(|_| ApiError::Invalid("the name cannot be used in a request".to_owned()))?;
    metadata_after(api, request).await
}

async fn delete(api: &Api, key: &Key, uid: &str) -> Outcome {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let deleted = match api::at::<ExternalSecret>(key.namespace()).delete(key.name(), &parameters) {
        Ok(request) => api.send(api::with_body(request)).await,
        Err(error) => Err(error.into()),
    };
    match deleted {
        // A conflict is another identity: ours is gone.
        Ok(_) | Err(ApiError::NotFound | ApiError::Conflict) => Outcome::Deleted(uid.to_owned()),
        Err(error) => Outcome::Failed(error),
    }
}

/// Sends a write and gives the metadata that the object then has.
async fn metadata_after(api: &Api, mut request: api::Request) -> Result<ObjectMeta, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        metadata: ObjectMeta,
    }
    if let Ok(accept) = METADATA_ONLY.parse() {
        request.headers_mut().insert("accept", accept);
    }
    Ok(api.call::<Answer>(request).await?.metadata)
}

/// Takes ESO's finalizer off a namespace.
pub(super) async fn lift(api: &Api, release: &Release) -> Result<(), ApiError> {
    let path = Namespace::url_path(&(), None);
    api.leave_finalizers(path, &release.namespace, &release.finalizers, Some(&release.version)).await?;
    info!(namespace = release.namespace, "took External Secrets' finalizer off the namespace");
    Ok(())
}

/// Takes ESO's finalizer off a ClusterExternalSecret.
pub(super) async fn let_go(api: &Api, name: &str, rest: &[String], version: &str) -> Result<(), ApiError> {
    api.leave_finalizers(ClusterExternalSecret::url_path(&(), None), name, rest, Some(version)).await?;
    info!(name, finalizer = CLUSTER_FINALIZER, "took External Secrets' finalizer off the ClusterExternalSecret");
    Ok(())
}

/// Writes a status and gives the version that it made.
pub(super) async fn write(
    api: &Api,
    parent: &Parent,
    status: &ClusterExternalSecretStatus,
) -> Result<String, ApiError> {
    let patch = Patch::Merge(status::patch(&parent.uid, status));
    let path = ClusterExternalSecret::url_path(&(), None);
    let request = request::Request::new(path).patch_subresource("status", &parent.name, &parameters(), &patch)?;
    api.write(api::with_body(request)).await
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
