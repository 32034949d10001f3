//! Which live values each key protects, from what the SealedSecrets say.

use std::collections::{BTreeMap, BTreeSet};

use bulla::seal::{self, Format};
use kube::Client;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use crate::args::{Pick, SyncedKind, WhereArguments};
use crate::failure::Outcome;
use crate::objects::{Observed, Selection, State};

/// What a key protects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) values: u64,
    pub(crate) objects: u64,
    /// Whether there may be more values: some statuses say which keys were used, but not how often.
    pub(crate) is_at_least: bool,
}

/// An object with values that are sealed to a key that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct UsedIn {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The data keys.
    pub(crate) values: Vec<String>,
    /// Whether it is known. kubeseal's values do not say to which key they are sealed, so some of them may be to others.
    pub(crate) certain: bool,
    /// Whether the key counts as needed to open it; else another key of the cluster has opened it.
    #[serde(skip)]
    pub(crate) needs_it: bool,
}

/// The keys whose objects are asked for.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) ids: BTreeSet<String>,
    /// Whether one of them is kubeseal's.
    pub(crate) is_rsa: bool,
}

/// What all keys protect.
#[derive(Default)]
pub(crate) struct Uses {
    /// By key id.
    pub(crate) by_key: BTreeMap<String, Use>,
    /// Objects with values of kubeseal's that no key has opened yet: nobody knows their key.
    pub(crate) unknown: Vec<UsedIn>,
    /// The objects of the keys that are asked about.
    pub(crate) objects: Vec<UsedIn>,
    wanted: Wanted,
}

impl Uses {
    /// Looks at every SealedSecret of the cluster, page by page.
    pub(crate) async fn read(client: &Client, wanted: Wanted) -> Outcome<Self> {
        Self::read_and(client, wanted, |_, _| {}).await
    }

    /// The same; `also` gets each object, and the keys that have opened all of it as it is now.
    pub(crate) async fn read_and(
        client: &Client,
        wanted: Wanted,
        mut also: impl FnMut(&DynamicObject, &[String]),
    ) -> Outcome<Self> {
        let everywhere = WhereArguments { namespace: None, all_namespaces: true, selector: None };
        let sealed = Pick { kind: Some(SyncedKind::SealedSecret), name: None };
        let selection = Selection::new(client.clone(), &everywhere, vec![sealed]);
        let mut uses = Self { wanted, ..Self::default() };
        selection.each(|_, object| also(&object, &uses.add(&object))).await?;
        let place = |one: &UsedIn| (one.namespace.clone(), one.name.clone());
        uses.objects.sort_by_key(place);
        uses.unknown.sort_by_key(place);
        Ok(uses)
    }

    /// What one key protects.
    pub(crate) fn of(&self, id: &str) -> Use {
        self.by_key.get(id).copied().unwrap_or_default()
    }

    /// Counts an object; gives the keys that have opened all of it as it is now.
    fn add(&mut self, object: &DynamicObject) -> Vec<String> {
        let seen = Observed::of(SyncedKind::SealedSecret, object);
        let sealed = Sealed::read(&object.data);
        let mut counts: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        for key in &seen.keys {
            counts.insert(key.id.clone(), (key.values.unwrap_or(1), key.values.is_none()));
        }
        let is_current = seen.state == State::Synced && !seen.keys.is_empty();
        // What has not been opened says by itself which keys would open it, where its format can.
        if !is_current {
            for id in sealed.native.values().flatten() {
                let counted = counts.entry(id.clone()).or_default();
                *counted = (counted.0.max(1), true);
            }
        }
        for (id, (values, is_at_least)) in &counts {
            let entry = self.by_key.entry(id.clone()).or_default();
            entry.values += values;
            entry.objects += 1;
            entry.is_at_least |= is_at_least;
        }
        let used = |values: Vec<String>, certain, needs_it| UsedIn {
            namespace: seen.namespace.clone(),
            name: seen.name.clone(),
            values,
            certain,
            needs_it,
        };
        // Of an object that was edited since, the old status says nothing about the new values.
        if !is_current && !sealed.kubeseal.is_empty() {
            self.unknown.push(used(sealed.kubeseal.clone(), false, false));
        }
        let counted = self.wanted.ids.iter().filter(|id| counts.contains_key(*id)).count();
        let is_to = |ids: &Vec<String>| ids.iter().any(|id| self.wanted.ids.contains(id));
        let mut values: Vec<String> =
            sealed.native.iter().filter(|(_, ids)| is_to(ids)).map(|(key, _)| key.clone()).collect();
        let mut certain = true;
        if counted > 0 && self.wanted.is_rsa {
            // All of them are to this key only where it is the only one that opened anything.
            certain = sealed.kubeseal.is_empty() || (is_current && counts.len() == counted && sealed.native.is_empty());
            values.extend(sealed.kubeseal.iter().cloned());
            values.sort();
        }
        if counted > 0 || !values.is_empty() {
            self.objects.push(used(values, certain, counted > 0));
        }
        if is_current { seen.keys.iter().map(|key| key.id.clone()).collect() } else { Vec::new() }
    }
}

/// The values of an object by what they say about themselves.
struct Sealed {
    /// Data key to the ids of the keys that it is sealed to.
    native: BTreeMap<String, Vec<String>>,
    /// Data keys of kubeseal's values.
    kubeseal: Vec<String>,
}

impl Sealed {
    fn read(data: &Value) -> Self {
        let mut sealed = Self { native: BTreeMap::new(), kubeseal: Vec::new() };
        let values = data.pointer("/spec/encryptedData").and_then(Value::as_object);
        for (key, value) in values.into_iter().flatten() {
            let Some(Ok(looked)) = value.as_str().map(seal::inspect) else { continue };
            match (looked.format, looked.binding) {
                (Format::Native, Some(binding)) => {
                    sealed.native.insert(key.clone(), binding.keys.iter().map(ToString::to_string).collect());
                }
                (Format::Native, None) => {}
                (Format::Kubeseal, _) => sealed.kubeseal.push(key.clone()),
            }
        }
        sealed
    }
}
