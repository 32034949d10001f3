//! Reading key Secrets: ours, and upstream's as they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, ListParams};
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::config::KeyOrder;
use super::facts::{Facts, KeySecret};
use crate::controllers::api::{self, Api, ApiError};
use crate::seal::{Certificate, Identity, KeyKind, KeyState, Keyring, Recipient};

/// Data key of the private half in our key Secrets: an age identity file.
pub(super) const IDENTITY: &str = "identity";
/// Data key of the public half.
pub(super) const RECIPIENT: &str = "recipient";

/// One key.
pub(super) struct Key {
    pub(super) facts: Facts,
    /// `None` of a wrapped key while it cannot be unwrapped.
    pub(super) identity: Option<Identity>,
}

/// A key whose private half has yet to be unwrapped.
pub(super) struct Wrapped {
    pub(super) facts: Facts,
    /// The data key that it was under, which says how it is wrapped.
    pub(super) form: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Loaded {
    /// Oldest first.
    pub(super) keys: Vec<Key>,
    pub(super) wrapped: Vec<Wrapped>,
    /// Names of the key Secrets that cannot be read, and why.
    pub(super) malformed: Vec<(String, String)>,
    /// Names of the key Secrets that cannot be unwrapped now, and why.
    pub(super) locked: Vec<(String, String)>,
    /// Whether waiting may unlock one of them, without anybody changing anything here.
    pub(super) is_away: bool,
    /// Names of the key Secrets that hold a key which another one holds too.
    pub(super) copies: Vec<(String, String)>,
    /// The names of all key Secrets.
    names: Vec<String>,
}

impl Loaded {
    /// The facts of all keys, oldest first.
    pub(super) fn facts(&self) -> Vec<Facts> {
        self.keys.iter().map(|key| key.facts.clone()).collect()
    }

    /// The highest number that a key Secret `<prefix>-<number>` has.
    pub(super) fn highest(&self, prefix: &str) -> u32 {
        let number = |name: &String| name.strip_prefix(prefix)?.strip_prefix('-')?.parse().ok();
        self.names.iter().filter_map(number).max().unwrap_or(0)
    }

    pub(super) fn into_keyring(self) -> Keyring {
        let mut keyring = Keyring::new();
        for Key { facts, identity } in self.keys {
            match identity {
                Some(identity) => keyring.insert(identity, facts.state),
                None if facts.state.opens() => keyring.lock(facts.id),
                None => keyring.refuse(facts.id, facts.state),
            }
        }
        keyring
    }

    /// Orders the keys by age, and leaves each in it once.
    ///
    /// The same key in two Secrets has the state that opens least: who declares a copy compromised means the key.
    pub(super) fn settle(&mut self, order: KeyOrder, now: Timestamp) {
        self.keys.sort_by_key(|key| key.facts.rank(order, now));
        let mut kept: Vec<Key> = Vec::with_capacity(self.keys.len());
        for key in std::mem::take(&mut self.keys) {
            let Some(known) = kept.iter_mut().find(|known| known.facts.id == key.facts.id) else {
                kept.push(key);
                continue;
            };
            self.copies.push((key.facts.secret.name.clone(), known.facts.secret.name.clone()));
            if strictness(key.facts.state) > strictness(known.facts.state) {
                known.facts.state = key.facts.state;
            }
            known.identity = known.identity.take().or(key.identity);
        }
        self.keys = kept;
    }

    fn add(&mut self, secret: &RawSecret<'_>) {
        let name = &secret.metadata.name;
        // With two labels, or with a label and the legacy name, it comes twice.
        if secret.metadata.deletion_timestamp.is_some() || self.names.contains(name) {
            return;
        }
        self.names.push(name.clone());
        let added = match secret.metadata.labels.get(names::SEALING_KEY) {
            Some(state) => self.add_native(secret, state),
            None => upstream(secret).map(|key| self.keys.push(key)),
        };
        if let Err(problem) = added {
            self.malformed.push((name.clone(), problem.to_owned()));
        }
    }

    fn add_native(&mut self, secret: &RawSecret<'_>, label: &str) -> Result<(), &'static str> {
        let state = match label {
            names::KEY_ACTIVE => KeyState::Active,
            names::KEY_OPENING => KeyState::Opening,
            names::KEY_RETIRED => KeyState::Retired,
            names::KEY_COMPROMISED => KeyState::Compromised,
            _ => return Err("its label is neither active nor opening nor retired nor compromised"),
        };
        let about = Arc::new(secret.about());
        let facts = |recipient: &Recipient| Facts {
            id: recipient.key_id(),
            kind: recipient.kind(),
            state,
            secret: Arc::clone(&about),
            recipient: Some(recipient.to_string()),
            certificate: None,
            validity: None,
        };
        if let Some(text) = secret.text(IDENTITY)? {
            let identities = Identity::parse_all(&text).map_err(|_| "its identity is not an age identity file")?;
            if identities.iter().any(|identity| identity.kind() == KeyKind::Rsa) {
                return Err("its identity is an RSA key, which belongs into a Secret with upstream's label");
            }
            let key = |identity: Identity| Key { facts: facts(identity.recipient()), identity: Some(identity) };
            self.keys.extend(identities.into_iter().map(key));
            return Ok(());
        }
        for form in super::wrap::FORMS {
            let Some(bytes) = secret.bytes(form)? else { continue };
            // The public half is needed before the private one can be had: to seal to, and to count.
            let text = secret.text(RECIPIENT)?.ok_or("its private half is wrapped and it has no data key recipient")?;
            let recipient: Recipient = text.parse().map_err(|_| "its recipient is not an age recipient")?;
            self.wrapped.push(Wrapped { facts: facts(&recipient), form, bytes });
            return Ok(());
        }
        Err("it has no data key identity")
    }
}

const fn strictness(state: KeyState) -> u8 {
    match state {
        KeyState::Opening => 0,
        KeyState::Active => 1,
        KeyState::Retired => 2,
        KeyState::Compromised => 3,
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    items: Vec<RawSecret<'a>>,
}

#[derive(Deserialize)]
struct RawSecret<'a> {
    metadata: Metadata,
    #[serde(borrow, default)]
    data: BTreeMap<Text<'a>, Text<'a>>,
}

/// Text that stays where it was read: in the body, which is wiped. In a map serde would copy a bare `Cow`, and nobody
/// would wipe that.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::borrow::Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        // Escapes in the JSON make a copy after all.
        if let Cow::Owned(copy) = &mut self.0 {
            copy.zeroize();
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    creation_timestamp: Option<Timestamp>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl RawSecret<'_> {
    fn about(&self) -> KeySecret {
        let ours = |name: &&String| name.starts_with("bulla.dev/");
        let annotations = self.metadata.annotations.iter().filter(|(name, _)| ours(name));
        KeySecret {
            name: self.metadata.name.clone(),
            resource_version: self.metadata.resource_version.clone(),
            stored: self.metadata.creation_timestamp.unwrap_or_default(),
            annotations: annotations.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, &'static str> {
        let Some(encoded) = self.data.get(key) else { return Ok(None) };
        STANDARD.decode(encoded.0.as_bytes()).map(Some).map_err(|_| "its data is not base64")
    }

    fn text(&self, key: &str) -> Result<Option<Zeroizing<String>>, &'static str> {
        let Some(bytes) = self.bytes(key)? else { return Ok(None) };
        String::from_utf8(bytes).map(|text| Some(Zeroizing::new(text))).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            "its data is not text"
        })
    }
}

/// Reads every key Secret in `namespace`; `legacy` is the name of the one that needs no label.
pub(super) async fn all(api: &Api, namespace: &str, legacy: &str) -> Result<Loaded, ApiError> {
    let mut loaded = Loaded::default();
    for label in [names::SEALING_KEY, names::UPSTREAM_SEALING_KEY] {
        let request = api::at::<Secret>(namespace).list(&ListParams::default().labels(label))?;
        let body = api.send(api::with_body(request)).await?;
        let list: Result<List<'_>, _> = serde_json::from_slice(&body);
        let outcome = list.map_err(|_| ApiError::Unreadable).map(|list| list.items.iter().for_each(|s| loaded.add(s)));
        api::wipe(body);
        outcome?;
    }
    let request = api::at::<Secret>(namespace).get(legacy, &GetParams::default())?;
    match api.send(api::with_body(request)).await {
        Ok(body) => {
            let secret: Result<RawSecret<'_>, _> = serde_json::from_slice(&body);
            let outcome = secret.map_err(|_| ApiError::Unreadable).map(|secret| loaded.add(&secret));
            api::wipe(body);
            outcome?;
        }
        Err(ApiError::NotFound) => {}
        Err(error) => return Err(error),
    }
    Ok(loaded)
}

fn upstream(secret: &RawSecret<'_>) -> Result<Key, &'static str> {
    // Unlabelled is the legacy name; any other word than active switches the key off.
    let state = match secret.metadata.labels.get(names::UPSTREAM_SEALING_KEY).map(String::as_str) {
        None | Some(names::UPSTREAM_SEALING_KEY_ACTIVE) => KeyState::Active,
        Some(names::KEY_COMPROMISED) => KeyState::Compromised,
        Some(_) => KeyState::Retired,
    };
    let text = secret.text("tls.key")?.ok_or("it has no data key tls.key")?;
    let identities = Identity::parse_all(&text).map_err(|_| "its tls.key is not an RSA private key")?;
    let identity = identities.into_iter().next().ok_or("its tls.key is empty")?;
    let certificate = certificate(secret)?;
    let (certificate, validity) = certificate.map_or((None, None), |(text, validity)| (Some(text), validity));
    let facts = Facts {
        id: identity.key_id(),
        kind: identity.kind(),
        state,
        secret: Arc::new(secret.about()),
        recipient: None,
        certificate,
        validity,
    };
    if facts.kind != KeyKind::Rsa {
        return Err("its tls.key is not an RSA private key");
    }
    Ok(Key { facts, identity: Some(identity) })
}

type Dated = (String, Option<(Timestamp, Timestamp)>);

/// The first certificate in `tls.crt`, which is the one that counts.
fn certificate(secret: &RawSecret<'_>) -> Result<Option<Dated>, &'static str> {
    const END: &str = "-----END CERTIFICATE-----";
    let Some(text) = secret.text("tls.crt")? else { return Ok(None) };
    let certificate = Certificate::from_pem(text.as_bytes());
    let certificate = certificate.map_err(|_| "its tls.crt is not a certificate with an RSA key")?;
    let first = text.find(END).and_then(|end| text.get(..end + END.len()));
    Ok(first.map(|first| (format!("{first}\n"), certificate.not_before().zip(certificate.not_after()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(secrets: &[serde_json::Value]) -> Loaded {
        let mut loaded = Loaded::default();
        for secret in secrets {
            loaded.add(&serde_json::from_str(&secret.to_string()).unwrap());
        }
        loaded
    }

    fn native(name: &str, label: &str, identity: &Identity) -> serde_json::Value {
        let text = STANDARD.encode(identity.to_text().unwrap().as_bytes());
        serde_json::json!({
            "metadata": {"name": name, "labels": {names::SEALING_KEY: label}}, "data": {"identity": text},
        })
    }

    #[test]
    fn our_keys_are_read_with_their_state() {
        let identity = Identity::generate_x25519().unwrap();
        for (label, state) in [
            ("active", KeyState::Active),
            ("opening", KeyState::Opening),
            ("retired", KeyState::Retired),
            ("compromised", KeyState::Compromised),
        ] {
            let loaded = load(&[native("k", label, &identity)]);
            assert_eq!(loaded.keys.iter().map(|key| key.facts.state).collect::<Vec<_>>(), [state]);
            assert_eq!(loaded.keys[0].facts.id, identity.key_id());
            assert_eq!(loaded.into_keyring().is_empty(), !state.opens());
        }
    }

    #[test]
    fn private_halves_are_not_copied_while_they_are_read() {
        let body = native("k", "active", &Identity::generate_x25519().unwrap()).to_string();
        let secret: RawSecret<'_> = serde_json::from_str(&body).unwrap();
        assert!(secret.data.iter().all(|(name, value)| [name, value].iter().all(|t| matches!(t.0, Cow::Borrowed(_)))));
        let body = body.replace("identity", "\\u0069dentity");
        let escaped: RawSecret<'_> = serde_json::from_str(&body).unwrap();
        assert!(escaped.text(IDENTITY).unwrap().is_some(), "where it has to be copied it is read all the same");
    }

    #[test]
    fn malformed_keys_are_named_and_passed_over() {
        let base64 = STANDARD.encode("nonsense");
        for (label, data) in [
            ("active", serde_json::json!({})),
            ("active", serde_json::json!({"identity": base64})),
            ("active", serde_json::json!({"identity": "%"})),
            ("active", serde_json::json!({"identity.age": base64})),
            ("active", serde_json::json!({"identity.age": base64, "recipient": base64})),
            ("perhaps", serde_json::json!({"identity": base64})),
        ] {
            let loaded = load(&[serde_json::json!({
                "metadata": {"name": "k", "labels": {names::SEALING_KEY: label}}, "data": data,
            })]);
            assert!(loaded.keys.is_empty() && loaded.wrapped.is_empty());
            assert_eq!(loaded.malformed[0].0, "k");
        }
        let loaded = load(&[serde_json::json!({
            "metadata": {"name": "k", "labels": {names::UPSTREAM_SEALING_KEY: "active"}}, "data": {"tls.key": base64},
        })]);
        assert_eq!(loaded.malformed.len(), 1);
    }

    #[test]
    fn one_key_in_two_secrets_is_one_key_in_the_state_that_opens_least() {
        let identity = Identity::generate_x25519().unwrap();
        let mut loaded = load(&[native("a", "active", &identity), native("b", "compromised", &identity)]);
        loaded.settle(KeyOrder::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(loaded.keys.iter().map(|key| key.facts.state).collect::<Vec<_>>(), [KeyState::Compromised]);
        assert_eq!(loaded.copies, [("b".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn numbers_are_taken_from_the_names_of_all_key_secrets() {
        let identity = Identity::generate_x25519().unwrap();
        let keys = ["key-0009", "key-0010", "key-x7k2p", "key", "other-0077"];
        let loaded = load(&keys.map(|name| native(name, "opening", &identity)));
        assert_eq!((loaded.highest("key"), loaded.highest("none")), (10, 0));
    }
}
