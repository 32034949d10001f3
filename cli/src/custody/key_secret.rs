//! A Secret that holds sealing keys: ours or upstream's, as a cluster has it or as a file says it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Identity, KeyId, KeyKind, KeyState, Recipient};
use bulla::secret::Plaintext;
use bulla_crds::names;
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

/// Data key of the private half of a native key.
pub(crate) const IDENTITY: &str = "identity";
/// Data key of its public half.
pub(crate) const RECIPIENT: &str = "recipient";
/// Data keys of upstream's keys.
pub(crate) const TLS_KEY: &str = "tls.key";
pub(crate) const TLS_CRT: &str = "tls.crt";
/// Data key of a private half that is an age file.
pub(crate) const WRAPPED_BY_AGE: &str = "identity.age";

/// What a private half may be wrapped in, by data key, and what it takes to unwrap it.
const WRAPPED: [(&str, &str); 3] =
    [(WRAPPED_BY_AGE, "age"), ("identity.vault", "Vault Transit"), ("identity.kms", "AWS KMS")];

/// See the module.
#[derive(Default)]
pub(crate) struct KeySecret {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// When the API server stored it.
    pub(crate) stored: Option<Timestamp>,
    pub(crate) immutable: Option<bool>,
    pub(crate) data: BTreeMap<String, Plaintext>,
}

/// A key in it.
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) kind: KeyKind,
    /// `None` of a wrapped key.
    pub(crate) identity: Option<Identity>,
    /// What it is wrapped by.
    pub(crate) wrapped: Option<&'static str>,
}

impl KeySecret {
    /// Every Secret of a manifest, of lists and of several documents; other kinds are passed over.
    /// `None` where it does not parse: the reader's message could repeat a line, and these hold private keys.
    pub(crate) fn parse_all(text: &str) -> Option<Vec<Self>> {
        let documents: Vec<Option<Raw>> = serde_saphyr::from_multiple(text).ok()?;
        let mut secrets = Vec::new();
        documents.into_iter().flatten().try_for_each(|raw| raw.add_to(&mut secrets))?;
        Some(secrets)
    }

    /// The same of what the API server answers. Its data are not copied more often than they have to be.
    pub(super) fn parse_json(text: &str) -> Option<Vec<Self>> {
        let raw: Raw = serde_json::from_str(text).ok()?;
        let mut secrets = Vec::new();
        raw.add_to(&mut secrets)?;
        Some(secrets)
    }

    /// Whether it holds a private key, wrapped or not.
    pub(crate) fn is_of_keys(&self) -> bool {
        [IDENTITY, TLS_KEY].iter().chain(WRAPPED.iter().map(|(form, _)| form)).any(|key| self.data.contains_key(*key))
    }

    /// Whether it is one of upstream's. A label of ours wins where a Secret has both.
    pub(crate) fn is_upstreams(&self) -> bool {
        !self.labels.contains_key(names::SEALING_KEY)
            && (self.labels.contains_key(names::UPSTREAM_SEALING_KEY) || self.data.contains_key(TLS_KEY))
    }

    /// The state that its label gives; one without any is in use. `None` of a word that nobody knows.
    pub(crate) fn state(&self) -> Option<KeyState> {
        if let Some(word) = self.labels.get(names::SEALING_KEY) {
            return match word.as_str() {
                names::KEY_ACTIVE => Some(KeyState::Active),
                names::KEY_OPENING => Some(KeyState::Opening),
                names::KEY_RETIRED => Some(KeyState::Retired),
                names::KEY_COMPROMISED => Some(KeyState::Compromised),
                _ => None,
            };
        }
        Some(match self.labels.get(names::UPSTREAM_SEALING_KEY).map(String::as_str) {
            None | Some(names::UPSTREAM_SEALING_KEY_ACTIVE) => KeyState::Active,
            Some(names::KEY_COMPROMISED) => KeyState::Compromised,
            Some(_) => KeyState::Retired,
        })
    }

    /// When it was made: by the controller's clock where that is said, else by the API server's.
    pub(crate) fn made(&self) -> Option<Timestamp> {
        self.annotations.get(names::KEY_CREATED_AT).and_then(|at| at.parse().ok()).or(self.stored)
    }

    /// Gives a native key the state in which it opens and nothing is sealed to it. An RSA key has no such state.
    pub(crate) fn only_open(&mut self) {
        if let Some(state) = self.labels.get_mut(names::SEALING_KEY) {
            names::KEY_OPENING.clone_into(state);
        }
    }

    /// Gives a native key the state in which it is sealed to.
    pub(crate) fn activate(&mut self) {
        if let Some(state) = self.labels.get_mut(names::SEALING_KEY) {
            names::KEY_ACTIVE.clone_into(state);
        }
    }

    /// Its keys.
    ///
    /// # Errors
    /// What is wrong with it, without a byte of it.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, String> {
        for private in [IDENTITY, TLS_KEY] {
            let Some(text) = self.text(private)? else { continue };
            let identities = Identity::parse_all(text).map_err(|error| format!("{private}: {error}"))?;
            return Ok(identities.into_iter().map(Key::plain).collect());
        }
        let Some((_, by)) = WRAPPED.iter().find(|(form, _)| self.data.contains_key(*form)) else {
            return Err(format!("it has no private key under {IDENTITY} or {TLS_KEY}"));
        };
        let recipient = self.text(RECIPIENT)?.ok_or("its private half is wrapped and it has no data key recipient")?;
        let recipient: Recipient = recipient.trim().parse().map_err(|_| "its recipient is not an age recipient")?;
        Ok(vec![Key { id: recipient.key_id(), kind: recipient.kind(), identity: None, wrapped: Some(by) }])
    }

    /// The value of a data key, which has to be text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, String> {
        let Some(value) = self.data.get(key) else { return Ok(None) };
        std::str::from_utf8(value.expose()).map(Some).map_err(|_| format!("{key} is not text"))
    }
}

impl Key {
    fn plain(identity: Identity) -> Self {
        Self { id: identity.key_id(), kind: identity.kind(), identity: Some(identity), wrapped: None }
    }
}

/// A Secret, or a list of them, as `kubectl get secret -o yaml` and upstream's backup write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    kind: Option<String>,
    metadata: Option<RawMetadata>,
    r#type: Option<String>,
    immutable: Option<bool>,
    data: Option<BTreeMap<String, Option<Text>>>,
    string_data: Option<BTreeMap<String, Option<Text>>>,
    items: Option<Vec<Self>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    name: Option<String>,
    namespace: Option<String>,
    creation_timestamp: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Decodes base64 that may be broken into lines.
fn decoded(text: &str) -> Option<Plaintext> {
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    text.split_ascii_whitespace().for_each(|part| joined.push_str(part));
    STANDARD.decode(joined.as_str()).ok().map(Plaintext::new)
}

/// Text that is wiped.
#[derive(Deserialize)]
struct Text(String);

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Raw {
    fn add_to(mut self, secrets: &mut Vec<KeySecret>) -> Option<()> {
        if let Some(items) = self.items.take() {
            return items.into_iter().try_for_each(|item| item.add_to(secrets));
        }
        if self.kind.as_deref().is_some_and(|kind| kind != "Secret")
            || (self.data.is_none() && self.string_data.is_none())
        {
            return Some(());
        }
        let metadata = self.metadata.take().unwrap_or_default();
        let mut data = BTreeMap::new();
        for (key, value) in self.data.take().unwrap_or_default() {
            data.insert(key, value.map_or_else(|| Some(Plaintext::default()), |value| decoded(&value.0))?);
        }
        for (key, value) in self.string_data.take().unwrap_or_default() {
            data.insert(key, Plaintext::copy_of(value.as_ref().map_or(b"", |value| value.0.as_bytes())));
        }
        secrets.push(KeySecret {
            name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace,
            kind: self.r#type,
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            stored: metadata.creation_timestamp.and_then(|at| at.parse().ok()),
            immutable: self.immutable,
            data,
        });
        Some(())
    }
}
