//! Which files there are.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::{OrFail as _, Outcome, usage};

/// Folders that hold nothing of the repository's own.
const PASSED_OVER: [&str; 3] = [".git", "node_modules", ".terraform"];

/// Files to look at.
pub(crate) struct Files {
    excluded: GlobSet,
}

impl Files {
    /// Leaves out what one of the patterns matches.
    pub(crate) fn without(patterns: &[String]) -> Outcome<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern.trim_start_matches("./")).literal_separator(true).build();
            set.add(glob.or_usage(format!("--exclude {pattern:?}"))?);
        }
        Ok(Self { excluded: set.build().or_usage("--exclude")? })
    }

    /// Every file of a path, in order. A file that is named itself is taken whatever it is called; in a folder those
    /// that end in `.yaml`, `.yml` or `.json` are, and those called `Kustomization`. What Git ignores is looked at too: ignored files can be committed.
    pub(crate) fn of(&self, path: &Path) -> Outcome<Vec<PathBuf>> {
        if path == Path::new("-") || path.is_file() {
            return Ok(vec![path.to_path_buf()]);
        }
        if !path.is_dir() {
            return Err(usage!("{} does not exist", path.display()));
        }
        let mut files = Vec::new();
        self.walk(path, is_manifest, &mut files)?;
        files.sort();
        Ok(files)
    }

    /// Every file of a folder whose name is asked for, in no order.
    pub(crate) fn named(&self, folder: &Path, is_wanted: fn(&Path) -> bool) -> Outcome<Vec<PathBuf>> {
        let mut files = Vec::new();
        self.walk(folder, is_wanted, &mut files)?;
        Ok(files)
    }

    /// Whether a file that is found, from the folder that patterns are from, is one to look at.
    pub(crate) fn takes(&self, path: &Path) -> bool {
        is_manifest(path) && !path.ancestors().any(|part| self.excluded.is_match(part))
    }

    fn walk(&self, folder: &Path, is_wanted: fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> Outcome {
        let named = || format!("reading folder {}", folder.display());
        for entry in std::fs::read_dir(folder).or_usage(named())? {
            let entry = entry.or_usage(named())?;
            let path = entry.path();
            if self.excluded.is_match(path.strip_prefix(".").unwrap_or(&path)) {
                continue;
            }
            // A link to a folder may lead in a circle; its target is looked at where it is.
            let kind = entry.file_type().or_usage(named())?;
            if kind.is_dir() {
                let is_ours = !PASSED_OVER.iter().any(|name| entry.file_name() == *name);
                if is_ours {
                    self.walk(&path, is_wanted, files)?;
                }
            } else if is_wanted(&path) && path.is_file() {
                files.push(path);
            }
        }
        Ok(())
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
