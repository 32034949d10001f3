//! What an AWS provider is made from.

use std::sync::Arc;
use std::time::Duration;

use crate::providers::TokenSource;
use crate::secret::Plaintext;

/// A store of one of the AWS services.
pub struct Settings {
    /// Which service.
    pub service: Service,
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// Who we are at first.
    pub credentials: Credentials,
    /// Roles assumed one after the other; external id and session tags belong to the last.
    pub roles: Vec<AssumedRole>,
    /// Put before every key.
    pub prefix: String,
    /// Where the service answers, instead of the region's own address.
    pub endpoint: Option<String>,
    /// Where STS answers, instead of the region's own address.
    pub sts_endpoint: Option<String>,
    /// Tries of one call, the first included; `None` is one, since whoever asks tries again by itself, later.
    pub attempts: Option<u32>,
    /// A fixed wait between tries; `None` is one that doubles from a second on.
    pub retry_interval: Option<Duration>,
}

/// Which AWS service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// AWS Secrets Manager.
    SecretsManager,
    /// AWS Systems Manager Parameter Store.
    ParameterStore,
}

/// How a store proves who it is.
pub enum Credentials {
    /// Access keys as they are.
    Static {
        /// Not secret by itself.
        access_key_id: String,
        /// The secret part.
        secret_access_key: Plaintext,
        /// Of temporary keys.
        session_token: Option<Plaintext>,
    },
    /// A service account's token exchanged at STS (`AssumeRoleWithWebIdentity`, "IRSA").
    WebIdentity {
        /// The role to take on.
        role_arn: String,
        /// Gives the token.
        token: Arc<dyn TokenSource>,
    },
    /// The SDK's chain: environment, IRSA of our own pod, Pod Identity, instance metadata.
    Default,
}

/// A role to assume on top of what was there before.
#[derive(Clone, Debug, Default)]
pub struct AssumedRole {
    /// The role.
    pub arn: String,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
    /// Session tags.
    pub tags: Vec<(String, String)>,
    /// Keys of the session tags that go on to the next role.
    pub transitive_tags: Vec<String>,
}
