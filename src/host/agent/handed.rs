//! Which credentials the units have in use, as far as this boot's agents know.
//!
//! Values are in memory only, so a new agent cannot compare with what the one before it handed out; and systemd hands a
//! credential to a unit only when that starts. So a keyed digest of each is noted beside the generations: with the key of
//! the generations' own digests, which a boot forgets like the note. What is about to be told is struck out first: after a
//! kill it is told once more.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::Agent;
use crate::host::desired::Credential;
use crate::host::disk;
use crate::host::units::name::of_systemd;
use crate::seal::DigestKey;

const FILE: &str = "handed.json";
/// A longer note is none of ours, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A unit and the name of a credential.
type Key = (String, String);

/// Digests by unit and name; nothing for a credential whose value could not be made.
pub(super) type Digests = BTreeMap<Key, Option<String>>;

/// See the module.
pub(super) struct Handed {
    path: PathBuf,
    key: Arc<DigestKey>,
    /// Nothing where nobody noted anything since the boot.
    known: Option<BTreeMap<Key, String>>,
}

impl Handed {
    /// What an earlier agent noted in `run`.
    pub(super) fn read(run: &Path, key: Arc<DigestKey>) -> Self {
        let path = run.join(FILE);
        let known = read(&path);
        Self { path, key, known }
    }

    /// Whether anything is known of this boot.
    pub(super) const fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The units and names whose value is not known to be in use.
    pub(super) fn changed(&self, declared: &[Credential]) -> Vec<Key> {
        let is_other = |(key, digest): (Key, Option<String>)| {
            let known = self.known.as_ref().and_then(|known| known.get(&key));
            let digest = digest?;
            (!known.is_some_and(|known| DigestKey::same(known, &digest))).then_some(key)
        };
        self.digests(declared).into_iter().filter_map(is_other).collect()
    }

    /// The digests of what is declared.
    pub(super) fn digests(&self, declared: &[Credential]) -> Digests {
        let of = |Credential { unit, name, value }: &Credential| {
            let key = (of_systemd(unit), name.clone());
            let digest = value.as_ref().map(|value| self.digest(&key, value.expose()));
            (key, digest)
        };
        declared.iter().map(of).collect()
    }

    /// Units are told of these now: what they have in use is not known until they were.
    pub(super) fn strike_out(&mut self, keys: &[Key]) {
        if let Some(known) = self.known.as_mut().filter(|_| !keys.is_empty()) {
            known.retain(|key, _| !keys.contains(key));
            self.write();
        }
    }

    /// All units were told: these are in use, and no others. One that could not be made stays what it was.
    pub(super) fn settle(&mut self, digests: Digests) {
        let mut last = self.known.take().unwrap_or_default();
        let now = digests.into_iter().filter_map(|(key, digest)| {
            let digest = digest.or_else(|| last.remove(&key))?;
            Some((key, digest))
        });
        self.known = Some(now.collect());
        self.write();
    }

    /// The unit was told of this one.
    pub(super) fn add(&mut self, key: Key, value: &[u8]) {
        let digest = self.digest(&key, value);
        if let Some(known) = &mut self.known {
            known.insert(key, digest);
            self.write();
        }
    }

    fn digest(&self, (unit, name): &Key, value: &[u8]) -> String {
        let parts = [("credential of", unit.as_bytes()), ("name", name.as_bytes()), ("value", value)];
        self.key.digest(parts)
    }

    fn write(&self) {
        let Some(known) = &self.known else { return };
        let list: Vec<_> = known.iter().map(|((unit, name), digest)| (unit, name, digest)).collect();
        let bytes = serde_json::to_vec(&list).map_err(io::Error::from);
        if let Err(error) = bytes.and_then(|bytes| disk::replace(&self.path, &bytes, 0o600, false)) {
            warn!(%error, file = %self.path.display(), "which credentials are in use is not noted");
            // An old note would say that a unit has what it has no more.
            drop(disk::remove(&self.path));
        }
    }
}

fn read(path: &Path) -> Option<BTreeMap<Key, String>> {
    let about = fs::symlink_metadata(path).ok()?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return None;
    }
    let list: io::Result<Vec<(String, String, String)>> =
        fs::read(path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
    match list {
        Ok(list) => Some(list.into_iter().map(|(unit, name, digest)| ((unit, name), digest)).collect()),
        Err(error) => {
            warn!(%error, file = %path.display(), "which credentials are in use is not known");
            None
        }
    }
}

impl Agent {
    /// The credentials that units are to be told of.
    ///
    /// A host that has a good commit and no note was started anew, or has its first agent that notes: what runs has got
    /// its credential in this boot, from an agent of the same commit, and is left alone. What failed is told: it may have
    /// failed for want of one.
    pub(super) async fn changed_credentials(&self, declared: &[Credential]) -> Vec<Key> {
        let mut changed = self.handed.changed(declared);
        if self.files_only || self.handed.is_known() || self.state.good.is_none() {
            return changed;
        }
        let mut told = Vec::new();
        for key in changed.drain(..) {
            if !self.manager.state(&key.0, None).await.is_ok_and(|state| state.runs()) {
                told.push(key);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::Arc;

    use zeroize::Zeroizing;

    use super::{FILE, Handed};
    use crate::host::desired::Credential;
    use crate::seal::DigestKey;
    use crate::secret::Plaintext;

    fn declared(unit: &str, name: &str, value: Option<&str>) -> Credential {
        let value = value.map(|value| Plaintext::copy_of(value.as_bytes()));
        Credential { unit: unit.to_owned(), name: name.to_owned(), value }
    }

    fn handed(run: &Path) -> Handed {
        Handed::read(run, Arc::new(DigestKey::from_secret(Zeroizing::new(vec![7; 32])).unwrap()))
    }

    fn key(unit: &str, name: &str) -> (String, String) {
        (unit.to_owned(), name.to_owned())
    }

    #[test]
    fn a_new_agent_finds_only_what_differs_from_what_the_one_before_it_handed_out() {
        let run = tempfile::tempdir().unwrap();
        let first = [declared("web", "a", Some("canary-1")), declared("web.service", "b", Some("canary-2"))];
        let mut before = handed(run.path());
        assert!(!before.is_known());
        assert_eq!(before.changed(&first), [key("web.service", "a"), key("web.service", "b")]);
        before.settle(before.digests(&first));
        assert!(before.changed(&first).is_empty());
        drop(before);

        let mut after = handed(run.path());
        assert!(after.is_known() && after.changed(&first).is_empty());
        let second = [declared("web", "a", Some("canary-1")), declared("web", "b", Some("canary-3"))];
        assert_eq!(after.changed(&second), [key("web.service", "b")]);
        // It is killed while it tells the unit: whichever value comes next, the unit is told.
        after.strike_out(&after.changed(&second));
        drop(after);
        for next in [&first, &second] {
            assert_eq!(handed(run.path()).changed(next), [key("web.service", "b")]);
        }

        let note = std::fs::read_to_string(run.path().join(FILE)).unwrap();
        assert!(!note.contains("canary"), "{note}");
        assert_eq!(std::fs::metadata(run.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_made_for_now_is_not_forgotten_and_what_is_no_longer_declared_is() {
        let run = tempfile::tempdir().unwrap();
        let both = [declared("web", "a", Some("1")), declared("web", "b", Some("2"))];
        let mut agent = handed(run.path());
        agent.settle(agent.digests(&both));
        agent.settle(agent.digests(&[declared("web", "a", None)]));
        assert_eq!(handed(run.path()).changed(&both), [key("web.service", "b")]);
        agent.add(key("web.service", "b"), b"2");
        assert!(handed(run.path()).changed(&both).is_empty());
    }

    #[test]
    fn a_note_that_is_none_says_nothing() {
        let run = tempfile::tempdir().unwrap();
        crate::host::disk::replace(&run.path().join(FILE), b"[[\"web\"", 0o600, false).unwrap();
        assert!(!handed(run.path()).is_known());
    }
}
