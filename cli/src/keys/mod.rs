//! The sealing keys of a cluster, without their private halves.
//!
//! Three sources: ConfigMap `bulla-sealing-keys` (public keys), the metadata of the key Secrets (states; asked for as
//! metadata, so that no private key leaves the API server), and the SealedSecrets' status (which key opened what).

mod renew;
mod secrets;
mod uses;

use bulla::seal::Certificate;
use bulla_crds::names;
use jiff::Timestamp;
use kube::Client;

pub(crate) use self::renew::Renewal;
pub(crate) use self::secrets::{KeySecret, LEGACY, Secrets, mark};
pub(crate) use self::uses::{Use, UsedIn, Uses, Wanted};

use crate::cluster::{self, PublishedKey};
use crate::failure::{Outcome, refuse, usage};

/// What is easily forgotten after a new key.
pub(crate) const NO_BACKUP: &str =
    "no backup has the new key: make another one, `bulla keys backup --to RECOVERY.pub -o keys.age`";
/// The fewest characters by which a key may be named.
const FEWEST: usize = 4;

/// A sealing key of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    /// `hybrid`, `x25519` or `rsa`; `None` where only a Secret's label is known of it.
    pub(crate) kind: Option<String>,
    /// `active`, `opening`, `retired` or `compromised`.
    pub(crate) state: String,
    pub(crate) created: Option<Timestamp>,
    /// When its certificate expires.
    pub(crate) expires: Option<Timestamp>,
    /// The Secret that holds it; `None` where that is not known.
    pub(crate) secret: Option<String>,
}

impl Key {
    /// Whether it is one of kubeseal's, whose values do not say which key they are sealed to.
    pub(crate) fn is_rsa(&self) -> bool {
        self.kind.as_deref() == Some("rsa")
    }
}

/// What is known of the keys.
pub(crate) struct Keys {
    /// Oldest first.
    pub(crate) keys: Vec<Key>,
    /// The ids of the newest active keys, one of each kind, in the controller's order, which is not always that of age.
    newest: Vec<String>,
    /// The key Secrets, or why they cannot be listed.
    pub(crate) secrets: Secrets,
}

impl Keys {
    /// Asks the cluster.
    pub(crate) async fn read(client: &Client, namespace: &str) -> Outcome<Self> {
        let published = cluster::published_in(client, namespace).await?;
        let mut secrets = Secrets::read(client, namespace).await?;
        secrets.recognise(&published);
        let mut keys: Vec<Key> = published.iter().map(from_published).collect();
        for secret in secrets.known() {
            for id in &secret.ids {
                match keys.iter_mut().find(|key| key.id == *id) {
                    Some(key) => {
                        key.secret = Some(secret.name.clone());
                        key.created = key.created.or(secret.created);
                        // Newer than the list.
                        key.state.clone_from(&secret.state);
                    }
                    None => keys.push(Key {
                        id: id.clone(),
                        kind: secret.is_upstreams.then(|| "rsa".to_owned()),
                        state: secret.state.clone(),
                        created: secret.created,
                        expires: None,
                        secret: Some(secret.name.clone()),
                    }),
                }
            }
        }
        // As published, before they are put in the order of their age.
        let newest = [true, false].into_iter().filter_map(|is_rsa| {
            let published = keys.iter().filter(|key| published.iter().any(|known| known.id == key.id));
            published
                .filter(|key| key.state == "active" && key.is_rsa() == is_rsa)
                .map(|key| key.id.clone())
                .next_back()
        });
        let newest = newest.collect();
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(Self { keys, newest, secrets })
    }

    /// The key that `id` means: an id or the beginning of exactly one.
    pub(crate) fn find(&self, id: &str) -> Outcome<&Key> {
        let wanted = id.to_ascii_lowercase();
        if wanted.len() < FEWEST {
            return Err(usage!("{id:?} is too short for a key id: at least {FEWEST} characters of it"));
        }
        let fits: Vec<&Key> = self.keys.iter().filter(|key| key.id.starts_with(&wanted)).collect();
        match fits.as_slice() {
            [one] => Ok(one),
            [] => {
                let hint = match &self.secrets {
                    Secrets::Forbidden(_) => {
                        "; a retired one is known by its Secret only, and you may not list Secrets there"
                    }
                    Secrets::Known(known) if known.iter().any(|secret| secret.ids.is_empty()) => {
                        "; some key Secrets do not say which keys they hold: is the controller older than this program?"
                    }
                    Secrets::Known(_) => "",
                };
                Err(refuse!("the cluster has no key {id}: see `bulla keys list`{hint}"))
            }
            _ => {
                let ids: Vec<&str> = fits.iter().map(|key| key.id.as_str()).collect();
                Err(usage!("{id} is the beginning of {}: write more of it", ids.join(" and ")))
            }
        }
    }

    /// The Secret that holds a key.
    pub(crate) fn secret_of(&self, key: &Key) -> Outcome<&KeySecret> {
        let known = match &self.secrets {
            Secrets::Known(known) => known,
            Secrets::Forbidden(why) => {
                return Err(usage!("finding the Secret of key {}: you may not list key Secrets: {why}", key.id));
            }
        };
        known.iter().find(|secret| secret.ids.contains(&key.id)).ok_or_else(|| {
            let silent = known.iter().filter(|secret| secret.ids.is_empty()).map(|secret| secret.name.as_str());
            let silent: Vec<&str> = silent.collect();
            let names = if silent.is_empty() { "there is none".to_owned() } else { silent.join(", ") };
            usage!(
                "no key Secret says that it holds key {}: annotation {} does, or a date that no other key has. Annotate \
                 the right one, and try again. Secrets without it: {names}",
                key.id,
                names::KEY_IDS
            )
        })
    }

    /// The keys that people are told to seal to: the newest active one of ours, and of kubeseal's.
    pub(crate) fn is_sealed_to(&self, key: &Key) -> bool {
        self.newest.contains(&key.id)
    }
}

fn from_published(key: &PublishedKey) -> Key {
    let certificate = key.certificate.as_ref().and_then(|pem| Certificate::from_pem(pem.as_bytes()).ok());
    Key {
        id: key.id.clone(),
        kind: Some(key.kind.clone()),
        state: key.state.clone(),
        created: key.created.as_ref().and_then(|created| created.parse().ok()),
        expires: certificate.and_then(|certificate| certificate.not_after()),
        secret: None,
    }
}
