//! One declared path made what it is to be.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::super::file::{self, Last};
use super::super::ledger::{Claim, Stage};
use super::super::manifest::Entry;
use super::super::stage::explain;
use super::super::walk::{Found, Spot, backup, look, temporary};
use super::{Settler, exists, is_right};
use crate::host::desired::Place;

impl Settler<'_> {
    pub(super) fn put(&mut self, path: &Path, entry: &Entry) -> Result<(), String> {
        let mut spot = self.walker.find(path)?;
        if spot.fd().is_none() {
            self.make_folders(&spot, path)?;
            self.walker.forget();
            spot = self.walker.find(path)?;
        }
        let folder = spot.fd().ok_or("its folder was removed meanwhile")?;
        let found = look(folder, &spot.name).map_err(|error| error.to_string())?;
        if let Found::Other(kind) = found {
            return Err(format!("{kind} is at its path: move it away, or declare another path"));
        }
        let right = is_right(self.run, path, entry, &spot, &found).map_err(|error| error.to_string())?;
        let Some(claim) = self.ledger.claim(path) else {
            if right {
                // Made by us before the ledger was lost.
                self.ledger.set(path, Claim { place: entry.place, stage: Stage::Placed, before: true });
                return Ok(());
            }
            let kept = backup(&spot.name);
            return Err(format!(
                "something is there that is not ours, and {} is already there to keep it as: move one of them away",
                kept.to_string_lossy()
            ));
        };
        let mut claim = Claim { place: entry.place, ..claim };
        if !matches!(found, Found::Nothing) && is_foreign(claim, right, folder, &spot.name) {
            self.keep(path, &spot)?;
            claim.before = true;
        } else if right {
            self.ledger.set(path, Claim { stage: Stage::Placed, ..claim });
            return Ok(());
        }
        let nothing = matches!(found, Found::Nothing);
        let made = match entry.place {
            Place::Link => self.make_link(path, folder, &spot.name, nothing).map_err(|error| explain(&error, entry)),
            Place::Copy => {
                let bytes = self.bytes(path, entry)?;
                self.make_copy(entry, folder, &spot.name, &bytes, nothing).map_err(|error| explain(&error, entry))
            }
        };
        if made.is_err() {
            drop(file::remove(folder, &temporary(&spot.name)));
        }
        made?;
        if entry.place == Place::Copy {
            self.touch(&spot).map_err(|error| error.to_string())?;
        }
        self.ledger.set(path, Claim { stage: Stage::Placed, ..claim });
        self.settled.put.push(path.to_owned());
        Ok(())
    }

    /// The bytes of a copy, from the generation: only if they are those that were staged.
    fn bytes(&mut self, path: &Path, entry: &Entry) -> Result<Zeroizing<Vec<u8>>, String> {
        let number = self.manifest.number;
        let files = match self.files.take() {
            Some(files) => files,
            None => self.run.files(number).map_err(|error| error.to_string())?,
        };
        let below = path.strip_prefix("/").unwrap_or(path);
        let read = file::read(files.as_fd(), below.as_os_str(), entry.size);
        self.files = Some(files);
        match read {
            Ok((_, Some(bytes))) if entry.is_of(&self.run.key, path, &bytes) => Ok(bytes),
            Ok(_) => Err(format!("its file in generation {number} was changed by hand: it is staged again")),
            Err(error) => Err(format!("its file in generation {number} cannot be read: {error}")),
        }
    }

    fn make_link(&self, path: &Path, folder: BorrowedFd<'_>, name: &OsStr, nothing: bool) -> io::Result<()> {
        let target = self.run.link_target(path);
        if nothing {
            // One step, and it fails if somebody was faster.
            return Ok(self.settings.probe.around("link", || rustix::fs::symlinkat(&target, folder, name))?);
        }
        let new = temporary(name);
        file::remove(folder, &new)?;
        self.settings.probe.around("new link", || rustix::fs::symlinkat(&target, folder, &new))?;
        Ok(self.settings.probe.around("link over", || rustix::fs::renameat(folder, &new, folder, name))?)
    }

    fn make_copy(
        &self,
        entry: &Entry,
        folder: BorrowedFd<'_>,
        name: &OsStr,
        bytes: &[u8],
        nothing: bool,
    ) -> io::Result<()> {
        let new = temporary(name);
        file::remove(folder, &new)?;
        file::create(folder, &new, entry.rights(), bytes, Last::OnDisk, self.settings.probe)?;
        let renamed = self.settings.probe.around("copy", || match nothing {
            true => rustix::fs::renameat_with(folder, &new, folder, name, RenameFlags::NOREPLACE),
            false => rustix::fs::renameat(folder, &new, folder, name),
        });
        match renamed {
            // The file system has no such rename.
            Err(Errno::INVAL | Errno::NOSYS) => Ok(rustix::fs::renameat(folder, &new, folder, name)?),
            renamed => Ok(renamed?),
        }
    }

    /// Keeps what was there before us beside its path, with its owner and mode: it is the same file under a second name.
    fn keep(&mut self, path: &Path, spot: &Spot) -> Result<(), String> {
        let folder = spot.fd().ok_or("its folder was removed meanwhile")?;
        let kept = backup(&spot.name);
        let linked = self
            .settings
            .probe
            .around("keep", || rustix::fs::linkat(folder, &spot.name, folder, &kept, AtFlags::empty()));
        linked.map_err(|error| {
            format!(
                "what is there is not ours and cannot be kept as {}: {}; move it away",
                kept.to_string_lossy(),
                io::Error::from(error)
            )
        })?;
        // The second name outlasts a loss of power before the first is taken from it.
        self.settings
            .probe
            .around("folder", || super::super::run::sync_folder(folder))
            .map_err(|error| error.to_string())?;
        self.settled.kept.push((path.to_owned(), path.with_file_name(&kept)));
        // Known to the ledger before anything replaces it.
        if let Some(claim) = self.ledger.claim(path).filter(|claim| !claim.before) {
            self.ledger.set(path, Claim { before: true, ..claim });
            self.ledger.save().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Makes the folders that are missing above a path, and says that they are ours before they are there.
    fn make_folders(&mut self, spot: &Spot, path: &Path) -> Result<(), String> {
        // Mostly that was said before the flip; what was removed meanwhile can make more of them necessary.
        if self.claim_folders(spot, path) {
            self.ledger.save().map_err(|error| error.to_string())?;
        }
        let mut here = rustix::io::fcntl_dupfd_cloexec(&spot.folder.fd, 0).map_err(told)?;
        for name in &spot.folder.missing {
            let made = super::run::make_folder(here.as_fd(), name, 0o755, self.settings.probe);
            here = match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    rustix::fs::openat(&here, name, super::super::walk::PLACE, Mode::empty()).map_err(told)?
                }
                made => made.map_err(|error| format!("its folder cannot be made: {error}"))?,
            };
        }
        Ok(())
    }
}

/// Whether what is at a path is somebody else's. Once something was placed there by us, what is there now is ours, or a
/// change by hand that is put back.
fn is_foreign(claim: Claim, right: bool, folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    match claim {
        Claim { stage: Stage::Placed | Stage::Leaving, .. } => false,
        // It was there when we planned; once it is kept, what is there is ours or it under its first name.
        Claim { before: true, .. } => !exists(folder, &backup(name)),
        // Nothing was there when we planned. What we wanted is ours; else somebody was faster.
        Claim { before: false, .. } => !right,
    }
}

fn told(error: Errno) -> String {
    io::Error::from(error).to_string()
}
