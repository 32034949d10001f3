//! All kustomizations of a repository, and which one pulls in which.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::read::{Kustomization, Named, Place, Problem};

/// All of them.
#[derive(Default)]
pub(crate) struct Tree {
    pub(super) all: Vec<Kustomization>,
    /// By folder, with links resolved.
    pub(super) by_folder: HashMap<PathBuf, usize>,
}

/// What a kustomization pulls in, directly or by others.
#[derive(Default)]
pub(crate) struct Reach {
    /// Kustomizations, itself included.
    pub(crate) kustomizations: BTreeSet<usize>,
    /// Files of resources, and files of patches and transformers.
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) patches: BTreeSet<PathBuf>,
}

impl Tree {
    /// Reads these files, and every kustomization that they pull in.
    pub(crate) fn read(files: &[PathBuf], names: &Names) -> Self {
        let mut tree = Self::default();
        let mut next: Vec<PathBuf> = files.to_vec();
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        while !next.is_empty() {
            let read: Vec<Kustomization> =
                next.par_iter().filter_map(|file| Kustomization::read(file, names)).collect();
            for one in read {
                if !tree.by_folder.contains_key(&one.folder) {
                    tree.by_folder.insert(one.folder.clone(), tree.all.len());
                    tree.all.push(one);
                }
            }
            let folders: BTreeSet<&PathBuf> = tree.all.iter().flat_map(Kustomization::folders).collect();
            let unknown = folders.into_iter().filter(|folder| !tree.by_folder.contains_key(*folder));
            next = unknown.filter_map(|folder| super::read::file_in(folder)).collect();
            // What was read and is none of Kustomize's would be met again and again.
            next.retain(|file| seen.insert(file.clone()));
        }
        tree
    }

    /// The kustomizations that no other one pulls in: those that are built. Of those that only pull in each other, the
    /// first.
    pub(crate) fn roots(&self) -> Vec<usize> {
        let mut used = vec![false; self.all.len()];
        for (index, one) in self.all.iter().enumerate() {
            for folder in one.folders() {
                if let Some(found) = self.by_folder.get(folder).filter(|found| **found != index) {
                    used[*found] = true;
                }
            }
        }
        let mut roots: Vec<usize> = (0..self.all.len()).filter(|index| !used[*index]).collect();
        let mut reached: BTreeSet<usize> = roots.iter().flat_map(|root| self.reach(*root).kustomizations).collect();
        for index in 0..self.all.len() {
            if !reached.contains(&index) {
                roots.push(index);
                reached.extend(self.reach(index).kustomizations);
            }
        }
        roots
    }

    /// What one of them pulls in.
    pub(crate) fn reach(&self, root: usize) -> Reach {
        let mut reach = Reach::default();
        let mut queue = vec![root];
        while let Some(index) = queue.pop() {
            if !reach.kustomizations.insert(index) {
                continue;
            }
            let Some(one) = self.all.get(index) else { continue };
            for named in one.resources.iter().chain(&one.components) {
                match &named.place {
                    Place::File(file) => drop(reach.files.insert(file.clone())),
                    Place::Folder(folder) => queue.extend(self.by_folder.get(folder)),
                    Place::Remote | Place::Missing => {}
                }
            }
            reach.patches.extend(one.patches.iter().cloned());
        }
        reach
    }

    /// The files that some kustomization says are patches of Secrets.
    pub(crate) fn secret_patches(&self) -> BTreeSet<PathBuf> {
        self.all.iter().flat_map(|one| one.secret_patches.iter().cloned()).collect()
    }

    /// The file of a kustomization, with links resolved, and as it is called in findings.
    pub(crate) fn file(&self, index: usize) -> Option<(&Path, &Arc<str>)> {
        self.all.get(index).map(|one| (one.path.as_path(), &one.file))
    }

    /// What is wrong with one of them itself, with its file as it is called in findings.
    pub(crate) fn problems(&self, index: usize) -> Option<(&Arc<str>, &[Problem])> {
        self.all.get(index).map(|one| (&one.file, one.problems.as_slice()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Kustomization {
    /// The folders that it pulls in.
    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let named = self.resources.iter().chain(&self.components);
        named.filter_map(|Named { place, .. }| match place {
            Place::Folder(folder) => Some(folder),
            Place::File(_) | Place::Remote | Place::Missing => None,
        })
    }
}

/// What files are called in findings: as they were named, else as seen from the current folder.
#[derive(Default)]
pub(crate) struct Names {
    current: PathBuf,
    /// By path, with links resolved.
    named: HashMap<PathBuf, PathBuf>,
}

impl Names {
    /// The names that people gave.
    pub(crate) fn new(named: impl Iterator<Item = (PathBuf, PathBuf)>) -> Self {
        let current = std::env::current_dir().and_then(|folder| folder.canonicalize()).unwrap_or_default();
        Self { current, named: named.collect() }
    }

    /// The path by which a file is read, of one with links resolved.
    pub(crate) fn path(&self, resolved: &Path) -> PathBuf {
        let inside = || resolved.strip_prefix(&self.current).unwrap_or(resolved).to_path_buf();
        self.named.get(resolved).cloned().unwrap_or_else(inside)
    }

    /// What a file is called, of one with links resolved.
    pub(crate) fn of(&self, resolved: &Path) -> Arc<str> {
        Arc::from(shown(&self.path(resolved)))
    }
}

/// A path as people write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}
