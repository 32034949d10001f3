//! A new generation, file by file, before anybody sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::changes::{self, Aspect, Change};
use super::error::{Error, is_full};
use super::file::Last;
use super::folders::Folders;
use super::ledger::Ledger;
use super::manifest::{Entry, Manifest, digest};
use super::owner::Owners;
use super::run::{self, Run};
use super::settings::{Probe, Settings};
use super::walk::{Walker, check_shape};
use super::{file, folders, settle};
use crate::host::desired::{Content, File, Keep, Place, Problem};

/// Folders in a generation: everybody may pass through, nobody else looks around.
const FOLDER: u32 = 0o711;

/// A generation that is ready and not current. It is wiped if it is dropped.
pub struct Staged {
    pub(super) manifest: Manifest,
    pub(super) changes: Vec<Change>,
    problems: Vec<Problem>,
    folder: PathBuf,
    current: PathBuf,
    root: PathBuf,
    // Nothing once it was flipped.
    pub(super) waiting: bool,
}

/// A file of a staged generation, for what must see it before everybody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// The path as declared.
    pub declared: PathBuf,
    /// The path on this machine, below the root.
    pub path: PathBuf,
    /// Where the new file is now.
    pub staged: PathBuf,
    /// Link or copy.
    pub place: Place,
}

impl Staged {
    /// Its number, if it is flipped.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.manifest.number
    }

    /// Its folder: what is mounted over [`Self::covers`] to see its files at the declared paths.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the generation that was current when it was staged.
    #[must_use]
    pub fn covers(&self) -> &Path {
        &self.current
    }

    /// What a flip will change, by path. Empty: it will do nothing.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What could not be staged, and why: these files stay as they are.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What it holds.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = StagedFile> {
        self.manifest.files.iter().map(|(declared, entry)| StagedFile {
            declared: declared.clone(),
            path: super::settings::below(&self.root, declared),
            staged: run::files_of(&self.folder, declared),
            place: entry.place,
        })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.waiting {
            // What is left is wiped when the sink is opened next.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

/// What staging needs to know.
pub(super) struct Stager<'a> {
    pub(super) settings: &'a Settings,
    pub(super) run: &'a Run,
    pub(super) ledger: &'a Ledger,
    pub(super) walker: Walker<'a>,
    pub(super) current: &'a Manifest,
    pub(super) damaged: &'a BTreeMap<PathBuf, Vec<Aspect>>,
}

/// What became of one file.
enum Outcome {
    Staged(Entry),
    /// No bytes for it, not even old ones.
    Held,
    /// Not wanted.
    Refused,
}

impl Stager<'_> {
    /// Stages `files`.
    pub(super) fn stage(mut self, mut files: Vec<File>, keep: &Keep, commit: &str) -> Result<Staged, Error> {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let number = self.run.next()?;
        let made = self.settings.probe.around("generation", || self.run.make_part(number));
        let (folder, files_folder) = made.map_err(|error| self.failed(error, &self.run.part(number)))?;
        let manifest = Manifest {
            number,
            commit: (!commit.is_empty()).then(|| commit.to_owned()),
            at: Timestamp::now(),
            fresh: false,
            files: BTreeMap::new(),
            held: Vec::new(),
        };
        let mut staged = Staged {
            manifest,
            changes: Vec::new(),
            problems: Vec::new(),
            folder: self.run.part(number),
            current: self.run.folder(self.current.number),
            root: self.settings.root.clone(),
            waiting: true,
        };
        let declared: BTreeSet<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        let known = self.current.files.keys().chain(self.ledger.claims().map(|(path, _)| path));
        let kept = known.filter(|path| !declared.contains(*path) && keep.holds(path));
        let kept: BTreeSet<PathBuf> = kept.cloned().collect();
        // What is kept was within the limit when it was declared.
        let mut folders = Folders::default();
        kept.iter().for_each(|path| folders.add(path));
        // What cannot be declared at all is refused for that, and its length is not worth counting.
        let beyond = declared.iter().filter(|path| check_shape(path, 0).is_ok() && !folders.fit(path));
        let beyond: BTreeSet<&PathBuf> = beyond.collect();
        let mut tree = Tree { files: files_folder, open: Vec::new() };
        let mut owners = Owners::new();
        for file in files {
            let path = file.path.clone();
            let outcome = if staged.manifest.files.contains_key(&path) {
                staged.problems.push(problem(&path, "it is declared twice: the first is taken"));
                continue;
            } else if beyond.contains(&path) {
                let most = folders::MOST;
                let why = format!("with it this host's files are in more than {most} folders: declare fewer");
                staged.problems.push(problem(&path, &why));
                Outcome::Refused
            } else {
                self.one(file, &declared, &mut tree, &mut owners, &mut staged.problems)?
            };
            match outcome {
                Outcome::Staged(entry) => drop(staged.manifest.files.insert(path, entry)),
                Outcome::Held => staged.manifest.held.push(path),
                Outcome::Refused => {}
            }
        }
        for path in kept {
            match self.carry(&path, &mut tree)? {
                Outcome::Staged(entry) => drop(staged.manifest.files.insert(path, entry)),
                Outcome::Held | Outcome::Refused => staged.manifest.held.push(path),
            }
        }
        let written = self.run.write_manifest(folder.as_fd(), &staged.manifest);
        written.map_err(|error| self.failed(error, &staged.folder))?;
        staged.changes = changes::between(self.current, &staged.manifest, self.damaged);
        Ok(staged)
    }

    fn one(
        &mut self,
        file: File,
        declared: &BTreeSet<PathBuf>,
        tree: &mut Tree,
        owners: &mut Owners,
        problems: &mut Vec<Problem>,
    ) -> Result<Outcome, Error> {
        let File { path, owner, group, mode, place, role, content, secrets } = file;
        let longest = self.settings.root.as_os_str().len().max(self.run.link_target(Path::new("/")).as_os_str().len());
        let taken =
            check_shape(&path, longest).and_then(|()| self.settings.policy.check_declared(&path, &self.settings.root));
        if let Err(why) = taken {
            problems.push(problem(&path, &why));
            return Ok(Outcome::Refused);
        }
        let ready = settle::could_be_placed(&mut self.walker, self.ledger, &path, place, declared)
            .and_then(|()| owners.rights(owner.as_deref(), group.as_deref(), mode));
        let rights = match ready {
            Ok(rights) => rights,
            Err(why) => {
                problems.push(problem(&path, &why));
                return self.carry(&path, tree);
            }
        };
        let (bytes, stale) = match &content {
            Content::Bytes(bytes) => (Bytes::New(bytes.expose()), false),
            Content::LastGood => match self.last_good(&path) {
                Some(bytes) => (Bytes::Old(bytes), true),
                None => return Ok(Outcome::Held),
            },
        };
        let bytes = bytes.as_slice();
        let entry = Entry {
            role,
            place,
            uid: rights.uid,
            gid: rights.gid,
            mode: rights.mode,
            size: bytes.len() as u64,
            digest: digest(&self.run.key, &path, bytes),
            stale,
            secrets,
        };
        match self.write(tree, &path, &entry, bytes)? {
            Ok(()) => Ok(Outcome::Staged(entry)),
            Err(why) => {
                problems.push(problem(&path, &why));
                self.carry(&path, tree)
            }
        }
    }

    /// Takes a file over from the current generation as it is there.
    fn carry(&self, path: &Path, tree: &mut Tree) -> Result<Outcome, Error> {
        let (Some(entry), Some(bytes)) = (self.current.files.get(path), self.last_good(path)) else {
            return Ok(Outcome::Held);
        };
        let entry = Entry { stale: true, ..entry.clone() };
        match self.write(tree, path, &entry, &bytes)? {
            Ok(()) => Ok(Outcome::Staged(entry)),
            Err(_) => Ok(Outcome::Held),
        }
    }

    /// The bytes that the current generation has of a file, from whichever generation still has them unharmed.
    fn last_good(&self, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
        let wanted = self.current.files.get(path)?;
        let mut numbers = self.run.numbers().ok()?;
        numbers.sort_unstable_by_key(|number| (*number != self.current.number, u64::MAX - number));
        let below = path.strip_prefix("/").ok()?;
        numbers.into_iter().find_map(|number| {
            let files = self.run.files(number).ok()?;
            let (_, bytes) = file::read(files.as_fd(), below.as_os_str(), wanted.size).ok()?;
            bytes.filter(|bytes| wanted.is_of(&self.run.key, path, bytes))
        })
    }

    /// Writes one file. The outer error is for all of them: the run folder is full.
    fn write(&self, tree: &mut Tree, path: &Path, entry: &Entry, bytes: &[u8]) -> Result<Result<(), String>, Error> {
        let written = tree.folder_of(path).and_then(|folder| {
            let name = path.file_name().unwrap_or_default();
            file::create(folder, name, entry.rights(), bytes, Last::InMemory, self.settings.probe)
        });
        match written {
            Ok(()) => Ok(Ok(())),
            Err(error) if is_full(&error) => Err(self.failed(error, path)),
            Err(error) => Ok(Err(explain(&error, entry))),
        }
    }

    fn failed(&self, error: io::Error, at: &Path) -> Error {
        if is_full(&error) {
            return Error::NoSpace { run: self.run.path.clone(), at: at.to_owned() };
        }
        Error::when("write", at)(error)
    }
}

enum Bytes<'a> {
    New(&'a [u8]),
    Old(Zeroizing<Vec<u8>>),
}

impl Bytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::New(bytes) => bytes,
            Self::Old(bytes) => bytes,
        }
    }
}

/// What an error of the operating system means for one file.
pub(super) fn explain(error: &io::Error, entry: &Entry) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => format!(
            "the agent (user {}) may not make a file of user {}, group {}, mode {:04o}: run it as root, or declare its own user",
            rustix::process::geteuid().as_raw(),
            entry.uid,
            entry.gid,
            entry.mode
        ),
        Some(Errno::NOTDIR | Errno::EXIST) => {
            "another declared file is where it needs a folder, or the other way round".to_owned()
        }
        Some(_) | None => error.to_string(),
    }
}

pub(super) fn problem(path: &Path, message: &str) -> Problem {
    Problem { object: path.display().to_string(), at: None, message: message.to_owned() }
}

/// The folders below `files`, made as the files in order need them.
struct Tree {
    files: OwnedFd,
    open: Vec<(OsString, OwnedFd)>,
}

impl Tree {
    fn folder_of(&mut self, path: &Path) -> io::Result<BorrowedFd<'_>> {
        let parent = path.parent().unwrap_or(path);
        let parent = parent.strip_prefix("/").unwrap_or(parent);
        let shared = parent.iter().zip(&self.open).take_while(|(name, (open, _))| *name == open.as_os_str()).count();
        self.open.truncate(shared);
        for name in parent.iter().skip(shared) {
            let made = make_or_open(self.here(), name)?;
            self.open.push((name.to_owned(), made));
        }
        Ok(self.here())
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.files.as_fd(), |(_, fd)| fd.as_fd())
    }
}

fn make_or_open(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    match run::make_folder(parent, name, FOLDER, Probe::default()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(rustix::fs::openat(parent, name, super::walk::PLACE, rustix::fs::Mode::empty())?)
        }
        made => made,
    }
}
