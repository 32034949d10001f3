//! The files of a commit in the clone, for `declared`, which reads them on threads where it may block.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::host::declared::{Entry, Source};
use crate::host::repository::{CommitId, Repository};

/// The files of a commit.
pub(super) struct Commit {
    repository: Arc<Repository>,
    commit: CommitId,
    below: PathBuf,
    entries: Vec<Entry>,
    runtime: Handle,
}

impl Commit {
    /// Lists the files of `commit` below a folder.
    ///
    /// # Errors
    /// They cannot be listed: why, and what to do.
    pub(super) async fn open(repository: &Arc<Repository>, commit: &CommitId, below: PathBuf) -> Result<Self, String> {
        let tree = repository.tree(commit, &below).await.map_err(|error| super::chain(&error))?;
        let mut entries: Vec<Entry> = tree
            .iter()
            .map(|entry| Entry { path: PathBuf::from(&entry.path), size: entry.size, is_file: true })
            .collect();
        // They are no files, and whoever names one is told so.
        entries.extend(tree.passed_over().iter().map(|passed| Entry {
            path: PathBuf::from(&passed.path),
            size: 0,
            is_file: false,
        }));
        drop(tree);
        let (repository, commit, runtime) = (Arc::clone(repository), commit.clone(), Handle::current());
        Ok(Self { repository, commit, below, entries, runtime })
    }
}

impl Source for Commit {
    fn entries(&self) -> Result<Vec<Entry>, String> {
        Ok(self.entries.clone())
    }

    fn read(&self, paths: &[PathBuf]) -> Vec<Result<Vec<u8>, String>> {
        self.runtime.block_on(async {
            let tree = match self.repository.tree(&self.commit, &self.below).await {
                Ok(tree) => tree,
                Err(error) => {
                    let error = super::chain(&error);
                    return paths.iter().map(|_| Err(error.clone())).collect();
                }
            };
            let names: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap_or_default()).collect();
            let read = tree.read_many(&names).await;
            read.into_iter().map(|file| file.map_err(|error| super::chain(&error))).collect()
        })
    }
}
