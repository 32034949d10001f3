//! The only writer of files with plaintext.
//!
//! Every file is private from its first byte, written whole beside its place and renamed over it: a reader sees the
//! old value or the new one, never half of one. What is already right is not written.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::secret::Target;

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Some file was written or removed.
    Changed,
    /// Every file was right already.
    Unchanged,
}

/// Writes Secrets as `<root>/<namespace>/<name>/<data key>`, mode 0600 in folders of mode 0700.
pub struct Sink {
    root: PathBuf,
}

impl Sink {
    /// A sink below `root`, which is created when needed.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of one Secret.
    ///
    /// # Errors
    /// If the namespace or the name is not a single path component: they come from a repository.
    pub fn folder(&self, namespace: &str, name: &str) -> io::Result<PathBuf> {
        Ok(self.root.join(component(namespace)?).join(component(name)?))
    }

    /// Makes the files of `target` what it says: writes what differs, removes what it does not name.
    ///
    /// # Errors
    /// Of the file system. What was there before stays: each file changes in one step.
    pub fn write(&self, target: &Target) -> io::Result<Written> {
        let folder = self.folder(&target.namespace, &target.name)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut written = Written::Unchanged;
        for (key, value) in &target.data {
            let path = folder.join(component(key)?);
            let same = fs::read(&path).map(zeroize::Zeroizing::new).is_ok_and(|old| value.same_as(&old));
            if !same {
                replace(&folder, &path, value.expose())?;
                written = Written::Changed;
            }
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let named = entry.file_name();
            if named.to_str().is_none_or(|name| !target.data.contains_key(name)) {
                fs::remove_file(entry.path())?;
                written = Written::Changed;
            }
        }
        Ok(written)
    }
}

/// Refuses everything that would lead out of its folder.
fn component(name: &str) -> io::Result<&str> {
    let one = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    if one { Ok(name) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} names no file"))) }
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Data keys never begin with two dots, so this is nobody's file.
    let temporary = folder.join("..new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // create_new refuses to follow a link that somebody put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Sink, Written};
    use crate::secret::{Plaintext, Shape, Target, Values};

    fn target(name: &str, values: &[(&str, &str)]) -> Target {
        let data: Values =
            values.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::copy_of(value.as_bytes()))).collect();
        Target { namespace: "prod".to_owned(), name: name.to_owned(), shape: Shape::default(), data }
    }

    #[test]
    fn files_are_private_and_follow_the_target() {
        let root = tempfile::tempdir().unwrap();
        let sink = Sink::new(root.path().join("secrets"));
        assert_eq!(sink.write(&target("db", &[("user", "app"), ("password", "one")])).unwrap(), Written::Changed);
        assert_eq!(sink.write(&target("db", &[("user", "app"), ("password", "one")])).unwrap(), Written::Unchanged);
        assert_eq!(sink.write(&target("db", &[("password", "two")])).unwrap(), Written::Changed);
        let folder = sink.folder("prod", "db").unwrap();
        assert_eq!(std::fs::read(folder.join("password")).unwrap(), b"two");
        assert!(!folder.join("user").exists());
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("password"))), (0o700, 0o600));
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let root = tempfile::tempdir().unwrap();
        let sink = Sink::new(root.path());
        for name in ["..", ".", "", "a/b", "../x"] {
            assert!(sink.write(&target(name, &[])).is_err(), "{name:?}");
            assert!(sink.write(&target("db", &[(name, "x")])).is_err(), "{name:?}");
        }
    }
}
