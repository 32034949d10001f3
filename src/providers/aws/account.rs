//! Who we are for AWS, and how its services are called: what all of them have in common.

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use super::calls::Calls;
use super::credentials::Identity;
use super::{AssumedRole, Credentials};
use crate::providers::{Cause, Gate, ProviderError};

/// How long it may take until a connection stands.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long one call may take; the gate's patience is longer.
const CALL: Duration = Duration::from_secs(25);

/// Who we are for AWS, and where.
pub struct Account {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// Who we are at first.
    pub credentials: Credentials,
    /// Roles assumed one after the other; external id and session tags belong to the last.
    pub roles: Vec<AssumedRole>,
    /// Where the service answers, instead of the region's own address.
    pub endpoint: Option<String>,
    /// Where STS answers, instead of the region's own address.
    pub sts_endpoint: Option<String>,
    /// Tries of one call, the first included; `None` is one, since whoever asks tries again by itself, later.
    pub attempts: Option<u32>,
    /// A fixed wait between tries; `None` is one that doubles from a second on.
    pub retry_interval: Option<Duration>,
}

/// The settings of a service's client, and how its calls are made.
pub(super) async fn open(account: Account, gate: Gate) -> Result<(SdkConfig, Calls), ProviderError> {
    let Account { region, credentials, roles, endpoint: _, sts_endpoint, attempts, retry_interval } = account;
    // It becomes a part of a host's name.
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(ProviderError::new(Cause::Misconfigured, format!("region not found: {region:?}")));
    }
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECTING).operation_attempt_timeout(CALL);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts.build())
        .identity_cache(IdentityCache::no_cache())
        .build();
    let mut sts = aws_sdk_sts::config::Builder::from(&config);
    sts.set_endpoint_url(sts_endpoint);
    let sts = aws_sdk_sts::Client::from_conf(sts.build());
    let identity = Arc::new(Identity::new(credentials, roles, sts, region, gate.clone()).await?);
    let keys: Arc<dyn ProvideCredentials> = Arc::<Identity>::clone(&identity);
    let config = config.into_builder().credentials_provider(SharedCredentialsProvider::from(keys)).build();
    Ok((config, Calls::new(gate, identity, attempts, retry_interval)))
}
