//! Remembers, on this machine only, which plaintext a ciphertext was made from, so that sealing the same thing again
//! leaves the file as it is.
//!
//! Kept is one line a value: an HMAC of the ciphertext and one of what went into it, under a key that never leaves
//! this machine. Whoever has the repository learns nothing from it; whoever has this file and its key could check a
//! guess, as somebody with this user's rights could read the plaintext anyway while it is being sealed.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use bulla::seal::DigestKey;
use zeroize::Zeroizing;

use crate::output::{self, Access};

/// How many values are remembered; the oldest go first. 165 bytes each.
const CAPACITY: usize = 20_000;

/// The memory of one user on one machine. Without a place to keep it (no home, read only) it just knows nothing.
pub(crate) struct Memory {
    folder: Option<PathBuf>,
    key: Option<DigestKey>,
    made_from: HashMap<String, String>,
    order: Vec<String>,
    changed: bool,
}

impl Memory {
    /// Opens the memory in `$XDG_STATE_HOME/bulla` (or `~/.local/state/bulla`).
    pub(crate) fn open() -> Self {
        let folder = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .map(|state| state.join("bulla"));
        let mut memory = Self { folder, key: None, made_from: HashMap::new(), order: Vec::new(), changed: false };
        memory.key = memory.load_key();
        memory.load_lines();
        memory
    }

    fn load_key(&self) -> Option<DigestKey> {
        let path = self.folder.as_ref()?.join("memory.key");
        if let Ok(bytes) = fs::read(&path) {
            return DigestKey::from_secret(Zeroizing::new(bytes)).ok();
        }
        let mut secret = Zeroizing::new(vec![0; 32]);
        rustix::rand::getrandom(secret.as_mut_slice(), rustix::rand::GetRandomFlags::empty()).ok()?;
        fs::create_dir_all(path.parent()?).ok()?;
        output::create_private_file(&path, &secret).ok()?;
        DigestKey::from_secret(secret).ok()
    }

    fn load_lines(&mut self) {
        let Some(folder) = &self.folder else { return };
        let Ok(text) = fs::read_to_string(folder.join("memory")) else { return };
        for line in text.lines() {
            if let Some((sealed, from)) = line.split_once(' ') {
                self.order.push(sealed.to_owned());
                self.made_from.insert(sealed.to_owned(), from.to_owned());
            }
        }
    }

    /// What went into a value: everything that, if it changes, makes a new ciphertext necessary.
    pub(crate) fn digest<'a>(&self, parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<String> {
        self.key.as_ref().map(|key| key.digest(parts))
    }

    /// Whether `sealed` is known to have been made from what has this digest.
    pub(crate) fn proves(&self, sealed: &str, digest: Option<&str>) -> bool {
        let known = self.name_of(sealed).and_then(|name| self.made_from.get(&name));
        known.zip(digest).is_some_and(|(known, digest)| DigestKey::same(known, digest))
    }

    /// Notes what `sealed` was made from.
    pub(crate) fn note(&mut self, sealed: &str, digest: Option<String>) {
        let (Some(sealed), Some(digest)) = (self.name_of(sealed), digest) else { return };
        if self.made_from.insert(sealed.clone(), digest).is_none() {
            self.order.push(sealed);
        }
        self.changed = true;
    }

    /// Writes the memory back. Failing to is no failure: the next sealing makes a new ciphertext, that is all.
    pub(crate) fn save(self) {
        let (Some(folder), true) = (&self.folder, self.changed) else { return };
        let skipped = self.order.len().saturating_sub(CAPACITY);
        let mut text = String::new();
        for sealed in &self.order[skipped..] {
            if let Some(from) = self.made_from.get(sealed) {
                text.push_str(&format!("{sealed} {from}\n"));
            }
        }
        drop(output::write_file(&folder.join("memory"), text.as_bytes(), Access::Private));
    }

    /// Names a ciphertext.
    fn name_of(&self, sealed: &str) -> Option<String> {
        self.digest([("ciphertext", sealed.as_bytes())])
    }
}
