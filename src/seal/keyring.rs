//! The keys that one cluster, host or person holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DigestKey, Identity, KeyId, KeyKind, KeyState, Recipient, Refusal};

/// Key pairs by id. Later insertions are newer.
///
/// Opening a native value is a look-up. Only kubeseal's format, which names no key, is tried key by key; which key
/// opened which value is then remembered.
#[derive(Default)]
pub struct Keyring {
    entries: Vec<(Identity, KeyState)>,
    index: HashMap<KeyId, usize>,
    /// What does not open any more, and why.
    refused: BTreeMap<KeyId, KeyState>,
    /// Keys that would open, whose private halves cannot be had at present.
    locked: BTreeSet<KeyId>,
    /// RSA keys among the refused: kubeseal's format names no key, so only they can tell what was sealed to them.
    refused_rsa: Vec<Identity>,
    opened_by: Mutex<HashMap<[u8; 16], KeyId>>,
    rsa_operations: AtomicU64,
}

/// How many values the memory of RSA openings holds before it starts afresh: 24 bytes each.
const REMEMBERED: usize = 1 << 16;

impl Keyring {
    /// An empty keyring.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key pair, or changes the state of one that is there. A retired or compromised key is kept by id only: its
    /// private half is dropped here. Only RSA keys stay, to recognise what was sealed to them; they open nothing.
    pub fn insert(&mut self, identity: Identity, state: KeyState) {
        let id = identity.key_id();
        self.remove(&id);
        if !state.opens() {
            self.refused.insert(id, state);
            if identity.rsa().is_some() {
                self.refused_rsa.push(identity);
            }
            return;
        }
        self.index.insert(id, self.entries.len());
        self.entries.push((identity, state));
    }

    /// Notes that `id` does not open any more, where only the id is known; with a state that opens it does nothing.
    pub fn refuse(&mut self, id: KeyId, state: KeyState) {
        if !state.opens() {
            self.remove(&id);
            self.refused.insert(id, state);
        }
    }

    /// Notes that `id` would open, but that its private half cannot be had at present.
    pub fn lock(&mut self, id: KeyId) {
        self.remove(&id);
        self.locked.insert(id);
    }

    /// Whether `id` is known and its private half cannot be had at present.
    #[must_use]
    pub fn is_locked(&self, id: &KeyId) -> bool {
        self.locked.contains(id)
    }

    /// Takes a key out, whatever its state.
    pub fn remove(&mut self, id: &KeyId) {
        self.refused.remove(id);
        self.locked.remove(id);
        self.refused_rsa.retain(|identity| identity.key_id() != *id);
        if self.index.contains_key(id) {
            self.entries.retain(|(identity, _)| identity.key_id() != *id);
            self.index = self.entries.iter().enumerate().map(|(at, (identity, _))| (identity.key_id(), at)).collect();
        }
    }

    /// Whether there is no key that opens anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys that open, oldest first, with their states.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Identity, KeyState)> {
        self.entries.iter().map(|(identity, state)| (identity, *state))
    }

    /// Whether `id` opens.
    #[must_use]
    pub fn contains(&self, id: &KeyId) -> bool {
        self.index.contains_key(id)
    }

    /// Notes that `id` is retired, where only the id is known.
    pub fn retire(&mut self, id: KeyId) {
        self.refuse(id, KeyState::Retired);
    }

    /// Whether `id` is known as retired.
    #[must_use]
    pub fn is_retired(&self, id: &KeyId) -> bool {
        self.refused.get(id) == Some(&KeyState::Retired)
    }

    /// Why `id` does not open, if it is known not to.
    #[must_use]
    pub fn refusal(&self, id: &KeyId) -> Option<Refusal> {
        match self.refused.get(id)? {
            KeyState::Retired => Some(Refusal::RetiredKey { id: *id }),
            KeyState::Compromised => Some(Refusal::CompromisedKey { id: *id }),
            KeyState::Active | KeyState::Opening => None,
        }
    }

    /// The newest active native key: what new values are sealed to.
    #[must_use]
    pub fn active(&self) -> Option<&Recipient> {
        self.newest_active(|kind| kind != KeyKind::Rsa)
    }

    /// The newest active certificate: what kubeseal's users seal to.
    #[must_use]
    pub fn active_certificate(&self) -> Option<&Recipient> {
        self.newest_active(|kind| kind == KeyKind::Rsa)
    }

    fn newest_active(&self, wanted: impl Fn(KeyKind) -> bool) -> Option<&Recipient> {
        self.iter()
            .rev()
            .find(|(identity, state)| *state == KeyState::Active && wanted(identity.kind()))
            .map(|(identity, _)| identity.recipient())
    }

    /// The key to make digests with: that of the oldest key, so that it changes as seldom as possible.
    #[must_use]
    pub fn digest_key(&self) -> Option<&DigestKey> {
        self.entries.first().map(|(identity, _)| identity.digest_key())
    }

    /// The key that made a digest, to check it.
    #[must_use]
    pub fn digest_key_of(&self, digest: &str) -> Option<&DigestKey> {
        self.get(&DigestKey::id_of(digest)?).map(Identity::digest_key)
    }

    /// How many times an RSA private key of this keyring was used, whatever came of it: the costly part of opening
    /// kubeseal's format.
    #[must_use]
    pub fn rsa_operations(&self) -> u64 {
        self.rsa_operations.load(Ordering::Relaxed)
    }

    /// How many of its keys are tried on a value of kubeseal's format, at most.
    #[must_use]
    pub fn rsa_keys(&self) -> usize {
        self.rsa().count()
    }

    pub(super) fn count_rsa_operation(&self) {
        self.rsa_operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rsa(&self) -> impl Iterator<Item = &Identity> {
        self.iter().map(|(identity, _)| identity).filter(|identity| identity.rsa().is_some())
    }

    /// The public half of a key that opens, with its state.
    #[must_use]
    pub fn recipient_of(&self, id: &KeyId) -> Option<(&Recipient, KeyState)> {
        let (identity, state) = self.entries.get(*self.index.get(id)?)?;
        Some((identity.recipient(), *state))
    }

    pub(super) fn get(&self, id: &KeyId) -> Option<&Identity> {
        self.index.get(id).and_then(|at| self.entries.get(*at)).map(|(identity, _)| identity)
    }

    /// RSA keys in the order in which they are worth trying: the remembered one, then newest first.
    pub(super) fn rsa_candidates(&self, memory: &[u8; 16]) -> Vec<&Identity> {
        let remembered = self.opened_by.lock().ok().and_then(|memory_of| memory_of.get(memory).copied());
        let mut candidates: Vec<&Identity> =
            self.iter().rev().map(|(identity, _)| identity).filter(|identity| identity.rsa().is_some()).collect();
        candidates.sort_by_key(|identity| Some(identity.key_id()) != remembered);
        candidates
    }

    /// RSA keys that do not open any more.
    pub(super) fn refused_rsa(&self) -> &[Identity] {
        &self.refused_rsa
    }

    pub(super) fn remember(&self, memory: [u8; 16], id: KeyId) {
        // A poisoned lock loses a memory, not a value.
        if let Ok(mut opened_by) = self.opened_by.lock() {
            if opened_by.len() >= REMEMBERED {
                opened_by.clear();
            }
            opened_by.insert(memory, id);
        }
    }
}
