//! Wrapped by AWS KMS: the Secret holds what KMS wrote, which only KMS opens.

use futures::FutureExt as _;

use super::{Answer, KeyWrapper, KmsWrapping, WrapError};
use crate::providers::Gate;
use crate::providers::aws::{Account, AssumedRole, Credentials, Kms};
use crate::secret::Plaintext;

/// The wrapper and what it is called: the key as it was named in the settings.
pub(super) struct Named {
    kms: Kms,
    name: String,
}

/// Makes the wrapper.
pub(super) async fn connect(settings: &KmsWrapping) -> Result<Named, WrapError> {
    let role = settings.role_arn.clone().map(|arn| AssumedRole { arn, ..AssumedRole::default() });
    let account = Account {
        region: settings.region.clone(),
        credentials: Credentials::Default,
        roles: role.into_iter().collect(),
        endpoint: settings.endpoint.clone(),
        sts_endpoint: None,
        attempts: None,
        retry_interval: None,
    };
    let kms = Kms::connect(account, Gate::unmetered("AWS/KMS"), settings.key.clone()).await?;
    Ok(Named { kms, name: format!("aws-kms:{}", settings.key) })
}

impl KeyWrapper for Named {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn wrap<'a>(&'a self, identity: &'a Plaintext) -> Answer<'a, Vec<u8>> {
        async { Ok(self.kms.encrypt(identity).await?) }.boxed()
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8]) -> Answer<'a, Plaintext> {
        async { Ok(self.kms.decrypt(wrapped).await?) }.boxed()
    }
}
