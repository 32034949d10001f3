//! A program that was built without Vault.

use std::sync::Arc;

use bulla_crds::secret_store::{RetrySettings, VaultProvider};

use super::StoreError;
use super::connect::unsupported;
use super::materials::Materials;
use crate::providers::{Gate, Provider};

/// Says so.
#[expect(clippy::unused_async, reason = "stands in for one that waits")]
pub(super) async fn connect(
    _: &mut Materials<'_>,
    _: &VaultProvider,
    _: Option<&RetrySettings>,
    _: Gate,
) -> Result<Arc<dyn Provider>, StoreError> {
    Err(unsupported("vault (this program was built without it)"))
}
