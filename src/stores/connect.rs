//! From a store's settings to a provider that can be asked.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bulla_crds::secret_store::{AwsService, FileProvider, SecretStoreSpec, SessionTagsPolicy, StoreProvider, validate};

use super::materials::Materials;
use super::{Objects, StoreError, StoreId};
use crate::providers::gate::Meter;
use crate::providers::{Gate, Provider, fake, file};
use crate::resource::secret_store as resource;
use crate::seal::Identity;
use crate::sync::pressure::Budget;

/// What connecting needs besides the store.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where the objects are that settings name.
    pub objects: &'a dyn Objects,
    /// Is told of every call.
    pub meter: &'a Arc<dyn Meter>,
}

/// A provider, the gate to it, and what it was made from.
pub struct Connected {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// The gate that its calls pass.
    pub gate: Gate,
    /// Changes with every credential that the settings name.
    pub fingerprint: u64,
}

/// How long the token of a service account lives that a Kubernetes store takes. The store is set up anew before it ends.
pub(super) const TOKEN_SECONDS: i64 = 3600;

/// How hard a provider may be pressed unless the store says otherwise: calls a second, and at once.
const fn pressure(provider: &StoreProvider) -> (f64, f64) {
    match provider {
        // Secrets Manager takes thousands of reads a second from an account, Parameter Store 40.
        StoreProvider::Aws(aws) => match aws.service {
            AwsService::ParameterStore => (20.0, 40.0),
            AwsService::SecretsManager | AwsService::CertificateManager => (50.0, 100.0),
        },
        // One read a path, on the team's own server.
        StoreProvider::Vault(_) | StoreProvider::OpenBao(_) => (300.0, 600.0),
        StoreProvider::Kubernetes(_) => (50.0, 100.0),
        StoreProvider::Fake(_)
        | StoreProvider::File(_)
        | StoreProvider::Other(_)
        | StoreProvider::Several(_)
        | StoreProvider::Missing => (1000.0, 1000.0),
    }
}

/// Makes a provider of `spec`. `user` is the namespace of the ExternalSecret that asks; `gate` is the store's, made here
/// if it is the first time.
///
/// # Errors
/// The settings cannot work, or name what cannot be read. [`StoreError::Referent`] where it takes a `user` to tell.
pub async fn connect(
    around: Surroundings<'_>,
    store: &StoreId,
    spec: &SecretStoreSpec,
    user: Option<&str>,
    gate: &OnceLock<Gate>,
) -> Result<Connected, StoreError> {
    let namespace = (!store.is_cluster()).then_some(&*store.namespace);
    if let Some(violation) = validate(spec, store.is_cluster(), namespace).first() {
        return Err(StoreError::Invalid(violation.to_string()));
    }
    let (per_second, burst) = pressure(&spec.provider);
    let limit = spec.rate_limit.unwrap_or_default();
    let per_second = limit.calls_per_second.unwrap_or(per_second);
    let burst = limit.burst.map_or(burst, f64::from);
    let fresh = |name| Gate::new(name, Budget::new(per_second, burst), Arc::clone(around.meter));
    let gate = |name| gate.get_or_init(|| fresh(name)).clone();
    let mut materials = Materials::new(around.objects, store, user);
    let retry = spec.retry_settings.as_ref();
    let (provider, gate) = match &spec.provider {
        StoreProvider::Aws(settings) => {
            let gate = gate(match settings.service {
                AwsService::ParameterStore => "AWS/ParameterStore",
                AwsService::SecretsManager | AwsService::CertificateManager => "AWS/SecretsManager",
            });
            (super::aws::connect(&mut materials, store, settings, retry, user, gate.clone()).await?, gate)
        }
        StoreProvider::Vault(settings) | StoreProvider::OpenBao(settings) => {
            let gate = gate("HashiCorp/Vault");
            (super::vault::connect(&mut materials, settings, retry, gate.clone()).await?, gate)
        }
        StoreProvider::Kubernetes(settings) => {
            let gate = gate("Kubernetes");
            (super::kubernetes::connect(&mut materials, settings, gate.clone()).await?, gate)
        }
        StoreProvider::Fake(settings) => {
            let gate = gate("Fake");
            (fake::connect(resource::fake_settings(settings), gate.clone())?, gate)
        }
        StoreProvider::File(settings) => {
            let gate = gate("File");
            let settings = from_file(&mut materials, settings).await?;
            (file::connect(settings, gate.clone())?, gate)
        }
        StoreProvider::Other(name) => return Err(unsupported(name)),
        StoreProvider::Several(names) => {
            let names = names.join(", ");
            return Err(StoreError::Invalid(format!("spec.provider must name one provider, not several: {names}")));
        }
        StoreProvider::Missing => {
            return Err(StoreError::Invalid("spec.provider: a provider must be specified".to_owned()));
        }
    };
    Ok(Connected { provider, gate, fingerprint: materials.fingerprint() })
}

/// How long a session is good for where its credentials are a token that was taken when it was made, and that it does
/// not replace by itself.
#[must_use]
pub fn life(spec: &SecretStoreSpec) -> Option<Duration> {
    let StoreProvider::Kubernetes(settings) = &spec.provider else { return None };
    settings.auth.as_ref()?.service_account.as_ref().map(|_| Duration::from_secs(TOKEN_SECONDS.unsigned_abs()))
}

pub(super) fn unsupported(name: &str) -> StoreError {
    StoreError::Invalid(format!(
        "the provider {name:?} is not supported; supported are aws (SecretsManager, ParameterStore), vault, openBao, \
         kubernetes, file and fake"
    ))
}

/// Whether a session is for one namespace only, because it says so to AWS.
#[must_use]
pub fn names_its_user(spec: &SecretStoreSpec) -> bool {
    match &spec.provider {
        StoreProvider::Aws(aws) => {
            aws.role.is_some() && aws.session_tags_policy.unwrap_or_default() != SessionTagsPolicy::None
        }
        StoreProvider::Vault(_)
        | StoreProvider::OpenBao(_)
        | StoreProvider::Kubernetes(_)
        | StoreProvider::Fake(_)
        | StoreProvider::File(_)
        | StoreProvider::Other(_)
        | StoreProvider::Several(_)
        | StoreProvider::Missing => false,
    }
}

/// Whether all that the store holds is read when it is set up, and nothing when it is asked.
#[must_use]
pub const fn is_read_with_settings(spec: &SecretStoreSpec) -> bool {
    match &spec.provider {
        StoreProvider::File(file) => file.path.is_none(),
        StoreProvider::Aws(_)
        | StoreProvider::Vault(_)
        | StoreProvider::OpenBao(_)
        | StoreProvider::Kubernetes(_)
        | StoreProvider::Fake(_)
        | StoreProvider::Other(_)
        | StoreProvider::Several(_)
        | StoreProvider::Missing => false,
    }
}

async fn from_file(materials: &mut Materials<'_>, settings: &FileProvider) -> Result<file::Settings, StoreError> {
    let source = match (&settings.path, &settings.config_map_ref, &settings.secret_ref) {
        (Some(path), None, None) => materials.on_disk(path).await?,
        (None, Some(map), None) => file::Source::Bytes(materials.file(map, false).await?),
        (None, None, Some(secret)) => file::Source::Bytes(materials.file(secret, true).await?),
        _ => {
            let rule = "spec.provider.file must have exactly one of path, configMapRef and secretRef";
            return Err(StoreError::Invalid(rule.to_owned()));
        }
    };
    let Some(selector) = &settings.identity_secret_ref else {
        let identities = materials.own_identities().ok_or_else(|| {
            let problem = "spec.provider.file.identitySecretRef is missing: the age identity that opens it";
            StoreError::Invalid(problem.to_owned())
        })?;
        return Ok(file::Settings { source, identities });
    };
    let text = materials.text(selector, Some("identity")).await?;
    let identities = Identity::parse_all(&text).map_err(|error| {
        StoreError::Invalid(format!("the age identity in secret {:?} cannot be used: {error}", selector.name))
    })?;
    Ok(file::Settings { source, identities })
}
