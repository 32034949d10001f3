//! A program that was built without AWS.

use std::sync::Arc;

use bulla_crds::secret_store::{AwsProvider, RetrySettings};

use super::connect::unsupported;
use super::materials::Materials;
use super::{StoreError, StoreId};
use crate::providers::{Gate, Provider};

/// Says so.
#[expect(clippy::unused_async, reason = "stands in for one that waits")]
pub(super) async fn connect(
    _: &mut Materials<'_>,
    _: &StoreId,
    _: &AwsProvider,
    _: Option<&RetrySettings>,
    _: Option<&str>,
    _: Gate,
) -> Result<Arc<dyn Provider>, StoreError> {
    Err(unsupported("aws (this program was built without it)"))
}
