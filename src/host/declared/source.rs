//! Where the files of a commit are: in Git, or in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the root, `/` between the parts.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Whether it is a file: a link, a submodule or a device is none, and is never read.
    pub is_file: bool,
}

/// The files of a commit. Reading blocks.
pub trait Source: Send + Sync {
    /// Every file.
    ///
    /// # Errors
    /// They cannot be listed; what is wrong and what to do.
    fn entries(&self) -> Result<Vec<Entry>, String>;

    /// The bytes of these files, in their order. A caller has looked at their sizes.
    ///
    /// # Errors
    /// Of each file, why it cannot be read.
    fn read(&self, paths: &[PathBuf]) -> Vec<Result<Vec<u8>, String>>;
}

/// The files of a commit, listed once. Reading blocks.
pub struct Files {
    source: Arc<dyn Source>,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Files {
    /// Lists them; it blocks.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn of(source: Arc<dyn Source>) -> Result<Self, String> {
        let entries = source.entries()?.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        Ok(Self { source, entries })
    }

    /// Every file, by its path.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many bytes the file has, if there is one and it has no more than `most`; else why it is not read.
    pub(super) fn size(&self, path: &Path, most: u64) -> Result<u64, String> {
        match self.entries.get(path) {
            None => Err("is not in this commit".to_owned()),
            Some(entry) if !entry.is_file => Err("is a link or no file: only files are read".to_owned()),
            Some(entry) if entry.size > most => Err(format!("has {} bytes, more than {most}", entry.size)),
            Some(entry) => Ok(entry.size),
        }
    }

    /// The bytes of these files, in their order. A caller has looked at their sizes.
    pub(super) fn read(&self, paths: &[PathBuf]) -> Vec<Result<Vec<u8>, String>> {
        self.source.read(paths)
    }
}

/// A folder on a disk: a working tree that somebody trusts. Links are not followed.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

/// The most files that a folder may hold.
const MAX_FILES: usize = 200_000;
/// The deepest nesting of folders.
const MAX_DEPTH: usize = 64;

impl Source for Folder {
    fn entries(&self) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        list(&self.0, &PathBuf::new(), &mut entries)?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn read(&self, paths: &[PathBuf]) -> Vec<Result<Vec<u8>, String>> {
        paths.iter().map(|path| read(&self.0.join(path))).collect()
    }
}

fn list(root: &Path, below: &Path, entries: &mut Vec<Entry>) -> Result<(), String> {
    if below.components().count() > MAX_DEPTH {
        return Err(format!("{}: more than {MAX_DEPTH} folders inside each other", below.display()));
    }
    let folder = root.join(below);
    let told = |error: std::io::Error| format!("cannot list {}: {error}", folder.display());
    for entry in fs::read_dir(&folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let kind = entry.file_type().map_err(told)?;
        let path = below.join(entry.file_name());
        if kind.is_dir() {
            if entry.file_name() != ".git" {
                list(root, &path, entries)?;
            }
            continue;
        }
        let size = entry.metadata().map_err(told)?.len();
        entries.push(Entry { path, size, is_file: kind.is_file() });
        if entries.len() > MAX_FILES {
            return Err(format!("{} holds more than {MAX_FILES} files", root.display()));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let found = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    // It may grow while it is read.
    file.take(found.len()).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
