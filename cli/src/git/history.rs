//! Every blob of a history, once.
//!
//! Trees are read level by level: first the roots of all commits, then the folders in them, and so on. A folder is
//! read once for each path it was ever at, whatever the number of commits that have it, and of two trees that were at
//! a path one after the other only the difference is looked at. What is kept in memory is ids, paths and positions,
//! never content.

use std::collections::HashMap;
use std::ops::Range;

use gix::ObjectId;
use gix::hashtable::{HashMap as IdMap, HashSet as IdSet};
use gix::objs::{Kind, TreeRefIter};

use super::commits::{Commit, Walk};
use super::{Git, Revisions};
use crate::failure::Outcome;

/// At how many paths one tree is looked at. More is a trap: trees within trees that grow to billions of paths.
const MAX_PATHS: u32 = 4096;
/// How many trees one thread takes at a time.
const CHUNK: usize = 256;

/// The blobs of some commits.
#[derive(Default)]
pub(crate) struct History {
    commits: Vec<Commit>,
    paths: Paths,
    blobs: Vec<Blob>,
    notes: Vec<String>,
}

/// A blob.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// Its id.
    pub(crate) id: ObjectId,
    first: At,
    /// Later paths of the same bytes, the oldest first.
    more: Vec<At>,
}

/// A path, and the first commit that has the blob there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    commit: u32,
    path: u32,
}

/// A path, and the first commit that has a blob there.
pub(crate) struct Place<'a> {
    /// From the root of the repository, with slashes.
    pub(crate) path: String,
    /// The oldest commit with the blob at this path; `None` where a tag is of a tree or a blob, not of a commit.
    pub(crate) commit: Option<&'a Commit>,
    /// The position of that commit in the history; more than any where there is none.
    pub(crate) order: u32,
}

/// A tree at a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Folder {
    path: u32,
    commit: u32,
    tree: ObjectId,
}

/// Something in a folder.
struct Entry {
    is_tree: bool,
    id: ObjectId,
    commit: u32,
    folder: u32,
    name: Vec<u8>,
}

impl Git {
    /// Every blob of the commits that are reachable from these revisions.
    ///
    /// # Errors
    /// A revision names nothing, or an object is damaged. What is merely not there is noted.
    pub(crate) fn history(&self, revisions: &Revisions) -> Outcome<History> {
        let walk = self.walk(&self.ends(revisions)?)?;
        let mut reading = Reading::new(walk);
        while !reading.folders.is_empty() {
            let folders = std::mem::take(&mut reading.folders);
            let entries = self.on_every_core(&folders, CHUNK, read_folders);
            reading.take(entries.into_iter().flatten());
        }
        Ok(reading.done())
    }
}

impl History {
    /// All commits, parents before children.
    pub(crate) fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// All blobs, those of older commits first.
    pub(crate) fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// The first place of a blob.
    pub(crate) fn first(&self, blob: &Blob) -> Place<'_> {
        self.place(blob.first)
    }

    /// Every place of a blob, the oldest first.
    pub(crate) fn places<'a>(&'a self, blob: &'a Blob) -> impl Iterator<Item = Place<'a>> {
        std::iter::once(&blob.first).chain(&blob.more).map(|at| self.place(*at))
    }

    /// What was not looked at, and why, in sentences.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Keeps the blobs that were ever at a path that is wanted, and of their places only those.
    pub(crate) fn keep(&mut self, is_wanted: impl Fn(&str) -> bool) {
        let wanted: Vec<bool> = (0..self.paths.len()).map(|path| is_wanted(&self.paths.text(path))).collect();
        let is_wanted = |at: &At| wanted.get(at.path as usize).copied().unwrap_or(false);
        self.blobs.retain_mut(|blob| {
            let mut left = std::iter::once(blob.first).chain(std::mem::take(&mut blob.more)).filter(is_wanted);
            let Some(first) = left.next() else { return false };
            (blob.first, blob.more) = (first, left.collect());
            true
        });
        self.blobs.sort_by_key(|blob| blob.first);
    }

    fn place(&self, at: At) -> Place<'_> {
        Place { path: self.paths.text(at.path), commit: self.commits.get(at.commit as usize), order: at.commit }
    }
}

/// A history as it is read.
struct Reading {
    walk: Walk,
    paths: Paths,
    /// The next level of folders.
    folders: Vec<Folder>,
    /// The blobs that were seen, at their paths, with the oldest commit of each.
    seen: HashMap<(ObjectId, u32), u32>,
    /// At how many paths a tree was.
    trees: IdMap<ObjectId, u32>,
    missing: IdSet,
    submodules: usize,
    is_trap: bool,
}

/// The commit of what no commit has.
const NO_COMMIT: u32 = u32::MAX;

impl Reading {
    fn new(walk: Walk) -> Self {
        let mut reading = Self {
            paths: Paths::default(),
            folders: Vec::new(),
            seen: HashMap::new(),
            trees: IdMap::default(),
            missing: IdSet::default(),
            submodules: 0,
            is_trap: false,
            walk,
        };
        let mut roots: IdMap<ObjectId, u32> = IdMap::default();
        for (at, commit) in (0..).zip(&reading.walk.commits) {
            // Two commits of the same tree: the older one counts.
            roots.entry(commit.tree).or_insert(at);
        }
        reading.folders.extend(roots.into_iter().map(|(tree, commit)| Folder { path: Paths::ROOT, commit, tree }));
        for (by, id, kind) in std::mem::take(&mut reading.walk.loose) {
            let path = reading.paths.intern(Paths::ROOT, by.as_bytes());
            if kind == Kind::Tree {
                reading.folders.push(Folder { path, commit: NO_COMMIT, tree: id });
            } else {
                reading.seen.insert((id, path), NO_COMMIT);
            }
        }
        reading.folders.sort_unstable();
        reading
    }

    /// Takes what one level of folders holds.
    fn take(&mut self, entries: impl Iterator<Item = Result<Entry, Nothing>>) {
        let mut next: HashMap<(ObjectId, u32), u32> = HashMap::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Nothing::Missing(id)) => {
                    self.missing.insert(id);
                    continue;
                }
                Err(Nothing::Submodule) => {
                    self.submodules += 1;
                    continue;
                }
            };
            let path = self.paths.intern(entry.folder, &entry.name);
            let known = if entry.is_tree { &mut next } else { &mut self.seen };
            let oldest = known.entry((entry.id, path)).or_insert(entry.commit);
            *oldest = (*oldest).min(entry.commit);
        }
        for ((tree, path), commit) in next {
            let paths = self.trees.entry(tree).or_insert(0);
            *paths += 1;
            if *paths <= MAX_PATHS {
                self.folders.push(Folder { path, commit, tree });
            }
            self.is_trap |= *paths > MAX_PATHS;
        }
        self.folders.sort_unstable();
    }

    fn done(self) -> History {
        let notes = self.notes();
        let boundary = self.walk.commits.iter().filter(|commit| commit.is_boundary).count();
        // Of a range, what was there before it began is not of it.
        let is_older = |commit: u32| (commit as usize) < boundary;
        let old: IdSet = self.seen.iter().filter(|(_, commit)| is_older(**commit)).map(|((id, _), _)| *id).collect();
        let mut at: Vec<(ObjectId, At)> =
            self.seen.into_iter().map(|((id, path), commit)| (id, At { commit, path })).collect();
        at.retain(|(id, _)| !old.contains(id));
        at.sort_unstable();
        let mut blobs: Vec<Blob> = Vec::new();
        for (id, at) in at {
            match blobs.last_mut() {
                Some(last) if last.id == id => last.more.push(at),
                Some(_) | None => blobs.push(Blob { id, first: at, more: Vec::new() }),
            }
        }
        let paths = self.paths;
        blobs.sort_unstable_by_key(|blob| (blob.first, blob.id));
        History { commits: self.walk.commits, paths, blobs, notes }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.walk.is_shallow {
            notes.push(
                "a shallow clone: older commits are not here; fetch them with `git fetch --unshallow`".to_owned(),
            );
        }
        let missing = self.missing.len() + self.walk.missing;
        if missing > 0 {
            notes.push(format!(
                "{missing} object(s) are not in this clone (a partial clone, or damaged): not looked at"
            ));
        }
        if self.submodules > 0 {
            notes.push("submodules are repositories of their own: not looked at".to_owned());
        }
        if self.is_trap {
            notes.push(format!("a folder is at more than {MAX_PATHS} paths at once: it was looked at in that many"));
        }
        notes
    }
}

/// What is in a folder and cannot be looked at.
enum Nothing {
    Missing(ObjectId),
    Submodule,
}

type Entries = Vec<Result<Entry, Nothing>>;

/// What folders hold that the one before them at the same path did not.
fn read_folders(repository: &gix::Repository, folders: &[Folder]) -> Entries {
    let mut entries = Entries::new();
    let (mut before, mut after) = (Tree::default(), Tree::default());
    for folder in folders {
        let found = repository.try_find_object(folder.tree).ok().flatten().filter(|object| object.kind == Kind::Tree);
        let Some(object) = found else {
            entries.push(Err(Nothing::Missing(folder.tree)));
            continue;
        };
        if !after.read(&object.data, folder.path, repository.object_hash()) {
            entries.push(Err(Nothing::Missing(folder.tree)));
        }
        after.new_since(&before, |entry| {
            let mode = entry.mode;
            if mode.is_commit() {
                entries.push(Err(Nothing::Submodule));
            } else if !mode.is_link() {
                let name = after.bytes[entry.name.clone()].to_vec();
                let (is_tree, id) = (mode.is_tree(), entry.id);
                entries.push(Ok(Entry { is_tree, id, commit: folder.commit, folder: folder.path, name }));
            }
        });
        std::mem::swap(&mut before, &mut after);
    }
    entries
}

/// A tree that has been read.
#[derive(Default)]
struct Tree {
    path: Option<u32>,
    bytes: Vec<u8>,
    entries: Vec<TreeEntry>,
}

struct TreeEntry {
    mode: gix::objs::tree::EntryMode,
    id: ObjectId,
    name: Range<usize>,
}

impl Tree {
    /// Whether all of it could be read.
    fn read(&mut self, data: &[u8], path: u32, hash: gix::hash::Kind) -> bool {
        self.path = Some(path);
        self.bytes.clear();
        self.entries.clear();
        for entry in TreeRefIter::from_bytes(data, hash) {
            let Ok(entry) = entry else { return false };
            let start = self.bytes.len();
            self.bytes.extend_from_slice(entry.filename);
            let name = start..self.bytes.len();
            self.entries.push(TreeEntry { mode: entry.mode, id: entry.oid.to_owned(), name });
        }
        true
    }

    /// The entries that `before` did not have, if it was at the same path.
    fn new_since(&self, before: &Self, mut take: impl FnMut(&TreeEntry)) {
        let mut old = if self.path == before.path { before.entries.as_slice() } else { &[] }.iter().peekable();
        for entry in &self.entries {
            let name = &self.bytes[entry.name.clone()];
            // Both are sorted, a folder as if its name ended in a slash.
            let order = |other: &&TreeEntry| {
                let other_name = &before.bytes[other.name.clone()];
                gix::objs::tree::name_order(other_name, other.mode.is_tree(), name, entry.mode.is_tree())
            };
            while old.next_if(|other| order(other).is_lt()).is_some() {}
            let same = old.next_if(|other| order(other).is_eq());
            if !same.is_some_and(|same| same.id == entry.id && same.mode == entry.mode) {
                take(entry);
            }
        }
    }
}

/// Paths, each kept as its folder and its name.
#[derive(Default)]
struct Paths {
    names: Vec<u8>,
    all: Vec<(u32, Range<usize>)>,
    known: HashMap<(u32, Vec<u8>), u32>,
}

impl Paths {
    const ROOT: u32 = u32::MAX;

    fn len(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(Self::ROOT)
    }

    fn intern(&mut self, folder: u32, name: &[u8]) -> u32 {
        if let Some(path) = self.known.get(&(folder, name.to_vec())) {
            return *path;
        }
        let (path, start) = (self.len(), self.names.len());
        self.names.extend_from_slice(name);
        self.all.push((folder, start..self.names.len()));
        self.known.insert((folder, name.to_vec()), path);
        path
    }

    fn text(&self, path: u32) -> String {
        let mut parts = Vec::new();
        let mut at = path;
        while let Some((folder, name)) = self.all.get(at as usize) {
            parts.push(String::from_utf8_lossy(&self.names[name.clone()]));
            at = *folder;
        }
        parts.reverse();
        parts.join("/")
    }
}
