//! Which files are looked at and how, and which kustomizations are built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::file::Look;
use super::kustomize::{Names, Tree};

/// What there is to do.
#[derive(Default)]
pub(super) struct Plan {
    /// The files, in the order of their names.
    pub(super) tasks: Vec<Task>,
    pub(super) tree: Tree,
    /// Kustomizations to build.
    pub(super) roots: Vec<Root>,
    /// Kustomizations whose own faults are reported.
    pub(super) own: BTreeSet<usize>,
    /// The files that were named, as they are called in findings.
    pub(super) named: BTreeSet<String>,
}

/// A file to look at.
pub(super) struct Task {
    pub(super) path: PathBuf,
    /// With links resolved; `None` where nothing pulls it in.
    pub(super) resolved: Option<PathBuf>,
    pub(super) look: Look,
}

/// A kustomization to build.
pub(super) struct Root {
    pub(super) index: usize,
    /// The files in which its findings are reported beside those that were named; `None` for all that are checked.
    pub(super) files: Option<BTreeSet<String>>,
}

impl Plan {
    /// Where there is no kustomization.
    pub(super) fn without(named: &[PathBuf]) -> Self {
        let look = Look { is_checked: true, is_pulled_in: false, is_patch: false, patches_secrets: false };
        let task = |path: &PathBuf| Task { path: path.clone(), resolved: None, look };
        Self { tasks: named.iter().map(task).collect(), ..Self::default() }
    }

    /// With the kustomizations that these files are, and those that they pull in.
    ///
    /// What a named kustomization pulls in is checked with it. What pulls in a named file is built, since it says
    /// where the file's values land, and is not checked itself.
    pub(super) fn new(named: &[PathBuf], kustomizations: &[PathBuf]) -> Self {
        let (stdin, named): (Vec<&PathBuf>, Vec<&PathBuf>) = named.iter().partition(|path| *path == Path::new("-"));
        let mut checked: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for path in named {
            checked.entry(resolved(path)).or_insert_with(|| path.clone());
        }
        let names = Names::new(checked.iter().map(|(resolved, path)| (resolved.clone(), path.clone())));
        let tree = Tree::read(kustomizations, &names);
        let directly: BTreeSet<usize> = (0..tree.len())
            .filter(|index| tree.file(*index).is_some_and(|(path, _)| checked.contains_key(path)))
            .collect();
        let files_of = |index: &usize| {
            let reach = tree.reach(*index);
            reach
                .files
                .into_iter()
                .chain(reach.patches)
                .chain(
                    reach
                        .kustomizations
                        .iter()
                        .filter_map(|index| tree.file(*index).map(|(path, _)| path.to_path_buf())),
                )
                .collect::<Vec<PathBuf>>()
        };
        let own: BTreeSet<usize> = directly.iter().flat_map(|index| tree.reach(*index).kustomizations).collect();
        let by_name = checked.clone();
        for path in directly.iter().flat_map(files_of) {
            let shown = names.path(&path);
            checked.entry(path).or_insert(shown);
        }
        let (mut roots, mut files, mut patches) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for index in tree.roots() {
            let reach = tree.reach(index);
            let through: Vec<&usize> = reach.kustomizations.intersection(&directly).collect();
            let has_named = reach.files.iter().chain(&reach.patches).any(|file| by_name.contains_key(file));
            if through.is_empty() && !has_named {
                continue;
            }
            // Where everything that is checked was named there is nothing to tell apart.
            let through = through.into_iter().flat_map(files_of).map(|path| names.of(&path).to_string());
            roots.push(Root { index, files: (checked.len() > by_name.len()).then(|| through.collect()) });
            files.extend(reach.files);
            patches.extend(reach.patches);
        }
        let of_secrets = tree.secret_patches();
        let mut tasks: Vec<Task> = Vec::new();
        for (resolved, path) in checked {
            let (is_file, is_patch) = (files.remove(&resolved), patches.remove(&resolved));
            let look = Look {
                is_checked: true,
                is_pulled_in: is_file || is_patch,
                is_patch: is_patch && !is_file,
                patches_secrets: of_secrets.contains(&resolved),
            };
            tasks.push(Task { path, resolved: Some(resolved), look });
        }
        for resolved in files {
            let look = Look { is_checked: false, is_pulled_in: true, is_patch: false, patches_secrets: false };
            tasks.push(Task { path: names.path(&resolved), resolved: Some(resolved), look });
        }
        tasks.extend(Self::without(&stdin.into_iter().cloned().collect::<Vec<_>>()).tasks);
        tasks.sort_by(|a, b| a.path.cmp(&b.path));
        let named = by_name.keys().map(|path| names.of(path).to_string()).collect();
        Self { tasks, tree, roots, own, named }
    }
}

/// A path with its links resolved.
pub(super) fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
