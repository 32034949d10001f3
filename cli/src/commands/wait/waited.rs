//! The objects that are waited for, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};

use crate::args::{Goal, SyncedKind};
use crate::objects::{Observed, Presence, State};

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) kind: SyncedKind,
    pub(super) name: String,
}

/// What is known of it.
#[derive(Default)]
pub(super) struct Entry {
    /// `None` while it does not exist.
    pub(super) object: Option<Observed>,
    /// Its Secret, as it was when somebody last looked.
    secret: Option<Presence>,
    /// Whether the list that is under way has it.
    is_listed: bool,
    /// What was last said about it.
    said: Option<String>,
    /// Whether something about it has changed since.
    is_news: bool,
}

impl Entry {
    /// Whether it is as it should be.
    pub(super) fn is_done(&self, goal: Goal) -> bool {
        match (goal, &self.object) {
            (Goal::Deleted, object) => object.is_none(),
            (Goal::Synced, None) => false,
            (Goal::Synced, Some(object)) => {
                // Where nobody may look, what the controller says has to do.
                let is_there = matches!(self.secret, Some(Presence::There | Presence::Forbidden));
                object.state == State::Synced && (object.secret.is_none() || is_there)
            }
        }
    }

    /// Whether its Secret is there; `None` where nobody has looked or may look.
    pub(super) fn secret_exists(&self) -> Option<bool> {
        match self.secret {
            Some(Presence::There) => Some(true),
            Some(Presence::Missing) => Some(false),
            Some(Presence::Forbidden) | None => None,
        }
    }

    fn wants_secret(&self) -> Option<(String, String)> {
        let object = self.object.as_ref().filter(|object| object.state == State::Synced)?;
        let name = object.secret.clone()?;
        matches!(self.secret, None | Some(Presence::Missing)).then(|| (object.namespace.clone(), name))
    }

    /// What it waits for, in words.
    fn why(&self, goal: Goal) -> String {
        match (goal, &self.object) {
            (_, None) => "does not exist yet".to_owned(),
            (Goal::Deleted, Some(object)) if object.reason.as_deref() == Some("Deleting") => {
                "is being deleted".to_owned()
            }
            (Goal::Deleted, Some(_)) => "still exists".to_owned(),
            (Goal::Synced, Some(object)) if object.state == State::Synced => {
                let name = object.secret.as_deref().unwrap_or_default();
                format!("is in sync ({}), but Secret {name} is not there", object.why())
            }
            (Goal::Synced, Some(object)) => format!("{}: {}", object.state.as_str(), object.why()),
        }
    }
}

/// A line to print.
pub(super) enum News {
    Done(String),
    Waits(String),
}

/// Everything that is waited for.
pub(super) struct Waited {
    goal: Goal,
    /// Whether it is what the cluster has, and not what was named.
    is_open: bool,
    entries: BTreeMap<Key, Entry>,
    has_seen: bool,
}

impl Waited {
    pub(super) const fn new(goal: Goal, is_open: bool) -> Self {
        Self { goal, is_open, entries: BTreeMap::new(), has_seen: false }
    }

    /// Waits for that object, whether it exists or not.
    pub(super) fn expect(&mut self, kind: SyncedKind, namespace: &str, name: &str) {
        let key = Key { namespace: namespace.to_owned(), kind, name: name.to_owned() };
        self.entries.insert(key, Entry { is_news: true, ..Entry::default() });
    }

    /// A list of that kind begins.
    pub(super) fn begin(&mut self, kind: SyncedKind) {
        self.entries.iter_mut().filter(|(key, _)| key.kind == kind).for_each(|(_, entry)| entry.is_listed = false);
    }

    /// It is complete: what was not in it is gone.
    pub(super) fn listed(&mut self, kind: SyncedKind) {
        let unseen = self.entries.iter().filter(|(key, entry)| key.kind == kind && !entry.is_listed);
        let unseen: Vec<Key> = unseen.map(|(key, _)| key.clone()).collect();
        unseen.iter().for_each(|key| self.forget(key));
    }

    pub(super) fn seen(&mut self, object: Observed) {
        self.has_seen = true;
        let key = Key { namespace: object.namespace.clone(), kind: object.kind, name: object.name.clone() };
        if !self.is_open && !self.entries.contains_key(&key) {
            return;
        }
        let entry = self.entries.entry(key).or_default();
        entry.is_listed = true;
        // A new verdict is about a Secret that nobody has looked at.
        let is_same = entry.object.as_ref().is_some_and(|old| {
            (old.state, &old.secret, old.observed_generation)
                == (object.state, &object.secret, object.observed_generation)
        });
        if !is_same {
            entry.secret = None;
        }
        entry.object = Some(object);
        entry.is_news = true;
    }

    pub(super) fn gone(&mut self, kind: SyncedKind, namespace: &str, name: &str) {
        self.forget(&Key { namespace: namespace.to_owned(), kind, name: name.to_owned() });
    }

    fn forget(&mut self, key: &Key) {
        // What the cluster had and has no more is done with, but its line is still to be said.
        if self.is_open && self.goal == Goal::Synced {
            self.entries.remove(key);
        } else if let Some(entry) = self.entries.get_mut(key) {
            entry.object = None;
            entry.secret = None;
            entry.is_news = true;
        }
    }

    /// The Secrets to look for.
    pub(super) fn secrets(&self) -> BTreeSet<(String, String)> {
        match self.goal {
            Goal::Synced => self.entries.values().filter_map(Entry::wants_secret).collect(),
            Goal::Deleted => BTreeSet::new(),
        }
    }

    /// Whether one was looked for in vain.
    pub(super) fn is_secret_missing(&self) -> bool {
        !self.secrets().is_empty()
    }

    pub(super) fn found(&mut self, found: &BTreeMap<(String, String), Presence>) {
        for entry in self.entries.values_mut() {
            if let Some(presence) = entry.wants_secret().and_then(|wanted| found.get(&wanted)) {
                entry.is_news |= entry.secret != Some(*presence);
                entry.secret = Some(*presence);
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.entries.values().all(|entry| entry.is_done(self.goal))
    }

    /// Whether no object has been there since the start.
    pub(super) const fn is_nobody_seen(&self) -> bool {
        !self.has_seen
    }

    /// Whether one failed in a way that only a person can mend.
    pub(super) fn is_stalled(&self) -> bool {
        self.entries.values().any(Self::stalled)
    }

    fn stalled(entry: &Entry) -> bool {
        entry.object.as_ref().is_some_and(|object| object.stalled)
    }

    /// How many are done, of how many.
    pub(super) fn count(&self) -> (u64, u64) {
        let done = self.entries.values().filter(|entry| entry.is_done(self.goal)).count();
        (done as u64, self.entries.len() as u64)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// The name of the first that is not done.
    pub(super) fn first_undone(&self) -> Option<String> {
        self.entries.iter().find(|(_, entry)| !entry.is_done(self.goal)).map(|(key, _)| full_name(key))
    }

    /// One line for each that is not done.
    pub(super) fn undone(&self, only_stalled: bool) -> Vec<String> {
        let left = self.entries.iter().filter(|(_, entry)| !entry.is_done(self.goal));
        let left = left.filter(|(_, entry)| !only_stalled || Self::stalled(entry));
        left.map(|(key, entry)| format!("{} {}", full_name(key), entry.why(self.goal))).collect()
    }

    /// What has not been said yet.
    pub(super) fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.is_news) {
            entry.is_news = false;
            let is_done = entry.is_done(self.goal);
            let text = match (is_done, self.goal, &entry.object) {
                (true, Goal::Synced, Some(object)) => match (&object.secret, entry.secret) {
                    (Some(name), Some(Presence::There)) => format!("{} Synced, Secret {name} is there", full_name(key)),
                    (Some(name), _) => format!("{} Synced (Secret {name} may not be looked at)", full_name(key)),
                    (None, _) => format!("{} Synced", full_name(key)),
                },
                (true, _, _) => format!("{} is gone", full_name(key)),
                (false, _, _) => format!("{} {}", full_name(key), entry.why(self.goal)),
            };
            // That the controller is at work is no news.
            let is_quiet = entry.object.as_ref().is_some_and(|object| {
                self.goal == Goal::Synced && matches!(object.state, State::Waiting | State::Stale)
            });
            if !is_quiet && entry.said.as_ref() != Some(&text) {
                entry.said = Some(text.clone());
                news.push(if is_done { News::Done(text) } else { News::Waits(text) });
            }
        }
        news
    }
}

fn full_name(key: &Key) -> String {
    format!("{} {}/{}", key.kind.as_str(), key.namespace, key.name)
}
