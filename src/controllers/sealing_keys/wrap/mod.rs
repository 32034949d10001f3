//! Private halves that are wrapped at rest: what is in the cluster's store, and in its backups, opens nothing.
//!
//! | module | what wraps |
//! | --- | --- |
//! | `age` | an age recipient whose identity is held outside the cluster |
//! | `transit` | a key of Vault's Transit engine |
//! | `kms` | a key of AWS KMS |
//!
//! New keys are wrapped by the wrapper that was chosen; a key that is there is unwrapped by whichever is set up for its
//! form, so that one can follow another. What was unwrapped stays in memory, and only there: a wrapper that goes away
//! later stops nothing. Upstream's TLS keys are not wrapped, since upstream could not read them.

mod age;
#[cfg(feature = "aws")]
mod kms;
mod settings;
#[cfg(feature = "vault")]
mod transit;

use std::collections::HashMap;
use std::time::Duration;

use bulla_crds::names;
use futures::future::{BoxFuture, join_all};
use sha2::{Digest as _, Sha256};
use tracing::info;

pub use self::settings::{AgeWrapping, KmsWrapping, TransitWrapping, VaultLogin, Wrapper, Wrapping};

use super::load::{Key, Loaded, Wrapped};
use crate::audit;
use crate::providers::ProviderError;
use crate::seal::Identity;
use crate::secret::Plaintext;
use crate::sync::schedule::Class;

/// The data keys that a wrapped private half may be under: one for each wrapper.
pub(super) const FORMS: [&str; 3] = [Wrapper::Age.form(), Wrapper::VaultTransit.form(), Wrapper::AwsKms.form()];

/// How long a wrapper may take: nothing is opened with any key meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a wrapper did not do its work. Carries no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct WrapError {
    pub(super) message: String,
    pub(super) class: Class,
}

impl WrapError {
    fn new(class: Class, message: impl Into<String>) -> Self {
        Self { message: message.into(), class }
    }
}

impl From<ProviderError> for WrapError {
    fn from(error: ProviderError) -> Self {
        Self { class: error.class(), message: error.message }
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, WrapError>>;

/// Wraps private halves, and unwraps them. What it needs for that is outside the cluster.
trait KeyWrapper: Send + Sync {
    /// What it is, for the annotation on the Secret: never a secret.
    fn name(&self) -> String;

    /// Wraps an age identity file.
    fn wrap<'a>(&'a self, identity: &'a Plaintext) -> Answer<'a, Vec<u8>>;

    /// Gives back what was wrapped.
    fn unwrap<'a>(&'a self, wrapped: &'a [u8]) -> Answer<'a, Plaintext>;
}

/// A private half as it is stored.
pub(super) struct Stored {
    /// The data key.
    pub(super) form: &'static str,
    pub(super) bytes: Vec<u8>,
    /// What wrapped it.
    pub(super) by: String,
}

/// The wrappers that are set up, and what they unwrapped.
pub(super) struct Wrappers {
    settings: Wrapping,
    ready: HashMap<Wrapper, Box<dyn KeyWrapper>>,
    /// Identity files by the digest of what they were wrapped as.
    opened: HashMap<[u8; 32], Plaintext>,
}

impl Wrappers {
    pub(super) fn new(settings: Wrapping) -> Self {
        Self { settings, ready: HashMap::new(), opened: HashMap::new() }
    }

    /// Wraps the private half of a new key; `None` where keys are not wrapped.
    ///
    /// What was wrapped is unwrapped once before anybody hears of the key: a wrong recipient, or a right to encrypt
    /// without that to decrypt, would have everybody seal to a key that nobody can open.
    pub(super) async fn wrap(&mut self, identity: &Plaintext) -> Result<Option<Stored>, WrapError> {
        let Some(chosen) = self.settings.chosen else { return Ok(None) };
        self.prepare(chosen).await?;
        let wrapper = self.ready.get(&chosen).ok_or_else(|| not_set_up(chosen))?;
        let bytes = patiently(wrapper.wrap(identity)).await?;
        let back = patiently(wrapper.unwrap(&bytes)).await.map_err(|error| {
            let message = format!("what {} wrapped cannot be unwrapped again: {}", chosen.as_str(), error.message);
            WrapError::new(error.class, message)
        })?;
        if !back.same_as(identity.expose()) {
            let message = format!("what {} unwraps is not what it wrapped: see {}", chosen.as_str(), chosen.flag());
            return Err(WrapError::new(Class::Terminal, message));
        }
        Ok(Some(Stored { form: chosen.form(), bytes, by: wrapper.name() }))
    }

    /// Unwraps the keys that are wrapped, all at once. One that cannot be is known by its public half only.
    pub(super) async fn unwrap(&mut self, namespace: &str, loaded: &mut Loaded) {
        let wrapped = std::mem::take(&mut loaded.wrapped);
        let mut seen = Vec::with_capacity(wrapped.len());
        let mut wanted = Vec::new();
        for key in wrapped {
            if !key.facts.state.opens() {
                // Its private half is not needed, and so not had.
                loaded.keys.push(Key { facts: key.facts, identity: None });
                continue;
            }
            let digest: [u8; 32] = Sha256::digest(&key.bytes).into();
            seen.push(digest);
            wanted.push((digest, key));
        }
        let new: Vec<_> = wanted.iter().filter(|(digest, _)| !self.opened.contains_key(digest)).collect();
        let mut prepared: HashMap<&str, Result<Wrapper, WrapError>> = HashMap::new();
        for (_, key) in &new {
            if !prepared.contains_key(key.form) {
                let outcome = self.prepare_form(key.form).await;
                prepared.insert(key.form, outcome);
            }
        }
        let answers = join_all(new.iter().map(|(digest, key)| {
            let wrapper = prepared.get(key.form).cloned();
            let ready = &self.ready;
            async move {
                let wrapper = wrapper.unwrap_or_else(|| Err(unknown_form(key.form)))?;
                let wrapper = ready.get(&wrapper).ok_or_else(|| not_set_up(wrapper))?;
                let identity = patiently(wrapper.unwrap(&key.bytes)).await?;
                info!(key = %key.facts.id, secret = key.facts.secret.name, by = wrapper.name(), "unwrapped a sealing key");
                Ok((*digest, identity))
            }
        }))
        .await;
        let mut failed: HashMap<[u8; 32], WrapError> = HashMap::new();
        for ((digest, key), answer) in new.iter().zip(answers) {
            record(namespace, key, answer.as_ref().err());
            match answer {
                Ok((digest, identity)) => drop(self.opened.insert(digest, identity)),
                Err(error) => drop(failed.insert(*digest, error)),
            }
        }
        self.opened.retain(|digest, _| seen.contains(digest));
        for (digest, key) in wanted {
            self.place(digest, key, failed.remove(&digest), loaded);
        }
    }

    /// Puts a wrapped key where it belongs, now that it is known whether it could be unwrapped.
    fn place(&self, digest: [u8; 32], key: Wrapped, error: Option<WrapError>, loaded: &mut Loaded) {
        let facts = key.facts;
        let name = facts.secret.name.clone();
        if let Some(error) = error {
            loaded.is_away |= !error.class.is_terminal();
            loaded.locked.push((name, error.message));
            // It may still be sealed to, and is no reason to make another one.
            return loaded.keys.push(Key { facts, identity: None });
        }
        let text = self.opened.get(&digest).and_then(|identity| std::str::from_utf8(identity.expose()).ok());
        let identities = text.and_then(|text| Identity::parse_all(text).ok()).unwrap_or_default();
        match identities.into_iter().next().filter(|identity| identity.key_id() == facts.id) {
            Some(identity) => loaded.keys.push(Key { facts, identity: Some(identity) }),
            None => loaded.malformed.push((name, "what was wrapped is not the key of its recipient".to_owned())),
        }
    }

    async fn prepare_form(&mut self, form: &str) -> Result<Wrapper, WrapError> {
        let wrapper = Wrapper::ALL.into_iter().find(|wrapper| wrapper.form() == form);
        let wrapper = wrapper.ok_or_else(|| unknown_form(form))?;
        self.prepare(wrapper).await.map(|()| wrapper)
    }

    /// Makes a wrapper when it is needed for the first time, and again until that worked.
    async fn prepare(&mut self, wrapper: Wrapper) -> Result<(), WrapError> {
        if !self.ready.contains_key(&wrapper) {
            let made = patiently(Box::pin(make(wrapper, &self.settings))).await?;
            self.ready.insert(wrapper, made);
        }
        Ok(())
    }
}

async fn make(wrapper: Wrapper, settings: &Wrapping) -> Result<Box<dyn KeyWrapper>, WrapError> {
    match wrapper {
        Wrapper::Age => {
            let settings = settings.age.clone().ok_or_else(|| not_set_up(wrapper))?;
            Ok(Box::new(age::Age::new(settings)))
        }
        #[cfg(feature = "vault")]
        Wrapper::VaultTransit => {
            let settings = settings.transit.as_ref().ok_or_else(|| not_set_up(wrapper))?;
            Ok(Box::new(transit::connect(settings).await?))
        }
        #[cfg(feature = "aws")]
        Wrapper::AwsKms => {
            let settings = settings.kms.as_ref().ok_or_else(|| not_set_up(wrapper))?;
            Ok(Box::new(kms::connect(settings).await?))
        }
        #[cfg(not(all(feature = "aws", feature = "vault")))]
        _ => Err(WrapError::new(Class::Terminal, format!("this program was built without {}", wrapper.as_str()))),
    }
}

async fn patiently<T>(answer: Answer<'_, T>) -> Result<T, WrapError> {
    let late = || WrapError::new(Class::Transient, format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

fn not_set_up(wrapper: Wrapper) -> WrapError {
    let flag = wrapper.flag();
    WrapError::new(Class::Terminal, format!("it is wrapped by {}, which is not set up: see {flag}", wrapper.as_str()))
}

fn unknown_form(form: &str) -> WrapError {
    WrapError::new(Class::Terminal, format!("nothing is known that wraps as {form}"))
}

fn record(namespace: &str, key: &Wrapped, error: Option<&WrapError>) {
    audit::record(audit::Entry {
        action: audit::Action::UnwrapKey,
        actor: "controller",
        kind: "Secret",
        namespace,
        name: &key.facts.secret.name,
        keys: &[key.facts.id.to_string()],
        outcome: error.map_or("ok", |error| if error.class.is_terminal() { "refused" } else { "unavailable" }),
    });
}

/// The annotation that says what wrapped a key.
pub(super) const BY: &str = names::KEY_WRAPPED_BY;

#[cfg(test)]
mod tests {
    use super::*;

    fn wrappers(age: AgeWrapping) -> Wrappers {
        Wrappers::new(Wrapping { chosen: Some(Wrapper::Age), age: Some(age), ..Wrapping::default() })
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a file of a test, thrown away with its folder")]
    async fn a_key_that_could_not_be_unwrapped_again_is_not_wrapped() {
        let folder = tempfile::tempdir().unwrap();
        let (here, elsewhere) = (Identity::generate_x25519().unwrap(), Identity::generate_x25519().unwrap());
        let file = folder.path().join("outside.txt");
        std::fs::write(&file, here.to_text().unwrap().as_bytes()).unwrap();
        let key = Plaintext::copy_of(b"AGE-SECRET-KEY-OF-NOBODY");
        for (identity_file, recipient, is_good) in [
            (Some(file.clone()), &here, true),
            (Some(file.clone()), &elsewhere, false),
            (Some(folder.path().join("none")), &here, false),
            (None, &here, false),
        ] {
            let recipients = vec![recipient.recipient().clone()];
            let answer = wrappers(AgeWrapping { identity_file, recipients }).wrap(&key).await;
            let message = answer.as_ref().err().map(|error| error.message.clone()).unwrap_or_default();
            assert_eq!(answer.is_ok(), is_good, "{message}");
            assert!(is_good || message.contains("cannot be unwrapped again"), "{message}");
            assert!(!message.contains("AGE-SECRET-KEY"), "{message}");
        }
    }
}
