//! Changes of files that services were not told of yet.
//!
//! Between a flip and the reloads that follow it, an agent can be killed; and files that are right say nothing about what
//! the services have in their memory. So what they are to be told of is noted before the flip and forgotten after the last
//! of them was told, and the next agent tells what it finds noted. The note is beside the generations: a boot, after which
//! every service is new, forgets both.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::Agent;
use crate::host::disk;
use crate::host::units::Change;

const FILE: &str = "untold.json";
/// A longer note is none of ours, in bytes.
const MAX_BYTES: u64 = 64 << 20;

fn file(run: &Path) -> PathBuf {
    run.join(FILE)
}

/// What an earlier agent noted. A note that cannot be read is none: it names no file that could be told of.
pub(super) fn read(run: &Path) -> Vec<Change> {
    let path = file(run);
    match fs::symlink_metadata(&path) {
        Ok(about) if about.is_file() && about.len() <= MAX_BYTES => {}
        _ => return Vec::new(),
    }
    let read = fs::read(&path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
    read.unwrap_or_else(|error| {
        warn!(%error, file = %path.display(), "services may not know of their newest files");
        Vec::new()
    })
}

/// The changes, and those of `untold` whose paths are not among them.
pub(super) fn with(mut changes: Vec<Change>, untold: &[Change]) -> Vec<Change> {
    let known: HashSet<PathBuf> = changes.iter().map(|change| change.path.clone()).collect();
    changes.extend(untold.iter().filter(|change| !known.contains(&change.path)).cloned());
    changes
}

impl Agent {
    /// Notes what services are to be told of; nothing if all were told.
    pub(super) fn note_untold(&mut self, changes: Vec<Change>) {
        if changes == self.untold {
            return;
        }
        let path = file(&self.config.run);
        let done = if changes.is_empty() {
            disk::remove(&path)
        } else {
            let bytes = serde_json::to_vec(&changes).map_err(io::Error::from);
            bytes.and_then(|bytes| disk::replace(&path, &bytes, 0o600, false))
        };
        if let Err(error) = done {
            warn!(%error, file = %path.display(), "what services are to be told of is not noted");
        }
        self.untold = changes;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{FILE, read, with};
    use crate::host::desired::Role;
    use crate::host::disk;
    use crate::host::units::{Change, What};

    fn change(path: &str, what: What) -> Change {
        Change { path: PathBuf::from(path), role: Role::File, what }
    }

    #[test]
    fn what_is_noted_is_added_to_what_is_new() {
        let new = vec![change("/a", What::Changed)];
        let noted = [change("/a", What::Added), change("/b", What::Removed)];
        assert_eq!(with(new, &noted), [change("/a", What::Changed), change("/b", What::Removed)]);
    }

    #[test]
    fn a_note_that_is_none_is_passed_over() {
        let run = tempfile::tempdir().unwrap();
        assert!(read(run.path()).is_empty());
        disk::replace(&run.path().join(FILE), b"[{\"path\":", 0o600, false).unwrap();
        assert!(read(run.path()).is_empty());
        let old = br#"[{"path":"/a","role":"file","what":"changed"}]"#;
        disk::replace(&run.path().join(FILE), old, 0o600, false).unwrap();
        assert_eq!(read(run.path()), [change("/a", What::Changed)]);
    }
}
