//! AWS Secrets Manager and Parameter Store.
//!
//! | module | what it is |
//! | --- | --- |
//! | `credentials` | who a store is: had once, renewed before the end |
//! | `calls` | how one call is made: credentials, gate, further tries |
//! | `store` | from requests to calls, whichever the service |
//! | `secrets_manager`, `parameter_store` | the services |
//! | `error` | what AWS refuses, in our words |
//!
//! Values leave the SDK as its strings and become [`Plaintext`](crate::secret::Plaintext) without a copy; the buffer
//! that the SDK read an answer into is the SDK's, and not wiped.

mod calls;
mod credentials;
mod error;
mod parameter_store;
mod secrets_manager;
mod settings;
mod store;

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use self::calls::Calls;
use self::credentials::Identity;
use self::parameter_store::ParameterStore;
use self::secrets_manager::SecretsManager;
pub use self::settings::{AssumedRole, Credentials, Service, Settings};
use self::store::Store;
use super::{Cause, Gate, Provider, ProviderError};

/// How long it may take until a connection stands.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long one call may take; the gate's patience is longer.
const CALL: Duration = Duration::from_secs(25);

/// Makes the store. No call is made yet, and no variable of the environment is read unless the settings ask for the
/// SDK's default credentials.
///
/// # Errors
/// If the region cannot be one, or credentials are not text.
pub async fn connect(settings: Settings, gate: Gate) -> Result<Arc<dyn Provider>, ProviderError> {
    let Settings { service, region, credentials, roles, prefix, endpoint, sts_endpoint, attempts, retry_interval } =
        settings;
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
    let calls = Calls::new(gate, identity, attempts, retry_interval);
    Ok(match service {
        Service::SecretsManager => {
            Arc::new(Store::new(SecretsManager::new(&config, endpoint, calls), prefix)) as Arc<dyn Provider>
        }
        Service::ParameterStore => Arc::new(Store::new(ParameterStore::new(&config, endpoint, calls), prefix)),
    })
}
