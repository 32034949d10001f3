//! Putting key Secrets into a cluster. What is there stays: a key that the cluster has is left alone, and a name that
//! another key has is left to it.

use std::collections::BTreeSet;

use bulla::seal::{KeyId, KeyKind, KeyState};
use bulla::secret::OPAQUE;
use bulla_crds::names;
use serde::Serialize;

use super::cluster::{Cluster, Created};
use super::key_secret::KeySecret;
use crate::failure::{Outcome, refuse};
use crate::keys::LEGACY;

/// The types that a key Secret has. Others mean something to other controllers.
const TYPES: [&str; 2] = [OPAQUE, "kubernetes.io/tls"];

/// What came of one Secret; the names of the fields are part of the output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Placed {
    /// The ids of its keys.
    pub(crate) keys: Vec<String>,
    pub(crate) r#type: Option<&'static str>,
    /// The state of its keys in the cluster.
    pub(crate) state: String,
    /// The Secret that holds them now.
    pub(crate) secret: String,
    pub(crate) outcome: Fate,
    /// What wraps its private half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wrapped_by: Option<&'static str>,
    /// What a person should know about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fate {
    Created,
    /// The cluster has its keys.
    AlreadyThere,
    /// It holds no key that can be read, or is no Secret for keys.
    Refused,
}

/// What came of all of them.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    pub(crate) placed: Vec<Placed>,
    /// Whether the namespace had to be made.
    pub(crate) made_namespace: bool,
    /// Whether the cluster now has a native key that is sealed to.
    pub(crate) has_active: bool,
}

/// A Secret on its way, and what is known of it.
struct Arrival {
    secret: KeySecret,
    keys: Vec<Held>,
}

/// A key Secret of the cluster.
struct Resident {
    name: String,
    state: Option<KeyState>,
    is_upstreams: bool,
    keys: Vec<Held>,
}

/// What is known of a key without its private half.
#[derive(Clone, Copy)]
struct Held {
    id: KeyId,
    kind: KeyKind,
    wrapped: Option<&'static str>,
}

/// Creates what the cluster does not have, in the order given. Nothing there is changed.
pub(crate) async fn place(cluster: &Cluster, secrets: Vec<KeySecret>, is_dry: bool) -> Outcome<Placement> {
    let mut there: Vec<Resident> = cluster.key_secrets().await?.iter().map(Resident::new).collect();
    let mut placement = Placement::default();
    for secret in secrets {
        let arrival = match Arrival::new(secret) {
            Ok(arrival) => arrival,
            Err((name, why)) => {
                placement.placed.push(Placed::refused(&name, Vec::new(), why));
                continue;
            }
        };
        match there.iter().find(|one| arrival.is_in(one)) {
            Some(same) => placement.placed.push(arrival.found_in(same)),
            None => there.extend(arrival.put(cluster, is_dry, &mut placement).await?),
        }
    }
    placement.has_active = there.iter().any(|one| !one.is_upstreams && one.state == Some(KeyState::Active));
    Ok(placement)
}

/// The keys of a Secret without their private halves.
fn held(secret: &KeySecret) -> Result<Vec<Held>, String> {
    let keys = secret.keys()?.into_iter();
    Ok(keys.map(|key| Held { id: key.id, kind: key.kind, wrapped: key.wrapped }).collect())
}

fn word(state: Option<KeyState>) -> &'static str {
    state.map_or("unknown", KeyState::as_str)
}

impl Resident {
    fn new(secret: &KeySecret) -> Self {
        Self {
            name: secret.name.clone(),
            state: secret.state(),
            is_upstreams: secret.is_upstreams(),
            // One that cannot be read holds nothing that counts.
            keys: held(secret).unwrap_or_default(),
        }
    }
}

impl Arrival {
    /// What may be put into a cluster; else the name of the Secret, and why not.
    fn new(mut secret: KeySecret) -> Result<Self, (String, String)> {
        let keys = match held(&secret) {
            Ok(keys) => keys,
            Err(problem) => return Err((secret.name, problem)),
        };
        if secret.kind.as_deref().is_some_and(|kind| !TYPES.contains(&kind)) {
            return Err((secret.name, "its type is not one of a key Secret".to_owned()));
        }
        if secret.state().is_none() {
            return Err((secret.name, format!("its label {} is no state", names::SEALING_KEY)));
        }
        if secret.name != LEGACY {
            secret.label();
        }
        Ok(Self { secret, keys })
    }

    fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.id.to_string()).collect()
    }

    /// Whether that Secret holds all these keys, in a form that opens at least as readily.
    fn is_in(&self, other: &Resident) -> bool {
        let is_held = |key: &Held| {
            other.keys.iter().any(|held| held.id == key.id && (held.wrapped.is_none() || key.wrapped.is_some()))
        };
        self.keys.iter().all(is_held)
    }

    fn found_in(&self, there: &Resident) -> Placed {
        let (ours, theirs) = (self.secret.state(), there.state);
        let note = (ours != theirs).then(|| format!("it is {} there, and {} in the file", word(theirs), word(ours)));
        Placed {
            keys: self.ids(),
            r#type: self.keys.first().map(|key| key.kind.as_str()),
            state: word(theirs).to_owned(),
            secret: there.name.clone(),
            outcome: Fate::AlreadyThere,
            wrapped_by: there.keys.first().and_then(|key| key.wrapped),
            note,
        }
    }

    fn created(&self, note: Option<String>) -> Placed {
        Placed {
            keys: self.ids(),
            r#type: self.keys.first().map(|key| key.kind.as_str()),
            state: word(self.secret.state()).to_owned(),
            secret: self.secret.name.clone(),
            outcome: Fate::Created,
            wrapped_by: self.keys.first().and_then(|key| key.wrapped),
            note,
        }
    }

    /// Creates it under its own name or, where another key has that, under one that no other can have. Gives the Secret
    /// that holds its keys now.
    async fn put(mut self, cluster: &Cluster, is_dry: bool, placement: &mut Placement) -> Outcome<Option<Resident>> {
        let own = self.secret.name.clone();
        let id = self.ids().into_iter().next().unwrap_or_default();
        let base = if own.is_empty() { "bulla-sealing-key" } else { own.as_str() };
        let others = [format!("{base}-{}", id.get(..8).unwrap_or(&id)), format!("{base}-{id}")];
        for name in std::iter::once(own.clone()).filter(|own| !own.is_empty()).chain(others) {
            let mut created = cluster.create(&self.secret, &name, is_dry).await?;
            if created == Created::NoNamespace {
                placement.made_namespace = true;
                created = if is_dry {
                    Created::Yes
                } else {
                    cluster.create_namespace().await?;
                    cluster.create(&self.secret, &name, is_dry).await?
                };
            }
            match created {
                Created::Yes => {
                    let is_other = !own.is_empty() && name != own;
                    let note = is_other
                        .then(|| format!("the name {own} belongs to another Secret there, which was left alone"));
                    self.secret.name = name;
                    placement.placed.push(self.created(note));
                    return Ok(Some(Resident::new(&self.secret)));
                }
                Created::Invalid(why) => {
                    let note = format!("the API server does not take it: {why}");
                    placement.placed.push(Placed::refused(&own, self.ids(), note));
                    return Ok(None);
                }
                Created::NoNamespace => break,
                Created::Taken => {
                    // Somebody may have been faster with the same key.
                    let there = cluster.get(&name).await?.map(|there| Resident::new(&there));
                    if let Some(there) = there.filter(|there| self.is_in(there)) {
                        placement.placed.push(self.found_in(&there));
                        return Ok(Some(there));
                    }
                    // Under another name it is found by its label only.
                    self.secret.label();
                }
            }
        }
        Err(refuse!("the names that key {id} could have in namespace {} are all taken", cluster.namespace))
    }
}

impl KeySecret {
    /// Gives it the label by which controllers find it, if it has none.
    fn label(&mut self) {
        if !self.labels.contains_key(names::SEALING_KEY) {
            let label = if self.is_upstreams() { names::UPSTREAM_SEALING_KEY } else { names::SEALING_KEY };
            self.labels.entry(label.to_owned()).or_insert_with(|| names::KEY_ACTIVE.to_owned());
        }
    }
}

impl Placed {
    fn refused(name: &str, keys: Vec<String>, note: String) -> Self {
        Self {
            keys,
            r#type: None,
            state: word(None).to_owned(),
            secret: name.to_owned(),
            outcome: Fate::Refused,
            wrapped_by: None,
            note: Some(note),
        }
    }
}

impl Placement {
    /// What wraps keys that are in the cluster now.
    pub(crate) fn wrappers(&self) -> BTreeSet<&'static str> {
        self.placed.iter().filter_map(|placed| placed.wrapped_by).collect()
    }

    pub(crate) fn count(&self, fate: Fate) -> usize {
        self.placed.iter().filter(|placed| placed.outcome == fate).count()
    }
}
