//! The files of a commit, as the `declared` part reads them: it blocks, on a thread of its own.

use std::path::PathBuf;

use super::tree::Tree;
use crate::host::declared::{Entry, Source};

impl Source for Tree {
    fn entries(&self) -> Result<Vec<Entry>, String> {
        let file = |path: &str, size, is_file| Entry { path: PathBuf::from(path), size, is_file };
        let files = self.iter().map(|entry| file(&entry.path, entry.size, true));
        Ok(files.chain(self.passed_over().iter().map(|passed| file(&passed.path, 0, false))).collect())
    }

    /// Not to be called by a thread of the runtime itself: it would wait for itself.
    fn read(&self, paths: &[PathBuf]) -> Vec<Result<Vec<u8>, String>> {
        let names: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap_or_default()).collect();
        let read = self.runtime().block_on(self.read_many(&names));
        read.into_iter().map(|read| read.map_err(|error| with_cause(&error))).collect()
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
