//! Which files there are.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::{Failure, OrFail as _, Outcome, usage};
use crate::git::Git;
use crate::output;
use crate::repository::root_around;

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
    /// ignored files can be committed. A link is followed where it is named itself; one in a folder only where it leads
    /// to somewhere in the same repository, or in the folder where there is no repository: whoever wrote the link may
    /// not say what else is read or written. What is passed over is noted.
    pub(crate) fn of(&self, path: &Path) -> Outcome<Vec<PathBuf>> {
        if path == Path::new("-") || path.is_file() {
            return Ok(vec![path.to_path_buf()]);
        }
        if !path.is_dir() {
            return Err(usage!("{} does not exist", path.display()));
        }
        let mut files = Vec::new();
        let mut broken = None;
        let mut strays = Vec::new();
        let within = Bounds::of(path);
        let mut walk = Walk { is_wanted: is_manifest, within: &within, files: &mut files, strays: &mut strays };
        self.walk(path, &mut walk, &mut |failure| {
            broken.get_or_insert(failure);
        });
        if let Some(failure) = broken {
            return Err(failure);
        }
        files.extend(self.tracked_anyway(path));
        strays.sort();
        for stray in strays {
            let stray = output::plain(&stray.display().to_string());
            output::note(&format!("passed over: {stray} is a link that leads out of {}", within.shown()));
        }
        files.sort();
        Ok(files)
    }

    /// The manifests in folders that are passed over which Git tracks all the same: those are the repository's own.
    fn tracked_anyway(&self, folder: &Path) -> Vec<PathBuf> {
        let Ok(git) = Git::discover(folder) else { return Vec::new() };
        let (Some(prefix), Ok(tracked)) = (git.relative(folder), git.tracked()) else { return Vec::new() };
        let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
        let under = tracked.iter().filter_map(|name| name.strip_prefix(prefix.as_str()));
        let passed = under.filter(|rest| rest.split('/').any(|part| PASSED_OVER.contains(&part)));
        let taken = passed.filter(|rest| self.takes(Path::new(rest))).map(|rest| folder.join(rest));
        taken.filter(|path| path.is_file()).collect()
    }

    /// Every file of a folder whose name is asked for, in no order. Folders that cannot be read are passed over.
    pub(crate) fn named(&self, folder: &Path, is_wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let within = Bounds::of(folder);
        let mut walk = Walk { is_wanted, within: &within, files: &mut files, strays: &mut Vec::new() };
        self.walk(folder, &mut walk, &mut drop);
        files
    }

    /// Whether a file that is found, from the folder that patterns are from, is one to look at.
    pub(crate) fn takes(&self, path: &Path) -> bool {
        is_manifest(path) && !self.leaves_out(path)
    }

    /// Whether a pattern matches a path from that folder, or a folder of it.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        path.ancestors().any(|part| self.excluded.is_match(part))
    }

    fn walk(&self, folder: &Path, walk: &mut Walk<'_>, broken: &mut impl FnMut(Failure)) {
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
                    self.walk(&path, walk, broken);
                }
            } else if (walk.is_wanted)(&path) && path.is_file() {
                if !kind.is_symlink() || walk.within.holds(&path) {
                    walk.files.push(path);
                } else {
                    walk.strays.push(path);
                }
            }
        }
    }
}

/// What a walk through a folder looks for, and what it found.
struct Walk<'a> {
    is_wanted: fn(&Path) -> bool,
    within: &'a Bounds,
    files: &'a mut Vec<PathBuf>,
    /// Links that lead to somewhere else.
    strays: &'a mut Vec<PathBuf>,
}

/// How far links in a folder may lead.
struct Bounds {
    /// The root of the repository that holds the folder, else the folder, with links resolved.
    root: PathBuf,
}

impl Bounds {
    fn of(folder: &Path) -> Self {
        Self { root: root_around(folder) }
    }

    /// Whether a link leads to somewhere inside, and not into Git's own folder.
    fn holds(&self, link: &Path) -> bool {
        let leads_to = link.canonicalize().ok();
        let inside = leads_to.as_deref().and_then(|target| target.strip_prefix(&self.root).ok());
        inside.is_some_and(|inside| inside.components().all(|part| part.as_os_str() != ".git"))
    }

    fn shown(&self) -> String {
        output::plain(&self.root.display().to_string())
    }
}

/// Whether a file is called as manifests are.
pub(crate) fn is_manifest(path: &Path) -> bool {
    if path.file_name().is_some_and(|name| name == "Kustomization") {
        return true;
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}
