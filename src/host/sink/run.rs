//! The run folder: generations, `current`, the lock, and the key of the digests.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use zeroize::Zeroizing;

use super::error::Error;
use super::file::{self, Last};
use super::manifest::{self, Manifest};
use super::owner::Rights;
use super::settings::{Probe, Storage};
use super::storage;
use super::walk::PLACE;
use crate::seal::DigestKey;

/// Everybody may pass through, only the agent looks around.
const PASSAGE: u32 = 0o751;
const CURRENT: &str = "current";
const CURRENT_NEW: &str = ".current.new";
const GENERATIONS: &str = "generations";
const LOCK: &str = "lock";
const KEY: &str = "digest.key";
const KEY_BYTES: usize = 32;
/// What a generation's folder is called until it is whole.
const PART: &str = ".part";

/// The run folder.
pub(super) struct Run {
    pub(super) path: PathBuf,
    fd: OwnedFd,
    generations: OwnedFd,
    pub(super) key: Arc<DigestKey>,
    probe: Probe,
    // Held as long as the sink is there.
    _lock: OwnedFd,
}

impl Run {
    /// Opens the run folder, alone; the second is what to warn of.
    pub(super) fn open(path: &Path, demand: Storage, probe: Probe) -> Result<(Self, Option<String>), Error> {
        let fd = own_folder(path, PASSAGE)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&fd, LOCK, flags, Mode::from_raw_mode(0o600))
            .map_err(Error::when("open", &path.join(LOCK)))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::Busy(path.to_owned())),
            Err(error) => return Err(Error::when("lock", &path.join(LOCK))(error)),
        }
        let warning = storage::check(fd.as_fd(), path, demand)?;
        let generations = own_folder(&path.join(GENERATIONS), PASSAGE)?;
        let key = Arc::new(key(fd.as_fd()).map_err(Error::when("make", &path.join(KEY)))?);
        Ok((Self { path: path.to_owned(), fd, generations, key, probe, _lock: lock }, warning))
    }

    /// Whether this is the folder at its path.
    pub(super) fn stands_fast(&self) -> Result<(), Error> {
        let open = rustix::fs::fstat(&self.fd).map_err(Error::when("look at", &self.path))?;
        match rustix::fs::stat(&self.path) {
            Ok(there) if (there.st_dev, there.st_ino) == (open.st_dev, open.st_ino) => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::Lost(self.path.clone())),
            Err(error) => Err(Error::when("look at", &self.path)(error)),
        }
    }

    /// The generation that is current, if there is one.
    pub(super) fn current(&self) -> Option<u64> {
        let target = rustix::fs::readlinkat(&self.fd, CURRENT, Vec::new()).ok()?;
        number(target.to_str().ok()?.strip_prefix("generations/")?)
    }

    /// Where everybody finds the current file of a declared path.
    pub(super) fn link_target(&self, declared: &Path) -> PathBuf {
        files_of(&self.path.join(CURRENT), declared)
    }

    /// The folder of a generation that is whole.
    pub(super) fn folder(&self, number: u64) -> PathBuf {
        self.path.join(GENERATIONS).join(number.to_string())
    }

    /// The folder of one that is being staged.
    pub(super) fn part(&self, number: u64) -> PathBuf {
        self.path.join(GENERATIONS).join(format!("{number}{PART}"))
    }

    /// The generations that are whole, in order.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, Error> {
        let mut numbers: Vec<u64> = self.names()?.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let path = self.path.join(GENERATIONS);
        let entries = std::fs::read_dir(&path).map_err(Error::when("read", &path))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<_>>().map_err(Error::when("read", &path))
    }

    /// The number that a new generation gets.
    pub(super) fn next(&self) -> Result<u64, Error> {
        let names = self.names()?;
        let taken = names.iter().filter_map(|name| number(name.strip_suffix(PART).unwrap_or(name)));
        Ok(taken.max().unwrap_or_default().saturating_add(1))
    }

    /// Removes what was staged and not finished, and what is newer than `current`: it was gone back from.
    pub(super) fn tidy(&self, current: u64) -> Result<(), Error> {
        for name in self.names()? {
            if number(&name).is_none_or(|number| number > current) {
                self.wipe(&self.path.join(GENERATIONS).join(name))?;
            }
        }
        let left = file::remove(self.fd.as_fd(), OsStr::new(CURRENT_NEW));
        left.map_err(Error::when("remove", &self.path.join(CURRENT_NEW)))
    }

    /// Removes a generation. On tmpfs its pages go back to the kernel, which clears them before anybody else sees them:
    /// to overwrite them first would add nothing.
    pub(super) fn wipe(&self, folder: &Path) -> Result<(), Error> {
        let removed = self.probe.around("wipe", || match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => std::fs::remove_file(folder),
            removed => removed,
        });
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::when("remove", folder)(error)),
            _ => Ok(()),
        }
    }

    /// Makes `number` the current generation, in one step.
    pub(super) fn point_at(&self, number: u64) -> Result<(), Error> {
        let path = self.path.join(CURRENT);
        drop(file::remove(self.fd.as_fd(), OsStr::new(CURRENT_NEW)));
        let target = format!("{GENERATIONS}/{number}");
        self.probe
            .around("flip link", || rustix::fs::symlinkat(target.as_str(), &self.fd, CURRENT_NEW))
            .map_err(Error::when("make the link", &path))?;
        self.probe
            .around("flip", || rustix::fs::renameat(&self.fd, CURRENT_NEW, &self.fd, CURRENT))
            .map_err(Error::when("replace", &path))
    }

    /// Makes a staged generation whole.
    pub(super) fn finish(&self, number: u64) -> Result<(), Error> {
        let (from, to) = (format!("{number}{PART}"), number.to_string());
        self.probe
            .around("finish", || rustix::fs::renameat(&self.generations, from.as_str(), &self.generations, to.as_str()))
            .map_err(Error::when("rename", &self.part(number)))
    }

    /// The folder with a generation's files.
    pub(super) fn files(&self, number: u64) -> Result<OwnedFd, Error> {
        let below = format!("{number}/files");
        file::open_below(self.generations.as_fd(), OsStr::new(&below), PLACE)
            .map_err(Error::when("open", &self.folder(number)))
    }

    /// Reads what a generation holds.
    pub(super) fn manifest(&self, number: u64) -> Result<Manifest, Error> {
        let below = format!("{number}/{}", manifest::NAME);
        let path = self.folder(number).join(manifest::NAME);
        let (_, bytes) = file::read_own(self.generations.as_fd(), OsStr::new(&below), manifest::MAX_BYTES)
            .map_err(Error::when("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::when("read", &path)(io::Error::from(error)))
    }

    /// Writes what a generation holds, in one step.
    pub(super) fn write_manifest(&self, folder: BorrowedFd<'_>, manifest: &Manifest) -> io::Result<()> {
        const NEW: &str = ".manifest.new";
        let bytes = serde_json::to_vec_pretty(manifest)?;
        drop(file::remove(folder, OsStr::new(NEW)));
        file::create(folder, OsStr::new(NEW), own(0o600), &bytes, Last::InMemory, self.probe)?;
        self.probe.around("manifest rename", || rustix::fs::renameat(folder, NEW, folder, manifest::NAME))?;
        Ok(())
    }

    /// Makes the folder of a new generation, with `files` in it.
    pub(super) fn make_part(&self, number: u64) -> io::Result<(OwnedFd, OwnedFd)> {
        let name = format!("{number}{PART}");
        let folder = make_folder(self.generations.as_fd(), OsStr::new(&name), PASSAGE, Probe::default())?;
        let files = make_folder(folder.as_fd(), OsStr::new("files"), PASSAGE, Probe::default())?;
        Ok((folder, files))
    }

    /// The empty generation, as there is before the first, and again where `current` leads nowhere.
    pub(super) fn begin(&self) -> Result<Manifest, Error> {
        let manifest = Manifest::empty();
        let (part, folder) = (self.part(manifest.number), self.folder(manifest.number));
        self.wipe(&part)?;
        self.wipe(&folder)?;
        let made =
            self.make_part(manifest.number).and_then(|(folder, _)| self.write_manifest(folder.as_fd(), &manifest));
        made.map_err(Error::when("make", &part))?;
        self.finish(manifest.number)?;
        self.point_at(manifest.number)?;
        Ok(manifest)
    }

    /// The folder of a whole generation, to write its manifest again.
    pub(super) fn open_folder(&self, number: u64) -> Result<OwnedFd, Error> {
        file::open_below(self.generations.as_fd(), OsStr::new(&number.to_string()), PLACE)
            .map_err(Error::when("open", &self.folder(number)))
    }
}

/// A generation's file of a declared path, below the generation's folder.
pub(super) fn files_of(generation: &Path, declared: &Path) -> PathBuf {
    generation.join("files").join(declared.strip_prefix("/").unwrap_or(declared))
}

/// What is the agent's own.
pub(super) fn own(mode: u32) -> Rights {
    Rights { uid: geteuid().as_raw(), gid: getegid().as_raw(), mode }
}

/// A folder that nobody but the agent writes to, made where it is missing.
pub(super) fn own_folder(path: &Path, mode: u32) -> Result<OwnedFd, Error> {
    if !path.is_absolute() {
        return Err(Error::NotAbsolute(path.to_owned()));
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(Error::when("make", parent))?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(Error::when("make", path)(error)),
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(Error::when("open", path))?;
    let stat = rustix::fs::fstat(&fd).map_err(Error::when("look at", path))?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(Error::NotOurs { path: path.to_owned(), uid: stat.st_uid });
    }
    if stat.st_mode & 0o7777 != mode {
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(Error::when("change the mode of", path))?;
    }
    Ok(fd)
}

/// A new folder with exactly this mode. The parent may be a user's, who can put something else in its place at any time:
/// only the descriptor of a folder that is ours and empty is opened to others.
pub(super) fn make_folder(parent: BorrowedFd<'_>, name: &OsStr, mode: u32, probe: Probe) -> io::Result<OwnedFd> {
    probe.around("make folder", || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let swapped = || io::Error::other("somebody put something else in its place: it is tried again");
    let folder = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::NOTDIR | Errno::NOENT) => return Err(swapped()),
        opened => opened?,
    };
    let stat = rustix::fs::fstat(&folder)?;
    let mut names = rustix::fs::Dir::read_from(&folder)?;
    let is_empty = names.all(|name| name.is_ok_and(|name| matches!(name.file_name().to_bytes(), b"." | b"..")));
    if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o777 != 0o700 || !is_empty {
        return Err(swapped());
    }
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode))?;
    Ok(folder)
}

/// Makes renames in a folder last. File systems that cannot, need not.
pub(super) fn sync_folder(folder: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, Mode::empty()).and_then(rustix::fs::fsync) {
        Ok(()) | Err(Errno::INVAL | Errno::ACCESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A folder's name as a number, as we write it.
fn number(name: &str) -> Option<u64> {
    let number: u64 = name.parse().ok()?;
    (number.to_string() == name).then_some(number)
}

/// The key of the digests: as old as the generations, gone with them.
fn key(folder: BorrowedFd<'_>) -> io::Result<DigestKey> {
    let made = match file::read_own(folder, OsStr::new(KEY), KEY_BYTES as u64) {
        Ok((stat, bytes)) if bytes.len() == KEY_BYTES && stat.mode & 0o077 == 0 => Some(bytes),
        Ok(_) => None,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => None,
        Err(error) => return Err(error),
    };
    let bytes = match made {
        Some(bytes) => bytes,
        None => {
            let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            drop(file::remove(folder, OsStr::new(KEY)));
            file::create(folder, OsStr::new(KEY), own(0o600), &bytes, Last::InMemory, Probe::default())?;
            bytes
        }
    };
    DigestKey::from_secret(bytes).map_err(io::Error::other)
}
