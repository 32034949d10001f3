//! How often a store wants calls to be tried again.

use std::time::Duration;

use bulla_crds::secret_store::RetrySettings;

use super::StoreError;
use crate::sync::external::duration;

/// Tries and the wait between them, as a store's `retrySettings` say.
pub(super) fn retries(retry: Option<&RetrySettings>) -> Result<(Option<u32>, Option<Duration>), StoreError> {
    let Some(retry) = retry else { return Ok((None, None)) };
    let interval = match retry.retry_interval.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(
            duration::interval(text)
                .map_err(|error| StoreError::Invalid(format!("spec.retrySettings.retryInterval: {error}")))?,
        ),
    };
    Ok((retry.max_retries.map(|most| u32::try_from(most).unwrap_or(0)), interval))
}
