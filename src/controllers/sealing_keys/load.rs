//! Reading key Secrets: ours, and upstream's as they are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crds::names;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, ListParams};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::controllers::api::{self, Api, ApiError};
use crate::seal::{Certificate, Identity, KeyKind, KeyState, Keyring};

/// Data key of the private half in our key Secrets: an age identity file.
pub(super) const IDENTITY: &str = "identity";
/// Data key of the public half.
pub(super) const RECIPIENT: &str = "recipient";

/// One key.
pub(super) struct Key {
    pub(super) identity: Identity,
    pub(super) state: KeyState,
    /// When its Secret was made, as the API server writes it.
    pub(super) created: String,
    /// The certificate that came with an RSA key.
    pub(super) certificate: Option<String>,
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Loaded {
    /// Oldest first.
    pub(super) keys: Vec<Key>,
    /// Names of the key Secrets that cannot be read, and why.
    pub(super) malformed: Vec<(String, &'static str)>,
}

impl Loaded {
    /// Whether there is a key of ours to seal to.
    pub(super) fn has_active_native(&self) -> bool {
        self.keys.iter().any(|key| key.state == KeyState::Active && key.identity.kind() != KeyKind::Rsa)
    }

    /// The ids of the keys that open, oldest first.
    pub(super) fn ids(&self) -> Vec<String> {
        let opening = self.keys.iter().filter(|key| key.state != KeyState::Retired);
        opening.map(|key| key.identity.key_id().to_string()).collect()
    }

    pub(super) fn into_keyring(self) -> Keyring {
        let mut keyring = Keyring::new();
        for key in self.keys {
            keyring.insert(key.identity, key.state);
        }
        keyring
    }

    fn add(&mut self, secret: &KeySecret<'_>) {
        if secret.metadata.deletion_timestamp.is_some() {
            return;
        }
        let keys = match secret.metadata.labels.get(names::SEALING_KEY) {
            Some(state) => native(secret, state),
            None => upstream(secret),
        };
        match keys {
            Ok(keys) => self.keys.extend(keys),
            Err(problem) => self.malformed.push((secret.metadata.name.clone(), problem)),
        }
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    items: Vec<KeySecret<'a>>,
}

#[derive(Deserialize)]
struct KeySecret<'a> {
    metadata: Metadata,
    #[serde(borrow, default)]
    data: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    creation_timestamp: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
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
            let secret: Result<KeySecret<'_>, _> = serde_json::from_slice(&body);
            let outcome = secret.map_err(|_| ApiError::Unreadable).map(|secret| {
                // With a label it was in the list.
                if !secret.metadata.labels.contains_key(names::UPSTREAM_SEALING_KEY) {
                    loaded.add(&secret);
                }
            });
            api::wipe(body);
            outcome?;
        }
        Err(ApiError::NotFound) => {}
        Err(error) => return Err(error),
    }
    // The server's times are all of one form and sort as text.
    loaded.keys.sort_by(|a, b| a.created.cmp(&b.created));
    Ok(loaded)
}

fn native(secret: &KeySecret<'_>, label: &str) -> Result<Vec<Key>, &'static str> {
    let state = match label {
        names::KEY_ACTIVE => KeyState::Active,
        names::KEY_OPENING => KeyState::Opening,
        names::KEY_RETIRED => KeyState::Retired,
        _ => return Err("its label is neither active nor opening nor retired"),
    };
    let text = text(secret, IDENTITY)?.ok_or("it has no data key identity")?;
    let identities = Identity::parse_all(&text).map_err(|_| "its identity is not an age identity file")?;
    let created = secret.metadata.creation_timestamp.clone().unwrap_or_default();
    let key = |identity| Key { identity, state, created: created.clone(), certificate: None };
    Ok(identities.into_iter().map(key).collect())
}

fn upstream(secret: &KeySecret<'_>) -> Result<Vec<Key>, &'static str> {
    let label = secret.metadata.labels.get(names::UPSTREAM_SEALING_KEY).map(String::as_str);
    // Unlabelled is the legacy name; any other word than active switches the key off.
    let is_used = matches!(label, None | Some(names::UPSTREAM_SEALING_KEY_ACTIVE));
    let text = text(secret, "tls.key")?.ok_or("it has no data key tls.key")?;
    let identities = Identity::parse_all(&text).map_err(|_| "its tls.key is not an RSA private key")?;
    let identity = identities.into_iter().next().ok_or("its tls.key is empty")?;
    let state = if is_used { KeyState::Active } else { KeyState::Retired };
    let certificate = certificate(secret)?;
    let created = secret.metadata.creation_timestamp.clone().unwrap_or_default();
    Ok(vec![Key { identity, state, created, certificate }])
}

/// The first certificate in `tls.crt`, which is the one that counts.
fn certificate(secret: &KeySecret<'_>) -> Result<Option<String>, &'static str> {
    const END: &str = "-----END CERTIFICATE-----";
    let Some(text) = text(secret, "tls.crt")? else { return Ok(None) };
    if Certificate::from_pem(text.as_bytes()).is_err() {
        return Err("its tls.crt is not a certificate with an RSA key");
    }
    let first = text.find(END).and_then(|end| text.get(..end + END.len()));
    Ok(first.map(|first| format!("{first}\n")))
}

fn text(secret: &KeySecret<'_>, key: &str) -> Result<Option<Zeroizing<String>>, &'static str> {
    let Some(encoded) = secret.data.get(key) else { return Ok(None) };
    let bytes = STANDARD.decode(encoded.as_bytes()).map_err(|_| "its data is not base64")?;
    String::from_utf8(bytes).map(|text| Some(Zeroizing::new(text))).map_err(|_| "its data is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(secret: &serde_json::Value) -> Loaded {
        let text = secret.to_string();
        let mut loaded = Loaded::default();
        loaded.add(&serde_json::from_str(&text).unwrap());
        loaded
    }

    #[test]
    fn our_keys_are_read_with_their_state() {
        let identity = Identity::generate_x25519().unwrap();
        let text = STANDARD.encode(identity.to_text().unwrap().as_bytes());
        for (label, state) in
            [("active", KeyState::Active), ("opening", KeyState::Opening), ("retired", KeyState::Retired)]
        {
            let loaded = load(&serde_json::json!({
                "metadata": {"name": "k", "labels": {names::SEALING_KEY: label}}, "data": {"identity": text},
            }));
            assert_eq!(loaded.keys.iter().map(|key| key.state).collect::<Vec<_>>(), [state]);
            assert_eq!(loaded.keys[0].identity.key_id(), identity.key_id());
        }
    }

    #[test]
    fn malformed_keys_are_named_and_passed_over() {
        let base64 = STANDARD.encode("nonsense");
        for (label, data) in [
            ("active", serde_json::json!({})),
            ("active", serde_json::json!({"identity": base64})),
            ("active", serde_json::json!({"identity": "%"})),
            ("perhaps", serde_json::json!({"identity": base64})),
        ] {
            let loaded = load(&serde_json::json!({
                "metadata": {"name": "k", "labels": {names::SEALING_KEY: label}}, "data": data,
            }));
            assert!(loaded.keys.is_empty());
            assert_eq!(loaded.malformed[0].0, "k");
        }
        let loaded = load(&serde_json::json!({
            "metadata": {"name": "k", "labels": {names::UPSTREAM_SEALING_KEY: "active"}}, "data": {"tls.key": base64},
        }));
        assert_eq!(loaded.malformed.len(), 1);
    }
}
