//! What is not as the current generation says: changes by hand.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::changes::Aspect;
use super::error::Error;
use super::manifest::{Entry, Manifest};
use super::run::Run;
use super::settle::is_right;
use super::walk::{Found, Walker, look};
use super::{file, run};
use crate::host::desired::{Place, Role};

/// Something that is not as the current generation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Drift {
    /// `current` does not lead to the current generation. [`super::Sink::repair`] puts it back.
    Current,
    /// A declared path is not what it should be. [`super::Sink::repair`] puts it back.
    Path {
        /// The declared path.
        path: PathBuf,
        /// What the file is for.
        role: Role,
        /// What is there, for people.
        found: String,
    },
    /// A generation's own file was changed, so its bytes are gone: stage the commit again. Until that is flipped,
    /// [`super::Staged::changes`] has the path as changed.
    Generation {
        /// The declared path.
        path: PathBuf,
        /// What the file is for.
        role: Role,
        /// What of it was changed.
        what: Vec<Aspect>,
    },
}

/// Compares the run folder and the declared paths with `manifest`.
pub(super) fn find(run: &Run, manifest: &Manifest, mut walker: Walker<'_>) -> Result<Vec<Drift>, Error> {
    let mut drift = Vec::new();
    if run.current() != Some(manifest.number) {
        drift.push(Drift::Current);
    }
    let all = [Aspect::Bytes, Aspect::Owner, Aspect::Group, Aspect::Mode];
    let files = run.files(manifest.number).ok();
    for (path, entry) in &manifest.files {
        let what = files.as_ref().map_or_else(|| all.to_vec(), |files| damage(run, files, path, entry));
        if !what.is_empty() {
            drift.push(Drift::Generation { path: path.clone(), role: entry.role, what });
        }
        if let Some(found) = astray(run, &mut walker, path, entry) {
            drift.push(Drift::Path { path: path.clone(), role: entry.role, found });
        }
    }
    Ok(drift)
}

/// The first file of a generation that is not what its manifest says.
pub(super) fn first_damage(run: &Run, manifest: &Manifest) -> Result<Option<PathBuf>, Error> {
    let files = run.files(manifest.number)?;
    let damaged = manifest.files.iter().find(|(path, entry)| !damage(run, &files, path, entry).is_empty());
    Ok(damaged.map(|(path, _)| path.clone()))
}

fn damage(run: &Run, files: &std::os::fd::OwnedFd, path: &Path, entry: &Entry) -> Vec<Aspect> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let Ok((stat, bytes)) = file::read(files.as_fd(), below.as_os_str(), entry.size) else {
        return vec![Aspect::Bytes];
    };
    let differs = [
        // A second name is a second way to the bytes, now and later.
        (Aspect::Bytes, stat.names != 1 || !bytes.is_some_and(|bytes| entry.is_of(&run.key, path, &bytes))),
        (Aspect::Owner, stat.uid != entry.uid),
        (Aspect::Group, stat.gid != entry.gid),
        (Aspect::Mode, stat.mode != entry.mode),
    ];
    differs.into_iter().filter_map(|(aspect, differs)| differs.then_some(aspect)).collect()
}

/// What is at a declared path, if it is not what should be.
fn astray(run: &Run, walker: &mut Walker<'_>, path: &Path, entry: &Entry) -> Option<String> {
    let spot = match walker.find(path) {
        Ok(spot) => spot,
        Err(why) => return Some(why),
    };
    let Some(folder) = spot.fd() else { return Some("its folder is gone".to_owned()) };
    let found = match look(folder, &spot.name) {
        Ok(found) => found,
        Err(error) => return Some(error.to_string()),
    };
    if is_right(run, path, entry, &spot, &found).unwrap_or(false) {
        return None;
    }
    Some(match (found, entry.place) {
        (Found::Nothing, _) => "nothing is there".to_owned(),
        (Found::Link(target), _) => format!("a link to {} is there", target.display()),
        (Found::File(_), Place::Link) => "a file is there in place of the link".to_owned(),
        (Found::File(stat), Place::Copy) => {
            let rights = (stat.uid, stat.gid, stat.mode) == (entry.uid, entry.gid, entry.mode);
            let what = if rights { "bytes" } else { "owner, group or mode" };
            format!("the file's {what} are not those that were written")
        }
        (Found::Other(kind), _) => format!("{kind} is there"),
    })
}

/// A folder whose changes matter, and the names in it that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The folder.
    pub folder: PathBuf,
    /// The names in it that matter.
    pub names: std::collections::BTreeSet<std::ffi::OsString>,
}

/// The folders to watch for changes by hand.
pub(super) fn watch_list(run: &Run, manifest: &Manifest, root: &Path) -> Vec<Watched> {
    let mut folders: std::collections::BTreeMap<PathBuf, std::collections::BTreeSet<_>> =
        std::collections::BTreeMap::new();
    let mut add = |path: &Path| {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
    };
    add(&run.path.join("current"));
    let generation = run.folder(manifest.number);
    for path in manifest.files.keys() {
        add(&super::settings::below(root, path));
        add(&run::files_of(&generation, path));
    }
    folders.into_iter().map(|(folder, names)| Watched { folder, names }).collect()
}
