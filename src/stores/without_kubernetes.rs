//! A program that was built without Kubernetes.

use std::sync::Arc;

use bulla_crds::secret_store::KubernetesProvider;

use super::StoreError;
use super::connect::unsupported;
use super::materials::Materials;
use crate::providers::{Gate, Provider};

/// Says so.
#[expect(clippy::unused_async, reason = "stands in for one that waits")]
pub(super) async fn connect(
    materials: &mut Materials<'_>,
    _: &KubernetesProvider,
    _: Gate,
) -> Result<Arc<dyn Provider>, StoreError> {
    materials.accounts("the provider kubernetes")?;
    Err(unsupported("kubernetes (this program was built without it)"))
}
