//! Key Secrets out of what people have: age identity files, PEM pairs, Secrets of a cluster, and our own exports.

use std::collections::BTreeMap;

use bulla::seal::{Certificate, Identity, KeyId, KeyKind, Recipient};
use bulla::secret::{OPAQUE, Plaintext};
use bulla_crds::names;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::key_secret::{IDENTITY, KeySecret, RECIPIENT, TLS_CRT, TLS_KEY};
use super::opening::Document;
use crate::failure::{OrFail as _, Outcome, refuse};

/// The labels and annotations that mean something to a controller of sealing keys.
const OURS: [&str; 2] = ["bulla.dev/", "sealedsecrets.bitnami.com/"];
/// Annotations of a cluster that say nothing elsewhere, or that hold a copy of the key.
const LOCAL: [&str; 3] = ["kubectl.kubernetes.io/last-applied-configuration", names::KEY_VALUES, names::KEY_OBJECTS];

/// A key Secret out of a file.
pub(crate) struct Source {
    /// Whether the file says nothing of its state: a key without a Secret around it.
    pub(crate) is_bare: bool,
    pub(crate) secret: KeySecret,
}

/// PEM blocks of all files: a key and its certificate may be in two.
#[derive(Default)]
struct Pairs {
    keys: BTreeMap<KeyId, (String, Zeroizing<String>)>,
    certificates: BTreeMap<KeyId, (String, String)>,
}

/// The key Secrets in these documents, strictly: what cannot be used is an error that names the file.
///
/// # Errors
/// With the first file that holds something else.
pub(crate) fn sources(documents: &[Document]) -> Outcome<Vec<Source>> {
    let mut sources = Vec::new();
    let mut pairs = Pairs::default();
    for document in documents {
        if document.is_manifest() {
            from_manifest(document, &mut sources)?;
        } else if document.text.contains("-----BEGIN ") {
            pairs.add(document)?;
        } else {
            from_identities(document, &mut sources)?;
        }
    }
    pairs.finish(&mut sources)?;
    Ok(sources)
}

fn from_manifest(document: &Document, sources: &mut Vec<Source>) -> Outcome {
    let file = &document.file;
    let before = sources.len();
    for secret in document.secrets()? {
        if !secret.is_of_keys() {
            continue;
        }
        let place = format!("{file}: Secret {}", secret.name);
        let keys = secret.keys().map_err(|problem| refuse!("{place}: {problem}"))?;
        if secret.is_upstreams() {
            check_certificate(&secret).map_err(|problem| refuse!("{place}: {problem}"))?;
        } else if keys.iter().any(|key| key.kind == KeyKind::Rsa) {
            return Err(refuse!(
                "{place}: an RSA key under {IDENTITY}: it belongs under {TLS_KEY}, with its certificate"
            ));
        }
        if secret.state().is_none() {
            return Err(refuse!("{place}: its label {} is no state that anybody knows", names::SEALING_KEY));
        }
        sources.push(Source { is_bare: false, secret: secret.portable() });
    }
    if sources.len() == before {
        return Err(refuse!("{file}: no Secret in it has a private key under {IDENTITY} or {TLS_KEY}"));
    }
    Ok(())
}

fn check_certificate(secret: &KeySecret) -> Result<(), String> {
    let id = secret.keys()?.first().map(|key| key.id);
    let text = secret.text(TLS_CRT)?.ok_or_else(|| format!("it has no certificate under {TLS_CRT}"))?;
    let certificate = Certificate::from_pem(text.as_bytes()).map_err(|error| format!("{TLS_CRT}: {error}"))?;
    if Some(Recipient::from(certificate).key_id()) == id {
        Ok(())
    } else {
        Err(format!("{TLS_CRT} is the certificate of another key than {TLS_KEY}"))
    }
}

fn from_identities(document: &Document, sources: &mut Vec<Source>) -> Outcome {
    let identities = Identity::parse_all(&document.text)
        .or_refuse(format!("{}: neither age identities nor PEM nor Secrets with private keys", document.file))?;
    for identity in identities {
        let secret = KeySecret::of(&identity).ok_or_else(|| refuse!("{}: not an age identity", document.file))?;
        sources.push(Source { is_bare: true, secret });
    }
    Ok(())
}

impl Pairs {
    fn add(&mut self, document: &Document) -> Outcome {
        let file = &document.file;
        let mut found = false;
        for block in blocks(&document.text) {
            found = true;
            let (label, text) = block.ok_or_else(|| refuse!("{file}: not valid PEM"))?;
            if label.ends_with("PRIVATE KEY") {
                let identities = Identity::parse_all(text).or_refuse(file.clone())?;
                let mut copy = Zeroizing::new(String::with_capacity(text.len() + 1));
                copy.push_str(text);
                copy.push('\n');
                for identity in identities {
                    self.keys.insert(identity.key_id(), (file.clone(), copy.clone()));
                }
            } else if label == "CERTIFICATE" {
                let certificate = Certificate::from_pem(text.as_bytes()).or_refuse(file.clone())?;
                let id = Recipient::from(certificate).key_id();
                self.certificates.entry(id).or_insert_with(|| (file.clone(), format!("{text}\n")));
            } else {
                return Err(refuse!("{file}: a PEM block {label:?}, which is neither a private key nor a certificate"));
            }
        }
        if found { Ok(()) } else { Err(refuse!("{file}: not valid PEM")) }
    }

    fn finish(mut self, sources: &mut Vec<Source>) -> Outcome {
        for (id, (file, key)) in std::mem::take(&mut self.keys) {
            let Some((_, certificate)) = self.certificates.remove(&id) else {
                return Err(refuse!(
                    "{file}: key {id} has no certificate: give the file with it too, since kubeseal seals to certificates"
                ));
            };
            let data = [
                (TLS_KEY.to_owned(), Plaintext::copy_of(key.as_bytes())),
                (TLS_CRT.to_owned(), Plaintext::from(certificate)),
            ];
            let secret = KeySecret {
                name: format!("sealed-secrets-key-{id}"),
                kind: Some("kubernetes.io/tls".to_owned()),
                labels: [(names::UPSTREAM_SEALING_KEY.to_owned(), names::UPSTREAM_SEALING_KEY_ACTIVE.to_owned())]
                    .into(),
                annotations: [(names::KEY_IDS.to_owned(), id.to_string())].into(),
                data: data.into(),
                ..KeySecret::default()
            };
            sources.push(Source { is_bare: true, secret });
        }
        match self.certificates.into_values().next() {
            None => Ok(()),
            Some((file, _)) => Err(refuse!("{file}: a certificate whose private key is in none of the files")),
        }
    }
}

/// The PEM blocks of a text with their labels; `None` of one that does not end.
fn blocks(text: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    const BEGIN: &str = "-----BEGIN ";
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(BEGIN)?;
        let block = rest.get(start..)?;
        let read = || {
            let label = block.strip_prefix(BEGIN)?.split_once("-----")?.0;
            let end = format!("-----END {label}-----");
            let length = block.find(&end)? + end.len();
            Some((label, block.get(..length)?, block.get(length..)?))
        };
        match read() {
            Some((label, whole, more)) => {
                rest = more;
                Some(Some((label, whole)))
            }
            None => {
                rest = "";
                Some(None)
            }
        }
    })
}

impl KeySecret {
    /// A Secret for a native key that was brought from elsewhere. It has no date: it is as old as its stay in a cluster.
    fn of(identity: &Identity) -> Option<Self> {
        let id = identity.key_id();
        let text = identity.to_text()?;
        let mut file = Zeroizing::new(String::with_capacity(text.len() + 1));
        file.push_str(&text);
        file.push('\n');
        let data = [
            (IDENTITY.to_owned(), Plaintext::copy_of(file.as_bytes())),
            (RECIPIENT.to_owned(), Plaintext::from(identity.recipient().to_string())),
        ];
        Some(Self {
            name: format!("bulla-imported-key-{id}"),
            kind: Some(OPAQUE.to_owned()),
            labels: [(names::SEALING_KEY.to_owned(), names::KEY_ACTIVE.to_owned())].into(),
            annotations: [(names::KEY_IDS.to_owned(), id.to_string())].into(),
            data: data.into(),
            ..Self::default()
        })
    }

    /// As it makes sense in any cluster: without what only one cluster means, and with the date and the ids of its keys,
    /// which elsewhere nobody could know.
    pub(crate) fn portable(mut self) -> Self {
        self.annotations.retain(|name, _| !LOCAL.contains(&name.as_str()));
        if let Some(made) = self.made() {
            self.annotations.entry(names::KEY_CREATED_AT.to_owned()).or_insert_with(|| made.to_string());
        }
        let ids: Vec<String> = self.keys().unwrap_or_default().iter().map(|key| key.id.to_string()).collect();
        if !ids.is_empty() {
            self.annotations.insert(names::KEY_IDS.to_owned(), ids.join(","));
        }
        self.stored = None;
        self
    }

    /// Without labels and annotations that neither we nor kubeseal's controller read, and made now at the latest. Anybody
    /// can encrypt to a recovery recipient, so a backup may be of a stranger's making.
    pub(crate) fn of_keys_only(mut self, now: Timestamp) -> Self {
        let is_ours = |name: &String| OURS.iter().any(|prefix| name.starts_with(prefix));
        self.labels.retain(|name, _| is_ours(name));
        self.annotations.retain(|name, _| is_ours(name));
        if self
            .annotations
            .get(names::KEY_CREATED_AT)
            .is_some_and(|made| made.parse().is_ok_and(|made: Timestamp| made > now))
        {
            // A date to come would stay the newest for ever.
            self.annotations.insert(names::KEY_CREATED_AT.to_owned(), now.to_string());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::blocks;

    #[test]
    fn pem_is_taken_apart_and_what_does_not_end_is_said() {
        let text = "x\n-----BEGIN A-----\n1\n-----END A-----\ny\n-----BEGIN B C-----\n2\n-----END B C-----\n";
        let found: Vec<_> = blocks(text).collect();
        assert_eq!(
            found,
            [
                Some(("A", "-----BEGIN A-----\n1\n-----END A-----")),
                Some(("B C", "-----BEGIN B C-----\n2\n-----END B C-----"))
            ]
        );
        assert_eq!(blocks("-----BEGIN A-----\n1\n-----END B-----").collect::<Vec<_>>(), [None]);
        assert_eq!(blocks("-----BEGIN A").collect::<Vec<_>>(), [None]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_text_comes_to_an_end(text in "(-----BEGIN |-----END |A-----|A|\n|ü){0,40}") {
            assert!(blocks(&text).count() <= 40);
        }
    }
}
