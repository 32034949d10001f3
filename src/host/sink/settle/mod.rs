//! Makes the declared paths agree with a generation: links, copies, and the end of what is declared no more.
//!
//! It can be stopped at any point and begun again. First the ledger says what is about to be ours; then removals, so
//! that a folder can become a file and a file a folder; then links and copies, each by one rename; then the ledger says
//! what is so. What was at a path before us is kept beside it under another name and comes back when we leave.

mod leave;
mod put;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;

use super::error::Error;
use super::file;
use super::ledger::{Claim, Ledger, Stage};
use super::manifest::{Entry, Manifest};
use super::run::{self, Run};
use super::settings::Settings;
use super::stage::problem;
use super::walk::{Found, Spot, Walker, backup, look, temporary};
use crate::host::desired::{Place, Problem};

/// What settling did. Empty lists: everything was right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Declared paths that were made or put right.
    pub put: Vec<PathBuf>,
    /// Paths of ours that are gone.
    pub removed: Vec<PathBuf>,
    /// Files that were there before us, and where they are now.
    pub kept: Vec<(PathBuf, PathBuf)>,
    /// Paths where what was there before us is back.
    pub restored: Vec<PathBuf>,
    /// What could not be done; the rest was.
    pub problems: Vec<Problem>,
}

/// Folders that are open at a time, below the usual limit of open files.
const MOST_OPEN: usize = 64;

/// Settles one generation.
pub(super) struct Settler<'a> {
    settings: &'a Settings,
    run: &'a Run,
    ledger: &'a mut Ledger,
    walker: Walker<'a>,
    manifest: &'a Manifest,
    held: BTreeSet<&'a Path>,
    /// The generation's files, opened when the first copy needs them.
    files: Option<OwnedFd>,
    /// Folders on disks in which something was renamed.
    touched: BTreeMap<PathBuf, OwnedFd>,
    settled: Settled,
}

impl<'a> Settler<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        run: &'a Run,
        ledger: &'a mut Ledger,
        walker: Walker<'a>,
        manifest: &'a Manifest,
    ) -> Self {
        let held = manifest.held.iter().map(PathBuf::as_path).collect();
        let (files, touched, settled) = (None, BTreeMap::new(), Settled::default());
        Self { settings, run, ledger, walker, manifest, held, files, touched, settled }
    }

    /// Says what is about to be ours, before the flip: if that cannot be written down nothing has changed.
    pub(super) fn intend(&mut self) -> Result<(), Error> {
        for (path, entry) in &self.manifest.files {
            let claim = match self.ledger.claim(path) {
                Some(claim) if claim.stage == Stage::Placed && claim.place == entry.place => continue,
                Some(claim @ Claim { stage: Stage::Coming, .. }) => claim,
                // What was there before us is back already.
                Some(claim @ Claim { stage: Stage::Leaving, before: true, .. }) if !self.has_backup(path) => {
                    Claim { place: entry.place, stage: Stage::Coming, ..claim }
                }
                // While one becomes the other it can be either, and a copy is the wider claim.
                Some(claim) if claim.place == entry.place => Claim { stage: Stage::Placed, ..claim },
                Some(claim) => Claim { place: Place::Copy, stage: Stage::Placed, ..claim },
                None => match self.before(path) {
                    Before::Nothing => Claim { place: entry.place, stage: Stage::Coming, before: false },
                    Before::Something => Claim { place: entry.place, stage: Stage::Coming, before: true },
                    Before::SomethingWithoutRoom => continue,
                },
            };
            self.ledger.set(path, claim);
        }
        for (path, claim) in self.leaving() {
            if claim.stage == Stage::Placed {
                self.ledger.set(&path, Claim { stage: Stage::Leaving, ..claim });
            }
        }
        let saved = self.ledger.save();
        if saved.is_err() {
            self.ledger.revert();
        }
        saved
    }

    /// Does it.
    pub(super) fn perform(mut self) -> Result<Settled, Error> {
        for (path, claim) in self.leaving() {
            match self.leave(&path, claim) {
                Ok(()) => self.ledger.forget(&path),
                Err(why) => self.settled.problems.push(problem(&path, &why)),
            }
        }
        self.remove_folders();
        let manifest = self.manifest;
        for (path, entry) in &manifest.files {
            if let Err(why) = self.put(path, entry) {
                self.settled.problems.push(problem(path, &why));
            }
        }
        self.sync()?;
        self.ledger.save()?;
        Ok(self.settled)
    }

    /// What is ours and not declared.
    fn leaving(&self) -> Vec<(PathBuf, Claim)> {
        let unwanted = |path: &Path| !self.manifest.files.contains_key(path) && !self.held.contains(path);
        self.ledger.claims().filter(|(path, _)| unwanted(path)).map(|(path, claim)| (path.clone(), claim)).collect()
    }

    fn before(&mut self, path: &Path) -> Before {
        let Ok(spot) = self.walker.find(path) else { return Before::Nothing };
        let Some(folder) = spot.fd() else {
            self.claim_folders(&spot, path);
            return Before::Nothing;
        };
        match look(folder, &spot.name) {
            Ok(Found::Link(target)) if target == self.run.link_target(path) => Before::Nothing,
            Ok(Found::Link(_) | Found::File(_)) if exists(folder, &backup(&spot.name)) => Before::SomethingWithoutRoom,
            Ok(Found::Link(_) | Found::File(_)) => Before::Something,
            Ok(Found::Nothing | Found::Other(_)) | Err(_) => Before::Nothing,
        }
    }

    /// Says that the folders that are missing above a path will be ours; whether that is news.
    fn claim_folders(&mut self, spot: &Spot, path: &Path) -> bool {
        let missing = path.ancestors().skip(1).take(spot.folder.missing.len());
        let mut news = false;
        for folder in missing {
            news |= self.ledger.add_folder(folder);
        }
        news
    }

    fn has_backup(&mut self, path: &Path) -> bool {
        let found = self.walker.find_ours(path);
        found.is_ok_and(|spot| spot.fd().is_some_and(|folder| exists(folder, &backup(&spot.name))))
    }

    /// Remembers to make what was renamed in a folder last: copies, which a boot may need, and removals, which the
    /// ledger forgets. A link that is lost is made again.
    fn touch(&mut self, spot: &Spot) -> std::io::Result<()> {
        if !self.touched.contains_key(&spot.folder.real) {
            if self.touched.len() >= MOST_OPEN {
                self.sync().map_err(std::io::Error::other)?;
            }
            let again = rustix::io::fcntl_dupfd_cloexec(&spot.folder.fd, 0)?;
            self.touched.insert(spot.folder.real.clone(), again);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        for (path, folder) in std::mem::take(&mut self.touched) {
            let synced = self.settings.probe.around("folder", || run::sync_folder(folder.as_fd()));
            synced.map_err(Error::when("write", &path))?;
        }
        Ok(())
    }
}

/// What is at a path that we do not know.
enum Before {
    Nothing,
    Something,
    /// Something, and beside it something that has the name that it would get.
    SomethingWithoutRoom,
}

/// Whether a declared file could be put at its path; else why not. `declared`: all that is declared with it.
pub(super) fn could_be_placed(
    walker: &mut Walker<'_>,
    ledger: &Ledger,
    path: &Path,
    place: Place,
    declared: &BTreeSet<PathBuf>,
) -> Result<(), String> {
    let ours = |path: &Path| ledger.claim(path).is_some();
    // What is in the way is ours and goes away first.
    let makes_room = path.ancestors().skip(1).any(|above| ours(above) && !declared.contains(above));
    if makes_room || ledger.folders().contains(path) {
        return Ok(());
    }
    let spot = walker.find(path)?;
    if !ours(path) || place == Place::Copy {
        let access = rustix::fs::accessat(&spot.folder.fd, ".", rustix::fs::Access::WRITE_OK, AtFlags::empty());
        access.map_err(|error| {
            format!("{} cannot be written to: {}", spot.folder.real.display(), std::io::Error::from(error))
        })?;
    }
    let Some(folder) = spot.fd() else { return Ok(()) };
    match look(folder, &spot.name).map_err(|error| error.to_string())? {
        Found::Other(kind) => Err(format!("{kind} is at its path: move it away, or declare another path")),
        Found::Nothing | Found::Link(_) | Found::File(_) => Ok(()),
    }
}

/// Whether what is at a path is what a generation says. `Err`: it cannot be told.
pub(super) fn is_right(run: &Run, path: &Path, entry: &Entry, spot: &Spot, found: &Found) -> std::io::Result<bool> {
    match (entry.place, found, spot.fd()) {
        (Place::Link, Found::Link(target), _) => Ok(*target == run.link_target(path)),
        (Place::Copy, Found::File(stat), Some(folder)) => {
            let same = (stat.uid, stat.gid, stat.mode, stat.size) == (entry.uid, entry.gid, entry.mode, entry.size);
            let is_of = |bytes: Option<zeroize::Zeroizing<Vec<u8>>>| {
                bytes.is_some_and(|bytes| entry.is_of(&run.key, path, &bytes))
            };
            Ok(same && file::read(folder, &spot.name, entry.size).is_ok_and(|(_, bytes)| is_of(bytes)))
        }
        _ => Ok(false),
    }
}

/// Removes what an interrupted settling left beside declared paths.
pub(super) fn tidy(ledger: &Ledger, walker: &mut Walker<'_>) {
    for (path, _) in ledger.claims() {
        if let Ok(spot) = walker.find_ours(path)
            && let Some(folder) = spot.fd()
        {
            // Mostly there is none.
            drop(file::remove(folder, &temporary(&spot.name)));
        }
    }
}

fn exists(folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
