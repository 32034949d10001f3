//! One path of ours that is declared no more.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::super::folders::Folders;
use super::super::ledger::{Claim, Stage};
use super::super::walk::{Found, backup, look};
use super::{Settler, exists};
use crate::host::desired::Place;

impl Settler<'_> {
    /// Removes what is ours, and brings back what was there before. What somebody else put there stays.
    pub(super) fn leave(&mut self, path: &Path, claim: Claim) -> Result<(), String> {
        let spot = match self.walker.find_ours(path) {
            Ok(spot) => spot,
            // Nothing of ours is behind a link that we would not have followed.
            Err(why) => return Err(format!("it is declared no more and cannot be removed: {why}")),
        };
        let Some(folder) = spot.fd() else { return Ok(()) };
        let found = look(folder, &spot.name).map_err(|error| error.to_string())?;
        let kept = backup(&spot.name);
        let has_kept = claim.before && exists(folder, &kept);
        let ours = match (&found, claim) {
            (Found::Link(target), _) => *target == self.run.link_target(path),
            // Never made, or what was there before is back already: the file is not ours.
            (Found::File(_), Claim { stage: Stage::Coming, .. }) => has_kept && claim.place == Place::Copy,
            (Found::File(_), Claim { stage: Stage::Leaving, before: true, .. }) if !has_kept => false,
            (Found::File(_), Claim { place, .. }) => place == Place::Copy,
            (Found::Nothing, _) => has_kept,
            (Found::Other(_), _) => false,
        };
        if !ours {
            if !matches!(found, Found::Nothing) && claim.stage != Stage::Coming && has_kept {
                tracing::warn!(path = %path.display(), kept = %kept.to_string_lossy(), "what is there was put there by hand and stays, and so does what was there before");
            }
            return Ok(());
        }
        let probe = self.settings.probe;
        let left = match (has_kept, &found) {
            // One step: there is no moment without a file.
            (true, Found::Nothing) => probe.around("restore", || {
                rustix::fs::renameat_with(folder, &kept, folder, &spot.name, RenameFlags::NOREPLACE)
            }),
            (true, _) => probe.around("restore", || {
                rustix::fs::renameat(folder, &kept, folder, &spot.name)?;
                // Two names of one file: the rename did nothing.
                match rustix::fs::unlinkat(folder, &kept, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => Ok(()),
                    Err(error) => Err(error),
                }
            }),
            (false, _) => probe.around("remove", || rustix::fs::unlinkat(folder, &spot.name, AtFlags::empty())),
        };
        left.map_err(|error| format!("it is declared no more and cannot be removed: {}", std::io::Error::from(error)))?;
        self.touch(&spot).map_err(|error| error.to_string())?;
        if has_kept {
            self.settled.restored.push(path.to_owned());
        } else {
            self.settled.removed.push(path.to_owned());
        }
        Ok(())
    }

    /// Removes the folders that we made, where they are empty and nothing declared is below them.
    pub(super) fn remove_folders(&mut self) {
        let mut needed = Folders::default();
        for path in self.manifest.files.keys().map(PathBuf::as_path).chain(self.held.iter().copied()) {
            needed.add(path);
        }
        // The deepest first.
        let idle = self.ledger.folders().iter().rev().filter(|folder| !needed.has(folder));
        let idle: Vec<PathBuf> = idle.cloned().collect();
        for folder in idle {
            let Ok(spot) = self.walker.find_ours(&folder) else { continue };
            let gone = match spot.fd() {
                None => Ok(()),
                Some(parent) => self
                    .settings
                    .probe
                    .around("remove folder", || rustix::fs::unlinkat(parent, &spot.name, AtFlags::REMOVEDIR)),
            };
            match gone {
                Ok(()) | Err(Errno::NOENT) => self.ledger.forget_folder(&folder),
                // Somebody uses it; perhaps later.
                Err(_) => {}
            }
        }
        self.walker.forget();
    }
}
