//! Which keys the live values need: counted from what the watch on SealedSecrets says, without another call.
//!
//! The status of an object in sync says which keys opened how many of its values. Of any other object the values
//! themselves are looked at: native ones name their keys on the outside. kubeseal's do not, so for them the keys that
//! opened the object last count.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulla_crds::condition::find_condition;
use bulla_crds::{ConditionStatus, ConditionType, SealedSecret};
use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};

use crate::controllers::api;
use crate::controllers::queue::Key;
use crate::controllers::watch::Streams;
use crate::seal::{Format, KeyId, inspect};

/// What needs one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Live values.
    pub(super) values: u64,
    /// The objects that they are in.
    pub(super) objects: u64,
}

/// Counts the live values of each key. Clones share the count.
#[derive(Clone, Default)]
pub(in crate::controllers) struct KeyUse(Arc<Mutex<Count>>);

#[derive(Default)]
struct Count {
    objects: HashMap<Key, Object>,
    totals: BTreeMap<KeyId, Use>,
    streams: Vec<List>,
    /// Whether the streams tell of every object that is served.
    is_whole: bool,
    /// Which of the watches is listened to; those of earlier terms say nothing more.
    term: u64,
}

/// How far one stream is with its list.
#[derive(Clone, Copy, Default)]
struct List {
    number: u32,
    is_complete: bool,
}

struct Object {
    stream: usize,
    list: u32,
    needs: Box<[(KeyId, u32)]>,
}

impl KeyUse {
    /// Listens to the watch on SealedSecrets from now on, and forgets what was counted before. `is_whole` says whether
    /// it tells of all of them: a count of some would say that a key is not needed any more that is.
    pub(in crate::controllers) fn listen(
        &self,
        sealed: Streams<SealedSecret>,
        streams: usize,
        is_whole: bool,
    ) -> Streams<SealedSecret> {
        let term = {
            let mut count = self.lock();
            *count =
                Count { streams: vec![List::default(); streams], is_whole, term: count.term + 1, ..Count::default() };
            count.term
        };
        let count = self.clone();
        sealed.inspect(move |(stream, said)| count.heard(term, *stream, said)).boxed()
    }

    /// Nothing is listened to any more: what was counted is soon not true.
    pub(in crate::controllers) fn rest(&self) {
        let mut count = self.lock();
        *count = Count { term: count.term + 1, ..Count::default() };
    }

    /// What needs each key; `None` while that is not known.
    pub(super) fn totals(&self) -> Option<BTreeMap<KeyId, Use>> {
        let count = self.lock();
        let is_known = count.is_whole && !count.streams.is_empty() && count.streams.iter().all(|list| list.is_complete);
        is_known.then(|| count.totals.clone())
    }

    /// Whether that is known.
    #[cfg(test)]
    pub(in crate::controllers) fn is_known(&self) -> bool {
        self.totals().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // Counting does not panic; a count that was left half-way would be made anew by the next list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, term: u64, stream: usize, said: &Result<Event<SealedSecret>, watcher::Error>) {
        let Ok(event) = said else { return };
        // What takes time is done before anybody has to wait.
        let needs = match event {
            Event::Apply(object) | Event::InitApply(object) => needs(object),
            Event::Delete(_) | Event::Init | Event::InitDone => Vec::new(),
        };
        let mut count = self.lock();
        if count.term != term {
            return;
        }
        match event {
            Event::Init => {
                if let Some(list) = count.streams.get_mut(stream) {
                    list.number += 1;
                }
            }
            Event::Apply(object) | Event::InitApply(object) => count.note(stream, key(object), needs),
            Event::Delete(object) => count.forget(&key(object)),
            Event::InitDone => count.complete(stream),
        }
    }
}

impl Count {
    fn note(&mut self, stream: usize, key: Key, needs: Vec<(KeyId, u32)>) {
        let list = self.streams.get(stream).map_or(0, |list| list.number);
        if let Some(object) = self.objects.get_mut(&key)
            && *object.needs == *needs
        {
            (object.stream, object.list) = (stream, list);
            return;
        }
        self.forget(&key);
        for (id, values) in &needs {
            let total = self.totals.entry(*id).or_default();
            total.values += u64::from(*values);
            total.objects += 1;
        }
        self.objects.insert(key, Object { stream, list, needs: needs.into() });
    }

    fn forget(&mut self, key: &Key) {
        let Some(object) = self.objects.remove(key) else { return };
        for (id, values) in &object.needs {
            if let Some(total) = self.totals.get_mut(id) {
                total.values = total.values.saturating_sub(u64::from(*values));
                total.objects = total.objects.saturating_sub(1);
            }
        }
    }

    /// A list is at its end: what was not in it is gone.
    fn complete(&mut self, stream: usize) {
        let Some(list) = self.streams.get_mut(stream) else { return };
        list.is_complete = true;
        let number = list.number;
        let is_gone = |object: &Object| object.stream == stream && object.list != number;
        let gone: Vec<Key> = self.objects.iter().filter(|(_, o)| is_gone(o)).map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| self.forget(key));
    }
}

fn key(object: &SealedSecret) -> Key {
    let (namespace, name) = api::place(&object.metadata);
    Key::new(namespace, name)
}

/// The keys that an object needs, and for how many values each.
fn needs(object: &SealedSecret) -> Vec<(KeyId, u32)> {
    if object.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let opened = opened_by(object);
    if is_current(object) && !opened.is_empty() {
        return opened.into_iter().collect();
    }
    let mut needs: BTreeMap<KeyId, u32> = BTreeMap::new();
    let mut unnamed = u32::from(object.spec.data.is_some());
    for value in object.spec.encrypted_data.values() {
        match inspect(value) {
            Ok(found) if found.format == Format::Native => {
                for id in found.binding.iter().flat_map(|binding| &binding.keys) {
                    *needs.entry(*id).or_default() += 1;
                }
            }
            Ok(_) => unnamed += 1,
            // What is no sealed value needs no key.
            Err(_) => {}
        }
    }
    if unnamed > 0 {
        for (id, values) in opened {
            needs.entry(id).or_insert_with(|| values.min(unnamed));
        }
    }
    needs.into_iter().collect()
}

/// What the status says of the last time that the object was opened.
fn opened_by(object: &SealedSecret) -> BTreeMap<KeyId, u32> {
    let Some(status) = &object.status else { return BTreeMap::new() };
    let counted = status.key_values.iter().filter_map(|(id, values)| {
        let values = u32::try_from(*values).ok().filter(|values| *values > 0)?;
        Some((id.parse().ok()?, values))
    });
    let counted: BTreeMap<KeyId, u32> = counted.collect();
    if !counted.is_empty() {
        return counted;
    }
    // Written by an earlier version: at least one value each.
    status.key_ids.iter().filter_map(|id| Some((id.parse().ok()?, 1))).collect()
}

/// Whether the status speaks of the values as they are now.
fn is_current(object: &SealedSecret) -> bool {
    object.status.as_ref().is_some_and(|status| {
        let synced = find_condition(&status.conditions, ConditionType::Synced);
        status.observed_generation == object.metadata.generation
            && synced.is_some_and(|synced| synced.status == ConditionStatus::True)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Binding, Identity, Place, Recipient, Scope, seal};
    use crate::secret::Plaintext;

    fn sealed(to: &[Recipient]) -> String {
        let place = Place { namespace: "n", name: "o", key: "a" };
        let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
        seal(to, &Plaintext::copy_of(b"x"), &binding).unwrap()
    }

    fn object(name: &str, values: &[&str], status: serde_json::Value) -> SealedSecret {
        let values: BTreeMap<_, _> = values.iter().enumerate().map(|(at, value)| (at.to_string(), *value)).collect();
        serde_json::from_value(serde_json::json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": "n", "generation": 2},
            "spec": {"encryptedData": values}, "status": status,
        }))
        .unwrap()
    }

    fn opened(generation: i64, synced: &str, id: KeyId, values: u32) -> serde_json::Value {
        serde_json::json!({
            "observedGeneration": generation, "keyIds": [id], "keyValues": {id.to_string(): values},
            "conditions": [{"type": "Synced", "status": synced}],
        })
    }

    #[test]
    fn a_status_that_is_current_decides_and_otherwise_the_values_do() {
        let (old, new) = (Identity::generate_x25519().unwrap(), Identity::generate_x25519().unwrap());
        let value = sealed(&[new.recipient().clone()]);
        let values = [value.as_str(), value.as_str()];
        let both = sealed(&[old.recipient().clone(), new.recipient().clone()]);
        let (old, new) = (old.key_id(), new.key_id());
        assert_eq!(needs(&object("o", &values, opened(2, "True", old, 5))), [(old, 5)]);
        // Not of this generation, not in sync, never looked at.
        assert_eq!(needs(&object("o", &values, opened(1, "True", old, 5))), [(new, 2)]);
        assert_eq!(needs(&object("o", &values, opened(2, "False", old, 5))), [(new, 2)]);
        assert_eq!(needs(&object("o", &values, serde_json::Value::Null)), [(new, 2)]);
        let mut expected = [(old, 1), (new, 1)];
        expected.sort();
        assert_eq!(needs(&object("o", &[&both], serde_json::Value::Null)), expected);
        // kubeseal's values name nobody: whoever opened them last.
        let kubeseals = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, {
            let mut bytes = vec![1, 0];
            bytes.resize(300, 7);
            bytes
        });
        assert_eq!(needs(&object("o", &[&kubeseals, "nonsense"], opened(1, "False", old, 2))), [(old, 1)]);
    }

    #[test]
    fn a_count_follows_the_watch() {
        let id = KeyId::of(b"k");
        let with = |values| object("a", &[], opened(2, "True", id, values));
        let counted = KeyUse::default();
        let total = |counted: &KeyUse| counted.totals().map(|totals| totals.get(&id).copied().unwrap_or_default());
        let _watch = counted.listen(futures::stream::pending().boxed(), 2, true);
        let say = |stream, event| counted.heard(1, stream, &Ok(event));
        say(0, Event::Init);
        say(0, Event::InitApply(with(3)));
        say(0, Event::InitDone);
        assert_eq!(total(&counted), None, "the other stream has yet to end its list");
        say(1, Event::Init);
        say(1, Event::InitDone);
        assert_eq!(total(&counted), Some(Use { values: 3, objects: 1 }));
        say(0, Event::Apply(with(1)));
        say(1, Event::Apply(object("b", &[], opened(2, "True", id, 4))));
        assert_eq!(total(&counted), Some(Use { values: 5, objects: 2 }));
        say(1, Event::Delete(object("b", &[], serde_json::Value::Null)));
        assert_eq!(total(&counted), Some(Use { values: 1, objects: 1 }));
        // A list without it.
        say(0, Event::Init);
        say(0, Event::InitDone);
        assert_eq!(total(&counted), Some(Use::default()));
        // A term that is over.
        let _watch = counted.listen(futures::stream::pending().boxed(), 1, false);
        say(0, Event::Apply(with(9)));
        counted.heard(2, 0, &Ok(Event::InitDone));
        assert_eq!(total(&counted), None, "some of the objects are another's");
        // A term that leads to one that does not.
        let _watch = counted.listen(futures::stream::pending().boxed(), 1, true);
        counted.heard(3, 0, &Ok(Event::InitDone));
        assert_eq!(total(&counted), Some(Use::default()));
        counted.rest();
        counted.heard(3, 0, &Ok(Event::InitDone));
        assert_eq!(total(&counted), None, "nobody counts");
    }
}
