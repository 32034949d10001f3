//! What the next commit would change.

use std::collections::HashMap;

use gix::ObjectId;
use gix::index::entry::{Mode, Stage};
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

/// The index, as it was when it was read.
pub(crate) struct Index(gix::worktree::Index);

impl Index {
    /// What is staged at a path, from the root with slashes; of a merge with conflicts, one of the versions.
    pub(crate) fn at(&self, path: &str) -> Option<Indexed> {
        let stages = [Stage::Unconflicted, Stage::Theirs, Stage::Ours, Stage::Base];
        let found = stages.into_iter().find_map(|stage| self.0.entry_by_path_and_stage(path.into(), stage))?;
        Indexed::of(found.mode, found.id)
    }
}

impl Indexed {
    const fn of(mode: Mode, blob: ObjectId) -> Option<Self> {
        match mode {
            Mode::FILE | Mode::FILE_EXECUTABLE => Some(Self::File(blob)),
            Mode::SYMLINK => Some(Self::Link),
            _ => None,
        }
    }

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
        let Index(index) = self.index()?;
        let file = |entry: &gix::index::Entry| Indexed::of(entry.mode, entry.id)?.file();
        let entries = index.entries().iter();
        Ok(entries.filter_map(|entry| Some((entry.path(&index).to_string(), file(entry)?))).collect())
    }

    /// What is staged, to look paths up in.
    ///
    /// # Errors
    /// The index is damaged.
    pub(crate) fn index(&self) -> Outcome<Index> {
        self.handle().index_or_empty().map(Index).or_usage("reading the index of the Git repository")
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
