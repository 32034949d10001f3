//! The only writer of files with plaintext in host mode: generations on tmpfs, one atomic flip, drift.
//!
//! ```text
//! /run/bulla                        0751, tmpfs
//!   current -> generations/7        one rename changes every file at once
//!   generations/7/files/etc/app/key owner, group and mode from the first byte
//!   generations/7/manifest.json     0600, keyed digests, no secret
//! /etc/app/key -> /run/bulla/current/files/etc/app/key
//! ```
//!
//! `stage` makes a generation that nobody sees, `flip` makes it current and settles: links, copies and removals at the
//! declared paths. A kill at any point leaves the old generation or the new one; opening the sink again settles what was
//! interrupted. Everything here blocks: call it from `spawn_blocking`.

mod changes;
mod drift;
mod error;
mod file;
mod folders;
mod ledger;
mod manifest;
mod owner;
mod run;
mod settings;
mod settle;
mod stage;
mod storage;
mod walk;
mod watch;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

pub use self::changes::{Aspect, Change, What};
pub use self::drift::{Drift, Watched};
pub use self::error::Error;
use self::ledger::Ledger;
pub use self::manifest::{Entry, Manifest};
use self::run::Run;
pub use self::settings::{Policy, PolicyError, Probe, Settings, Storage};
pub use self::settle::Settled;
use self::settle::Settler;
use self::stage::Stager;
pub use self::stage::{Staged, StagedFile};
pub use self::storage::is_in_memory;
use self::walk::Walker;
pub use self::watch::Watch;
use crate::host::desired::{File, Keep, Problem};
use crate::seal::DigestKey;

/// The only writer of files.
pub struct Sink {
    settings: Settings,
    root: OwnedFd,
    run: Run,
    ledger: Ledger,
    current: Manifest,
    /// Files of the current generation that were changed by hand, as [`Self::drift`] found them.
    damaged: BTreeMap<PathBuf, Vec<Aspect>>,
    warnings: Vec<String>,
}

/// A generation that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// What it holds.
    pub manifest: Manifest,
    /// Whether it is the current one.
    pub is_current: bool,
}

/// What a flip did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flipped {
    /// The generation that was current.
    pub from: u64,
    /// The one that is.
    pub to: u64,
    /// What is different. Empty: nothing was, and nothing was done.
    pub changes: Vec<Change>,
    /// What was done at the declared paths.
    pub settled: Settled,
}

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What was done at the declared paths.
    pub settled: Settled,
    /// Files of the generation itself were changed: stage the commit again and flip.
    pub stage_again: bool,
}

impl Sink {
    /// Opens the sink, alone, and brings what was interrupted to an end.
    ///
    /// # Errors
    /// If another agent works there, if the run folder is on a disk and must not be, or of the system.
    pub fn open(mut settings: Settings) -> Result<(Self, Settled), Error> {
        settings.keep = settings.keep.max(2);
        let own = [settings.run.clone(), settings.state.clone()];
        settings.policy.keep_off(own);
        if !settings.root.is_absolute() {
            return Err(Error::NotAbsolute(settings.root));
        }
        let (run, swaps) = Run::open(&settings.run, settings.storage, settings.probe)?;
        let (ledger, forgotten) = Ledger::open(&settings.state, &settings.root, settings.probe)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::open(&settings.root, flags, Mode::empty()).map_err(Error::when("open", &settings.root))?;
        let mut warnings: Vec<String> = swaps.into_iter().chain(forgotten).collect();
        let known = run.current().map(|number| run.manifest(number));
        let current = match known {
            Some(Ok(manifest)) => manifest,
            None => run.begin()?,
            Some(Err(error)) => {
                warnings.push(format!("{error}: what is current is taken for lost, and staged again"));
                run.begin()?
            }
        };
        run.tidy(current.number)?;
        let mut sink = Self { settings, root, run, ledger, current, damaged: BTreeMap::new(), warnings };
        settle::tidy(&sink.ledger, &mut Walker::new(sink.root.as_fd(), &sink.settings.root, &sink.settings.policy));
        // After a boot nothing is known yet: what is at the declared paths may be right.
        let settled = if sink.current.fresh { Settled::default() } else { sink.settle()? };
        Ok((sink, settled))
    }

    /// What somebody should know of, found when the sink was opened.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The key of the digests in the run folder: as old as that, and gone with it.
    #[must_use]
    pub fn digest_key(&self) -> Arc<DigestKey> {
        Arc::clone(&self.run.key)
    }

    /// What the current generation holds.
    #[must_use]
    pub const fn current(&self) -> &Manifest {
        &self.current
    }

    /// The generations that are kept, in order.
    ///
    /// # Errors
    /// Of the system. One whose manifest cannot be read is left out.
    pub fn generations(&self) -> Result<Vec<Generation>, Error> {
        let manifests = self.run.numbers()?.into_iter().filter_map(|number| self.run.manifest(number).ok());
        let number = self.current.number;
        Ok(manifests.map(|manifest| Generation { is_current: manifest.number == number, manifest }).collect())
    }

    /// Stages `files` of `commit`, or of none if it is empty, as a new generation; what `keep` holds and nothing declares
    /// stays as it is. What is wrong with one file is in [`Staged::problems`]: that file stays as it is.
    ///
    /// # Errors
    /// If the run folder is full, or of the system. Nothing has changed then.
    pub fn stage(&self, files: Vec<File>, keep: &Keep, commit: &str) -> Result<Staged, Error> {
        let stager = Stager {
            settings: &self.settings,
            run: &self.run,
            ledger: &self.ledger,
            walker: self.walker(),
            current: &self.current,
            damaged: &self.damaged,
        };
        stager.stage(files, keep, commit)
    }

    /// Makes a staged generation current and settles. If nothing changes, only the commit is written down.
    ///
    /// # Errors
    /// Of the system, before the flip: nothing has changed then. What fails after it is in [`Settled::problems`].
    pub fn flip(&mut self, mut staged: Staged) -> Result<Flipped, Error> {
        let from = self.current.number;
        if staged.changes.is_empty() && !self.current.fresh {
            let manifest = Manifest { number: from, ..staged.manifest.clone() };
            let folder = self.run.open_folder(from)?;
            let path = self.run.folder(from);
            self.run.write_manifest(folder.as_fd(), &manifest).map_err(Error::when("write", &path))?;
            self.current = manifest;
            return Ok(Flipped { from, to: from, changes: Vec::new(), settled: Settled::default() });
        }
        let manifest = staged.manifest.clone();
        let changes = std::mem::take(&mut staged.changes);
        let settled = self.make_current(manifest, |run, number| {
            run.finish(number)?;
            staged.waiting = false;
            run.point_at(number)
        })?;
        Ok(Flipped { from, to: self.current.number, changes, settled })
    }

    /// Goes back to a kept generation and settles.
    ///
    /// # Errors
    /// If it is gone or was changed by hand, or of the system, before the flip: nothing has changed then.
    pub fn back_to(&mut self, number: u64) -> Result<Flipped, Error> {
        let from = self.current.number;
        let mut manifest = match self.run.numbers()?.contains(&number) {
            true => self.run.manifest(number)?,
            false => return Err(Error::NoGeneration(number)),
        };
        if let Some(at) = drift::first_damage(&self.run, &manifest)? {
            return Err(Error::Damaged { number, at });
        }
        if manifest.fresh {
            // It is what is wanted now, not only what there was: an interrupted settling goes on.
            manifest.fresh = false;
            let folder = self.run.open_folder(number)?;
            let path = self.run.folder(number);
            self.run.write_manifest(folder.as_fd(), &manifest).map_err(Error::when("write", &path))?;
        }
        let changes = changes::between(&self.current, &manifest, &self.damaged);
        let settled = self.make_current(manifest, Run::point_at)?;
        Ok(Flipped { from, to: number, changes, settled })
    }

    /// Goes back to what there was before the first generation: nothing is declared, and what was at declared paths before
    /// is there again.
    ///
    /// # Errors
    /// If the run folder is full, or of the system, before the flip: nothing has changed then.
    pub fn back_to_nothing(&mut self) -> Result<Flipped, Error> {
        let staged = self.stage(Vec::new(), &Keep::default(), "")?;
        self.flip(staged)
    }

    /// Whether the run folder is still at its path.
    ///
    /// # Errors
    /// If another one is, or none: links to it lead nowhere, and no generation that is made is seen.
    pub fn stands_fast(&self) -> Result<(), Error> {
        self.run.stands_fast()
    }

    /// Makes links, copies and removals agree with the current generation. It can be done at any time, again and again.
    ///
    /// # Errors
    /// Of the system, with the agent's own folders.
    pub fn settle(&mut self) -> Result<Settled, Error> {
        let walker = Walker::new(self.root.as_fd(), &self.settings.root, &self.settings.policy);
        let mut settler = Settler::new(&self.settings, &self.run, &mut self.ledger, walker, &self.current);
        settler.intend()?;
        settler.perform()
    }

    /// What is not as the current generation says.
    ///
    /// # Errors
    /// Of the system, with the agent's own folders.
    pub fn drift(&mut self) -> Result<Vec<Drift>, Error> {
        let found = drift::find(&self.run, &self.current, self.walker())?;
        self.damaged = found
            .iter()
            .filter_map(|drift| match drift {
                Drift::Generation { path, what, .. } => Some((path.clone(), what.clone())),
                Drift::Current | Drift::Path { .. } => None,
            })
            .collect();
        Ok(found)
    }

    /// Puts back what [`Self::drift`] found, as far as the current generation still has it.
    ///
    /// # Errors
    /// Of the system, with the agent's own folders.
    pub fn repair(&mut self) -> Result<Repaired, Error> {
        if self.run.current() != Some(self.current.number) {
            self.run.point_at(self.current.number)?;
        }
        Ok(Repaired { settled: self.settle()?, stage_again: !self.damaged.is_empty() })
    }

    /// Removes all but the newest generations that are kept, and the current one; how many went.
    ///
    /// # Errors
    /// Of the system.
    pub fn prune(&mut self) -> Result<usize, Error> {
        let numbers = self.run.numbers()?;
        let old = numbers.into_iter().rev().skip(self.settings.keep).filter(|number| *number != self.current.number);
        let old: Vec<u64> = old.collect();
        for number in &old {
            self.run.wipe(&self.run.folder(*number))?;
        }
        Ok(old.len())
    }

    /// The folders to watch for changes by hand, for [`Watch::new`]; another list after each flip.
    #[must_use]
    pub fn watch_list(&self) -> Vec<Watched> {
        drift::watch_list(&self.run, &self.current, &self.settings.root)
    }

    fn walker(&self) -> Walker<'_> {
        Walker::new(self.root.as_fd(), &self.settings.root, &self.settings.policy)
    }

    /// The order of every flip: say what will be ours, flip, settle.
    fn make_current(
        &mut self,
        manifest: Manifest,
        flip: impl FnOnce(&Run, u64) -> Result<(), Error>,
    ) -> Result<Settled, Error> {
        let walker = Walker::new(self.root.as_fd(), &self.settings.root, &self.settings.policy);
        let mut settler = Settler::new(&self.settings, &self.run, &mut self.ledger, walker, &manifest);
        settler.intend()?;
        flip(&self.run, manifest.number)?;
        // From here on the new generation is there, whatever happens.
        let settled = settler.perform().unwrap_or_else(|error| unsettled(&self.settings.root, &error));
        self.current = manifest;
        self.damaged.clear();
        Ok(settled)
    }
}

fn unsettled(root: &Path, error: &Error) -> Settled {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let message = format!("{error}{source}; it is tried again");
    Settled { problems: vec![Problem { object: root.display().to_string(), at: None, message }], ..Settled::default() }
}
