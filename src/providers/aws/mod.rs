//! AWS Secrets Manager and Parameter Store, and KMS.
//!
//! | module | what it is |
//! | --- | --- |
//! | `credentials` | who a store is: had once, renewed before the end |
//! | `calls` | how one call is made: credentials, gate, further tries |
//! | `store` | from requests to calls, whichever the service |
//! | `secrets_manager`, `parameter_store`, `kms` | the services |
//! | `account` | what all services have in common |
//! | `error` | what AWS refuses, in our words |
//!
//! Values leave the SDK as its strings and become [`Plaintext`](crate::secret::Plaintext) without a copy; the buffer
//! that the SDK read an answer into is the SDK's, and not wiped.

mod account;
mod calls;
mod credentials;
mod error;
mod kms;
mod parameter_store;
mod secrets_manager;
mod settings;
mod store;

use std::sync::Arc;

pub use self::account::Account;
pub use self::kms::Kms;
use self::parameter_store::ParameterStore;
use self::secrets_manager::SecretsManager;
pub use self::settings::{AssumedRole, Credentials, Service, Settings};
use self::store::Store;
use super::{Gate, Provider, ProviderError};

/// Makes the store. No call is made yet, and no variable of the environment is read unless the settings ask for the
/// SDK's default credentials.
///
/// # Errors
/// If the region cannot be one, or credentials are not text.
pub async fn connect(settings: Settings, gate: Gate) -> Result<Arc<dyn Provider>, ProviderError> {
    let Settings { service, region, credentials, roles, prefix, endpoint, sts_endpoint, attempts, retry_interval } =
        settings;
    let account = Account { region, credentials, roles, endpoint: None, sts_endpoint, attempts, retry_interval };
    let (config, calls) = account::open(account, gate).await?;
    Ok(match service {
        Service::SecretsManager => {
            Arc::new(Store::new(SecretsManager::new(&config, endpoint, calls), prefix)) as Arc<dyn Provider>
        }
        Service::ParameterStore => Arc::new(Store::new(ParameterStore::new(&config, endpoint, calls), prefix)),
    })
}
