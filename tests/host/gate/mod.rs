//! What a change must pass, with a real nginx and real mount namespaces.

mod health;
mod nginx;
mod view;

use std::fs;
use std::path::{Path, PathBuf};

use bulla::host::gate::{Shown, View};

/// A host's folders: generations, `current`, and a root that declared paths are below.
pub(crate) struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir().unwrap();
        let host = Self { folder };
        fs::create_dir_all(host.generation(0).join("files")).unwrap();
        host.flip(0);
        host
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn generation(&self, number: u32) -> PathBuf {
        self.at(&format!("run/generations/{number}"))
    }

    /// A generation with one file at a declared path, as the sink stages it.
    pub(crate) fn stage(&self, number: u32, declared: &str, text: &str) {
        let file = self.generation(number).join("files").join(declared);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn flip(&self, number: u32) {
        let new = self.at("run/new");
        std::os::unix::fs::symlink(format!("generations/{number}"), &new).unwrap();
        fs::rename(new, self.at("run/current")).unwrap();
    }

    /// Where the link at a declared path leads.
    pub(crate) fn target(&self, declared: &str) -> PathBuf {
        self.at("run/current/files").join(declared)
    }

    pub(crate) fn link(&self, declared: &str) -> PathBuf {
        let path = self.at(declared);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(self.target(declared), &path).unwrap();
        path
    }

    pub(crate) fn view(&self, current: u32, staged: u32, paths: Vec<Shown>) -> View {
        let scratch = self.at("run/scratch");
        View { current: self.generation(current), staged: self.generation(staged), paths, scratch }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}
