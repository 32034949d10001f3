//! AWS KMS: a few bytes encrypted by a key that never leaves the service.

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;

use super::calls::Calls;
use super::{Account, account};
use crate::providers::{Cause, Gate, ProviderError};
use crate::secret::Plaintext;

/// What is authenticated with every ciphertext: one that was made for something else is refused.
const CONTEXT: (&str, &str) = ("application", "bulla");

/// One key of AWS KMS.
pub struct Kms {
    client: Client,
    calls: Calls,
    key: String,
}

impl Kms {
    /// The key of this id, ARN or alias (`alias/<name>`). `account.endpoint` is where KMS answers instead of the region's own
    /// address. Nothing is sent yet, unless the SDK's default credentials ask for it.
    ///
    /// # Errors
    /// If the region cannot be one, or credentials are not text.
    pub async fn connect(account: Account, gate: Gate, key: String) -> Result<Self, ProviderError> {
        let endpoint = account.endpoint.clone();
        let (config, calls) = account::open(account, gate).await?;
        let mut config = aws_sdk_kms::config::Builder::from(&config);
        config.set_endpoint_url(endpoint);
        Ok(Self { client: Client::from_conf(config.build()), calls, key })
    }

    /// Encrypts up to 4,096 bytes. What comes out names the key, so that the key may be replaced in the settings.
    ///
    /// # Errors
    /// What KMS refuses.
    pub async fn encrypt(&self, plaintext: &Plaintext) -> Result<Vec<u8>, ProviderError> {
        let send = || {
            // The SDK's copy is the SDK's, and not wiped.
            let call = self.client.encrypt().key_id(&self.key).plaintext(Blob::new(plaintext.expose().to_vec()));
            call.encryption_context(CONTEXT.0, CONTEXT.1).send()
        };
        let answer = self.calls.make("KMSEncrypt", &self.what("encrypt"), send).await?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.empty())
    }

    /// Decrypts what [`Self::encrypt`] gave.
    ///
    /// # Errors
    /// What KMS refuses; [`Cause::Invalid`] if it was altered or is another application's.
    pub async fn decrypt(&self, ciphertext: &[u8]) -> Result<Plaintext, ProviderError> {
        let send = || {
            let call = self.client.decrypt().ciphertext_blob(Blob::new(ciphertext));
            call.encryption_context(CONTEXT.0, CONTEXT.1).send()
        };
        let answer = self.calls.make("KMSDecrypt", &self.what("decrypt"), send).await?;
        answer.plaintext.map(|blob| Plaintext::new(blob.into_inner())).ok_or_else(|| self.empty())
    }

    fn what(&self, verb: &str) -> String {
        format!("cannot {verb} with the KMS key {}", self.key)
    }

    fn empty(&self) -> ProviderError {
        ProviderError::new(Cause::Unavailable, format!("the answer of KMS about {} is empty", self.key))
    }
}
