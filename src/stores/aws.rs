//! The settings of an AWS store.

use std::sync::Arc;

use bulla_crds::secret_store::{AwsProvider, AwsService, RetrySettings, SessionTagsPolicy};

use super::connect::unsupported;
use super::materials::Materials;
use super::retry::retries;
use super::{StoreError, StoreId};
use crate::providers::{Gate, Provider, aws};
use crate::secret::Plaintext;

/// Makes a provider of the settings.
pub(super) async fn connect(
    materials: &mut Materials<'_>,
    store: &StoreId,
    settings: &AwsProvider,
    retry: Option<&RetrySettings>,
    user: Option<&str>,
    gate: Gate,
) -> Result<Arc<dyn Provider>, StoreError> {
    let settings = from_aws(materials, store, settings, retry, user).await?;
    Ok(aws::connect(settings, gate).await?)
}

const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE_ANNOTATION: &str = "eks.amazonaws.com/audience";
const STS_AUDIENCE: &str = "sts.amazonaws.com";
/// How long the token of a service account lives that is exchanged for a role.
const TOKEN_SECONDS: i64 = 3600;

async fn from_aws(
    materials: &mut Materials<'_>,
    store: &StoreId,
    settings: &AwsProvider,
    retry: Option<&RetrySettings>,
    user: Option<&str>,
) -> Result<aws::Settings, StoreError> {
    let service = match settings.service {
        AwsService::SecretsManager => aws::Service::SecretsManager,
        AwsService::ParameterStore => aws::Service::ParameterStore,
        AwsService::CertificateManager => return Err(unsupported("aws (CertificateManager)")),
    };
    let auth = settings.auth.as_ref();
    let account = auth.and_then(|auth| auth.jwt.as_ref()).and_then(|jwt| jwt.service_account_ref.as_ref());
    let keys = auth.and_then(|auth| auth.secret_ref.as_ref());
    let credentials = if let Some(account) = account {
        let (annotations, namespace) = materials.annotations(account).await?;
        let role_arn = annotations.get(ROLE_ANNOTATION).filter(|arn| !arn.is_empty()).cloned().ok_or_else(|| {
            let name = &account.name;
            StoreError::Invalid(format!(
                "an IAM role must be associated with service account {name} (namespace: {namespace}) by {ROLE_ANNOTATION}"
            ))
        })?;
        let usual = annotations.get(AUDIENCE_ANNOTATION).filter(|audience| !audience.is_empty());
        let mut audiences = vec![usual.cloned().unwrap_or_else(|| STS_AUDIENCE.to_owned())];
        audiences.extend(account.audiences.iter().cloned());
        aws::Credentials::WebIdentity { role_arn, token: materials.tokens(account, audiences, TOKEN_SECONDS)? }
    } else if let Some(keys) = keys {
        let missing = |field| StoreError::Invalid(format!("spec.provider.aws.auth.secretRef.{field} is missing"));
        let id = keys.access_key_id_secret_ref.as_ref().ok_or_else(|| missing("accessKeyIDSecretRef"))?;
        let secret = keys.secret_access_key_secret_ref.as_ref().ok_or_else(|| missing("secretAccessKeySecretRef"))?;
        let session_token = match &keys.session_token_secret_ref {
            None => None,
            Some(token) => Some(Plaintext::copy_of(materials.text(token, None).await?.as_bytes())),
        };
        aws::Credentials::Static {
            access_key_id: materials.text(id, None).await?.to_string(),
            secret_access_key: Plaintext::copy_of(materials.text(secret, None).await?.as_bytes()),
            session_token,
        }
    } else {
        // What is sent there is signed as the controller: that goes to AWS, or to where who rules the cluster says.
        if !store.is_cluster() && (settings.endpoint.is_some() || settings.sts_endpoint.is_some()) {
            let rule =
                "endpoint and stsEndpoint of a SecretStore need credentials of its own (auth.secretRef or auth.jwt)";
            return Err(StoreError::Invalid(format!("spec.provider.aws: {rule}")));
        }
        aws::Credentials::Default
    };
    let role = |arn: &String| aws::AssumedRole { arn: arn.clone(), ..aws::AssumedRole::default() };
    let mut roles: Vec<_> = settings.additional_roles.iter().map(role).collect();
    if let Some(arn) = settings.role.as_ref().filter(|arn| !arn.is_empty()) {
        roles.push(aws::AssumedRole {
            arn: arn.clone(),
            external_id: settings.external_id.clone(),
            tags: session_tags(store, settings, user)?,
            transitive_tags: settings.transitive_tag_keys.clone(),
        });
    }
    let (attempts, retry_interval) = retries(retry)?;
    Ok(aws::Settings {
        service,
        region: settings.region.clone(),
        credentials,
        roles,
        prefix: settings.prefix.clone().unwrap_or_default(),
        endpoint: settings.endpoint.clone(),
        sts_endpoint: settings.sts_endpoint.clone(),
        // What the External Secrets Operator takes for `maxRetries` is the number of tries; 3 unless it is said.
        attempts: retry.map(|_| attempts.unwrap_or(3).max(1)),
        retry_interval,
    })
}

fn session_tags(
    store: &StoreId,
    settings: &AwsProvider,
    user: Option<&str>,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut tags: Vec<_> = settings.session_tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    let policy = settings.session_tags_policy.unwrap_or_default();
    if policy == SessionTagsPolicy::None {
        return Ok(tags);
    }
    let namespace = if store.is_cluster() { user.ok_or(StoreError::Referent)? } else { &store.namespace };
    for (key, value) in
        [("esoNamespace", namespace), ("esoStoreName", &store.name), ("esoStoreKind", store.kind.as_str())]
    {
        tags.push((key.to_owned(), value.to_owned()));
    }
    if policy == SessionTagsPolicy::Custom {
        tags.extend(settings.custom_session_tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(tags)
}
