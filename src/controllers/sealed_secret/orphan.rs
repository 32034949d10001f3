//! The Secret of a SealedSecret that is gone, where this controller is asked to delete it.
//!
//! Kubernetes' garbage collector does so by the owner reference; clusters in which it does not run, or may not delete,
//! ask for upstream's old behaviour. Nothing is deleted that the SealedSecret did not control, so what was orphaned on
//! purpose (`kubectl delete --cascade=orphan`) stays.

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Preconditions};
use tracing::info;

use super::desired;
use crate::audit;
use crate::controllers::api::{self, Api, ApiError};
use crate::controllers::observe;
use crate::controllers::queue::Key;

/// Deletes the Secret `key` if there is no SealedSecret of that name and the last one controlled it.
///
/// # Errors
/// What the API server answered; then it is to be tried again.
pub(super) async fn collect(api: &Api, key: &Key) -> Result<(), ApiError> {
    match api.get::<SealedSecret>(key.namespace(), key.name()).await {
        // It may only have left the label selector, or have come back.
        Ok(_) => return Ok(()),
        Err(ApiError::NotFound) => {}
        Err(error) => return Err(error),
    }
    let Some(live) = observe::secret(api, key.namespace(), key.name()).await? else { return Ok(()) };
    if live.terminating || !live.controller().is_some_and(|by| desired::owner_named(key.name()).is_named_by(by)) {
        return Ok(());
    }
    let parameters = DeleteParams {
        // Whatever happens to it meanwhile, only what was looked at is deleted.
        preconditions: Some(Preconditions { uid: Some(live.uid), resource_version: Some(live.resource_version) }),
        ..DeleteParams::default()
    };
    match api.send(api::with_body(api::at::<Secret>(key.namespace()).delete(key.name(), &parameters)?)).await {
        Ok(body) => {
            api::wipe(body);
            audit::record(audit::Entry {
                action: audit::Action::Delete,
                actor: "controller",
                kind: bulla_crds::sealed_secret::KIND,
                namespace: key.namespace(),
                name: key.name(),
                keys: &[],
                outcome: "ok",
            });
            info!(namespace = key.namespace(), name = key.name(), "deleted the Secret of a SealedSecret that is gone");
            Ok(())
        }
        Err(ApiError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
