//! Which commits changed a path.

use std::collections::{BTreeMap, HashMap};

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use super::{Commit, Git, History};

/// How many paths are looked up together.
const AT_ONCE: usize = 64;

/// A commit in which a path is not what it is in any of its parents.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    /// The commit.
    pub(crate) commit: &'a Commit,
    /// What it is there; `None` where it was deleted.
    pub(crate) blob: Option<ObjectId>,
}

/// Paths as a tree of names.
#[derive(Default)]
struct Names {
    below: BTreeMap<String, Self>,
    /// The position of the path that ends here.
    ends: Option<usize>,
}

impl Git {
    /// The commits of a history that changed each of these paths, parents before children. A merge that takes over
    /// one side changes nothing.
    pub(crate) fn commits_of<'a>(&self, history: &'a History, paths: &[String]) -> Vec<Vec<Change<'a>>> {
        // A few at a time: what is at each of them is kept for every tree.
        paths.chunks(AT_ONCE).flat_map(|some| self.commits_of_some(history, some)).collect()
    }

    fn commits_of_some<'a>(&self, history: &'a History, paths: &[String]) -> Vec<Vec<Change<'a>>> {
        let mut names = Names::default();
        for (at, path) in paths.iter().enumerate() {
            let end = path.split('/').fold(&mut names, |names, part| names.below.entry(part.to_owned()).or_default());
            end.ends = Some(at);
        }
        let repository = self.handle();
        let mut lookup = Lookup { repository: &repository, known: HashMap::new(), count: paths.len() };
        let mut states: Vec<std::rc::Rc<Blobs>> = Vec::with_capacity(history.commits().len());
        let mut changes: Vec<Vec<Change<'a>>> = paths.iter().map(|_| Vec::new()).collect();
        for commit in history.commits() {
            let state = lookup.tree(commit.tree, &names);
            let parents: Vec<_> = commit.parents.iter().filter_map(|parent| states.get(*parent as usize)).collect();
            let is_new = |at: usize| {
                let is_same = |parent: &&std::rc::Rc<Blobs>| parent[at] == state[at];
                if parents.is_empty() { state[at].is_some() } else { !parents.iter().any(is_same) }
            };
            for (at, found) in changes.iter_mut().enumerate() {
                if !commit.is_boundary && is_new(at) {
                    found.push(Change { commit, blob: state[at] });
                }
            }
            states.push(state);
        }
        changes
    }
}

/// What is at each of the paths.
type Blobs = Vec<Option<ObjectId>>;

/// Looks paths up, each tree once for each folder that it was at.
struct Lookup<'a> {
    repository: &'a gix::Repository,
    known: HashMap<(ObjectId, *const Names), std::rc::Rc<Blobs>>,
    count: usize,
}

impl Lookup<'_> {
    /// A tree that is not there or is damaged has nothing in it.
    fn tree(&mut self, tree: ObjectId, names: &Names) -> std::rc::Rc<Blobs> {
        let key = (tree, std::ptr::from_ref(names));
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut blobs = vec![None; self.count];
        let found = self.repository.try_find_object(tree).ok().flatten().filter(|object| object.kind == Kind::Tree);
        if let Some(object) = found {
            for entry in TreeRefIter::from_bytes(&object.data, self.repository.object_hash()).flatten() {
                let Some(below) = names.below.get(&*entry.filename.to_string()) else { continue };
                if entry.mode.is_blob()
                    && let Some(at) = below.ends
                {
                    blobs[at] = Some(entry.oid.to_owned());
                } else if entry.mode.is_tree() && !below.below.is_empty() {
                    let inside = self.tree(entry.oid.to_owned(), below);
                    blobs.iter_mut().zip(inside.iter()).for_each(|(blob, inside)| *blob = blob.or(*inside));
                }
            }
        }
        let blobs = std::rc::Rc::new(blobs);
        self.known.insert(key, blobs.clone());
        blobs
    }
}
