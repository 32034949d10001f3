//! Who a store is for AWS: credentials that are had once, kept in memory and renewed before they end.
//!
//! The SDK would ask for them in the middle of a call. That would make an exchange at STS count as a part of another
//! call, and its errors come wrapped; so they are had before the call, and the SDK's own cache is off.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::types;
use tokio::time::Instant;

use super::error::{explain, sanitised};
use super::{AssumedRole, Credentials};
use crate::providers::{Cause, Gate, ProviderError, TokenSource};
use crate::secret::Plaintext;

/// How sessions are called in the logs of AWS: as those of External Secrets, which policies may name.
const SESSION: &str = "external-secrets-provider-aws";
/// How long before their end credentials are renewed, at the earliest.
const EARLY: Duration = Duration::from_secs(300);
/// How long a renewal that failed is not tried again while the credentials are still good.
const REST: Duration = Duration::from_secs(20);
/// How long the SDK's chain may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who a store is.
pub(super) struct Identity {
    source: Source,
    roles: Vec<AssumedRole>,
    sts: aws_sdk_sts::Client,
    gate: Gate,
    held: Mutex<Option<Held>>,
    /// Locked by whoever gets new ones.
    renewal: tokio::sync::Mutex<Renewal>,
}

/// What became of the attempts to get credentials.
#[derive(Default)]
struct Renewal {
    /// How often there were new ones.
    number: u64,
    /// The last attempt if it failed, and when that was.
    failed: Option<(Instant, ProviderError)>,
}

/// Who a store is at first.
enum Source {
    Keys(Keys),
    Web { role_arn: String, token: Arc<dyn TokenSource> },
    Chain(Box<DefaultCredentialsChain>),
}

struct Held {
    keys: Keys,
    number: u64,
    /// When they are to be renewed; never, where they do not end.
    renew: Option<SystemTime>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// An identity that gets its credentials when they are first needed.
    ///
    /// # Errors
    /// If keys are not text.
    pub(super) async fn new(
        credentials: Credentials,
        roles: Vec<AssumedRole>,
        sts: aws_sdk_sts::Client,
        region: String,
        gate: Gate,
    ) -> Result<Self, ProviderError> {
        let source = match credentials {
            Credentials::Static { access_key_id, secret_access_key, session_token } => {
                let mut keys = Keys::builder().provider_name("store").access_key_id(access_key_id);
                keys = keys.secret_access_key(text(&secret_access_key)?);
                if let Some(token) = &session_token {
                    keys = keys.session_token(text(token)?);
                }
                Source::Keys(keys.build())
            }
            Credentials::WebIdentity { role_arn, token } => Source::Web { role_arn, token },
            Credentials::Default => {
                let region = aws_config::Region::new(region);
                Source::Chain(Box::new(DefaultCredentialsChain::builder().region(region).build().await))
            }
        };
        let (held, renewal) = Default::default();
        Ok(Self { source, roles, sts, gate, held, renewal })
    }

    /// Sees to it that good credentials are held; gives their number.
    pub(super) async fn ready(&self) -> Result<u64, ProviderError> {
        if let Some(number) = self.number_if_good() {
            return Ok(number);
        }
        let asked = Instant::now();
        let mut renewal = self.renewal.lock().await;
        if let Some(number) = self.number_if_good() {
            return Ok(number);
        }
        // Many may have waited for the attempt that failed just now: it counts for all of them.
        if let Some((at, error)) = &renewal.failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        let renewed = self.renewed().await;
        let mut held = self.held();
        match renewed {
            Ok(keys) => {
                renewal.number += 1;
                let renew = keys.expiry().map(early);
                *held = Some(Held { keys, number: renewal.number, renew });
                Ok(renewal.number)
            }
            Err(error) => match held.as_mut() {
                Some(old) if old.keys.expiry().is_none_or(|end| end > SystemTime::now() + REST) => {
                    old.renew = Some(SystemTime::now() + REST);
                    tracing::warn!(%error, "credentials for AWS could not be renewed; the old ones are still good");
                    Ok(old.number)
                }
                Some(_) | None => {
                    renewal.failed = Some((Instant::now(), error.clone()));
                    Err(error)
                }
            },
        }
    }

    /// Drops the credentials of that number, which AWS does not take. Says whether others may be had.
    pub(super) fn forget(&self, number: u64) -> bool {
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| held.number == number) {
            *held = None;
        }
        !matches!(self.source, Source::Keys(_)) || !self.roles.is_empty()
    }

    fn number_if_good(&self) -> Option<u64> {
        let held = self.held();
        let held = held.as_ref()?;
        held.renew.is_none_or(|renew| renew > SystemTime::now()).then_some(held.number)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renewed(&self) -> Result<Keys, ProviderError> {
        let mut keys = match &self.source {
            Source::Keys(keys) => keys.clone(),
            Source::Web { role_arn, token } => self.exchanged(role_arn, token.as_ref()).await?,
            // The chain makes calls of its own, to STS or to the machine's metadata: these do not pass the gate.
            Source::Chain(chain) => {
                let keys = tokio::time::timeout(PATIENCE, chain.provide_credentials()).await;
                keys.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE))).map_err(|e| unfound(&e))?
            }
        };
        for (at, role) in self.roles.iter().enumerate() {
            // A session tag on the way would be refused by roles that do not expect one.
            let is_last = at + 1 == self.roles.len();
            keys = self.assumed(role, keys, is_last).await?;
        }
        Ok(keys)
    }

    async fn exchanged(&self, role_arn: &str, source: &dyn TokenSource) -> Result<Keys, ProviderError> {
        let token = source.token().await?;
        let what = format!("role {role_arn:?} by the service account's token");
        let call = async {
            let call = self.sts.assume_role_with_web_identity().role_arn(role_arn).role_session_name(SESSION);
            let answer = call.web_identity_token(text(&token)?).send().await.map_err(|e| explain(&what, &e))?;
            keys(&what, answer.credentials)
        };
        self.gate.call("AssumeRoleWithWebIdentity", call).await.map_err(unauthenticated)
    }

    async fn assumed(&self, role: &AssumedRole, with: Keys, is_last: bool) -> Result<Keys, ProviderError> {
        let what = format!("role {:?}", role.arn);
        let call = async {
            let mut call = self.sts.assume_role().role_arn(&role.arn).role_session_name(SESSION);
            if is_last {
                call = call.set_external_id(role.external_id.clone());
                for (key, value) in &role.tags {
                    let tag = types::Tag::builder().key(key).value(value).build();
                    call = call.tags(tag.map_err(|e| ProviderError::new(Cause::Misconfigured, e.to_string()))?);
                }
                for key in &role.transitive_tags {
                    call = call.transitive_tag_keys(key);
                }
            }
            let as_before = aws_sdk_sts::Config::builder().credentials_provider(with);
            let answer = call.customize().config_override(as_before).send().await.map_err(|e| explain(&what, &e))?;
            keys(&what, answer.credentials)
        };
        self.gate.call("AssumeRole", call).await.map_err(unauthenticated)
    }
}

impl ProvideCredentials for Identity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let keys = self.held().as_ref().map(|held| held.keys.clone());
        future::ProvideCredentials::ready(keys.ok_or_else(CredentialsError::not_loaded_no_source))
    }
}

/// When credentials that end then are renewed: earlier, and never much later than at three quarters of their life.
fn early(end: SystemTime) -> SystemTime {
    let now = SystemTime::now();
    let left = end.duration_since(now).unwrap_or_default();
    now + left.saturating_sub(EARLY.min(left / 4))
}

fn keys(what: &str, answered: Option<types::Credentials>) -> Result<Keys, ProviderError> {
    let answered = answered
        .ok_or_else(|| ProviderError::new(Cause::Unavailable, format!("{what}: STS answered without credentials")))?;
    let seconds = u64::try_from(answered.expiration.secs()).unwrap_or(0);
    let keys = Keys::builder().provider_name("STS").access_key_id(answered.access_key_id);
    let keys = keys.secret_access_key(answered.secret_access_key).session_token(answered.session_token);
    Ok(keys.expiry(UNIX_EPOCH + Duration::from_secs(seconds)).build())
}

/// To be refused a role is to be refused, whatever the reason that STS gives: no key was looked at yet.
fn unauthenticated(error: ProviderError) -> ProviderError {
    match error.cause {
        Cause::Missing | Cause::Invalid | Cause::Denied => ProviderError { cause: Cause::Unauthenticated, ..error },
        Cause::Unauthenticated | Cause::Throttled { .. } | Cause::Unavailable | Cause::Misconfigured => error,
    }
}

fn unfound(error: &CredentialsError) -> ProviderError {
    let (cause, why) = match error {
        CredentialsError::ProviderTimedOut(_) => (Cause::Unavailable, "the default chain does not answer"),
        CredentialsError::InvalidConfiguration(_) => (Cause::Misconfigured, "the default chain is misconfigured"),
        CredentialsError::CredentialsNotLoaded(_) => (Cause::Unauthenticated, "the default chain has none"),
        CredentialsError::ProviderError(_) | CredentialsError::Unhandled(_) | _ => {
            (Cause::Unavailable, "the default chain failed")
        }
    };
    // A profile's parse error may quote a line of the file: only the words of the error itself are repeated.
    ProviderError::new(cause, format!("credentials for AWS: {why}: {}", sanitised(&error.to_string())))
}

fn text(plain: &Plaintext) -> Result<String, ProviderError> {
    // The SDK wants a String of its own; it wipes credentials, but not a token.
    str::from_utf8(plain.expose())
        .map(str::to_owned)
        .map_err(|_| ProviderError::new(Cause::Misconfigured, "credentials for AWS: they are not text"))
}
