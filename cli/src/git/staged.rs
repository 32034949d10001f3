//! What the next commit would change.

use std::collections::HashMap;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use super::{Git, unreadable};
use crate::failure::{OrFail as _, Outcome};

/// A file in the index that is not what the commit that is checked out has at its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    /// From the root of the repository, with slashes.
    pub(crate) path: String,
    /// What is staged.
    pub(crate) blob: ObjectId,
    /// What is committed at that path.
    pub(crate) before: Option<ObjectId>,
}

/// What is staged at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexed {
    File(ObjectId),
    /// A link, wherever it leads.
    Link,
}

impl Indexed {
    const fn file(self) -> Option<ObjectId> {
        match self {
            Self::File(blob) => Some(blob),
            Self::Link => None,
        }
    }
}

/// Blobs by path.
pub(crate) type Files = HashMap<String, ObjectId>;

impl Git {
    /// The files that are staged and new or changed; not those that are staged to be deleted, nor submodules.
    /// Of a merge with conflicts, each version that waits to be chosen.
    ///
    /// # Errors
    /// The index or an object is damaged.
    pub(crate) fn staged(&self) -> Outcome<Vec<Staged>> {
        let head = self.head_files()?;
        let staged = self.indexed()?.into_iter().filter_map(|(path, blob)| {
            let before = head.get(&path).copied();
            (before != Some(blob)).then_some(Staged { path, blob, before })
        });
        Ok(staged.collect())
    }

    /// The paths that Git keeps, whether it is told to ignore them or not.
    ///
    /// # Errors
    /// The index is damaged.
    pub(crate) fn tracked(&self) -> Outcome<Vec<String>> {
        let mut paths: Vec<String> = self.indexed()?.into_iter().map(|(path, _)| path).collect();
        paths.dedup();
        Ok(paths)
    }

    fn indexed(&self) -> Outcome<Vec<(String, ObjectId)>> {
        let entries = self.index_entries()?.into_iter();
        Ok(entries.filter_map(|(path, entry)| entry.file().map(|blob| (path, blob))).collect())
    }

    /// What is staged at every path, submodules left out.
    ///
    /// # Errors
    /// The index is damaged.
    pub(crate) fn index_entries(&self) -> Outcome<Vec<(String, Indexed)>> {
        use gix::index::entry::Mode;
        let repository = self.handle();
        let index = repository.index_or_empty().or_usage("reading the index of the Git repository")?;
        let kind = |mode: Mode, blob| match mode {
            Mode::FILE | Mode::FILE_EXECUTABLE => Some(Indexed::File(blob)),
            Mode::SYMLINK => Some(Indexed::Link),
            _ => None,
        };
        let entries = index.entries().iter();
        Ok(entries.filter_map(|entry| Some((entry.path(&index).to_string(), kind(entry.mode, entry.id)?))).collect())
    }

    /// The files of the commit that is checked out, by path; none before the first commit.
    ///
    /// # Errors
    /// An object is missing or damaged.
    pub(crate) fn head_files(&self) -> Outcome<Files> {
        let tree = self.handle().head_tree_id_or_empty().map_err(unreadable)?.detach();
        self.files_in(tree)
    }

    /// The files of a commit, by path.
    ///
    /// # Errors
    /// An object is missing or damaged.
    pub(crate) fn files_of(&self, commit: ObjectId) -> Outcome<Files> {
        let repository = self.handle();
        let found = repository.find_commit(commit).or_usage(format!("reading commit {commit}"))?;
        self.files_in(found.tree_id().or_usage(format!("reading commit {commit}"))?.detach())
    }

    fn files_in(&self, tree: ObjectId) -> Outcome<Files> {
        let repository = self.handle();
        let mut files = Files::new();
        let mut queue = vec![(String::new(), tree)];
        while let Some((folder, tree)) = queue.pop() {
            let object = repository.find_object(tree).or_usage(format!("reading tree {tree}"))?;
            if object.kind != Kind::Tree {
                continue;
            }
            for entry in TreeRefIter::from_bytes(&object.data, repository.object_hash()) {
                let entry = entry.or_usage(format!("reading tree {tree}"))?;
                let path = format!("{folder}{}", entry.filename);
                if entry.mode.is_tree() {
                    queue.push((path + "/", entry.oid.to_owned()));
                } else if entry.mode.is_blob() {
                    files.insert(path, entry.oid.to_owned());
                }
            }
        }
        Ok(files)
    }
}
