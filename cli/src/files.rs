//! Which files there are.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::{Failure, OrFail as _, Outcome, usage};

/// Folders that hold nothing of the repository's own.
const PASSED_OVER: [&str; 3] = [".git", "node_modules", ".terraform"];

/// Files to look at.
pub(crate) struct Files {
    excluded: GlobSet,
    /// The current folder, which patterns are from.
    current: PathBuf,
}

impl Files {
    /// Leaves out what one of the patterns matches.
    pub(crate) fn without(patterns: &[String]) -> Outcome<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern.trim_start_matches("./")).literal_separator(true).build();
            set.add(glob.or_usage(format!("--exclude {pattern:?}"))?);
        }
        let current = std::env::current_dir().and_then(|folder| folder.canonicalize()).unwrap_or_default();
        Ok(Self { excluded: set.build().or_usage("--exclude")?, current })
    }

    /// Every file of a path, in order. A file that is named itself is taken whatever it is called; in a folder those
    /// that end in `.yaml`, `.yml` or `.json` are, and those called `Kustomization`. What Git ignores is looked at too:
    /// ignored files can be committed.
    pub(crate) fn of(&self, path: &Path) -> Outcome<Vec<PathBuf>> {
        if path == Path::new("-") || path.is_file() {
            return Ok(vec![path.to_path_buf()]);
        }
        if !path.is_dir() {
            return Err(usage!("{} does not exist", path.display()));
        }
        let mut files = Vec::new();
        let mut broken = None;
        self.walk(path, is_manifest, &mut files, &mut |failure| drop(broken.get_or_insert(failure)));
        if let Some(failure) = broken {
            return Err(failure);
        }
        files.sort();
        Ok(files)
    }

    /// Every file of a folder whose name is asked for, in no order. Folders that cannot be read are passed over.
    pub(crate) fn named(&self, folder: &Path, is_wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
        let mut files = Vec::new();
        self.walk(folder, is_wanted, &mut files, &mut drop);
        files
    }

    /// Whether a file that is found, from the folder that patterns are from, is one to look at.
    pub(crate) fn takes(&self, path: &Path) -> bool {
        is_manifest(path) && !path.ancestors().any(|part| self.excluded.is_match(part))
    }

    fn walk(
        &self,
        folder: &Path,
        is_wanted: fn(&Path) -> bool,
        files: &mut Vec<PathBuf>,
        broken: &mut impl FnMut(Failure),
    ) {
        let named = || format!("reading folder {}", folder.display());
        let entries = match std::fs::read_dir(folder).or_usage(named()) {
            Ok(entries) => entries,
            Err(failure) => return broken(failure),
        };
        for entry in entries {
            let read = entry.and_then(|entry| Ok((entry.path(), entry.file_name(), entry.file_type()?)));
            let (path, name, kind) = match read.or_usage(named()) {
                Ok(read) => read,
                Err(failure) => {
                    broken(failure);
                    continue;
                }
            };
            let seen = path.strip_prefix(".").or_else(|_| path.strip_prefix(&self.current)).unwrap_or(&path);
            if self.excluded.is_match(seen) {
                continue;
            }
            // A link to a folder may lead in a circle; its target is looked at where it is.
            if kind.is_dir() {
                let is_ours = !PASSED_OVER.iter().any(|passed| name == *passed);
                if is_ours {
                    self.walk(&path, is_wanted, files, broken);
                }
            } else if is_wanted(&path) && path.is_file() {
                files.push(path);
            }
        }
    }
}

/// Whether the name is that of a manifest; a kustomization may do without an ending.
/// Whether a file is called as manifests are.
pub(crate) fn is_manifest(path: &Path) -> bool {
    if path.file_name().is_some_and(|name| name == "Kustomization") {
        return true;
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}
