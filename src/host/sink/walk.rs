//! From a declared path to the folder that it is in, without being led astray.
//!
//! Folders are opened one below the other, never by their whole path. A symbolic link on the way is followed only if
//! nobody but root or the agent can have put it there: it belongs to one of them and so does the folder that it is in,
//! which nobody else may write to. So `/var/run -> /run` is followed, and `/home/app/conf -> /etc` of the user `app` is not.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::settings::Policy;

/// The longest name of a declared file, so that the names of what is put beside it fit, in bytes.
const MAX_NAME: usize = 230;
/// The longest path, as the kernel has it, in bytes.
const MAX_PATH: usize = 4095;
/// The most names in a path: each is an open folder while it is made.
const MAX_DEPTH: usize = 64;
/// Links that are followed on one way, as the kernel has it.
const MAX_LINKS: usize = 40;

/// What a name is followed by while it is made anew, and what that was before us is kept as.
const NEW: &str = ".bulla-new";
const BEFORE: &str = ".before-bulla";

/// Opens nothing but the place: enough to work below it, and asks for no right to read it.
pub(super) const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folder of a declared path.
pub(super) struct Folder {
    /// The deepest folder on the way that is there.
    pub(super) fd: OwnedFd,
    /// What is missing below it.
    pub(super) missing: Vec<OsString>,
    /// Where it really is, from the root, without the missing ones.
    pub(super) real: PathBuf,
}

/// A declared path, found.
pub(super) struct Spot {
    pub(super) folder: Rc<Folder>,
    pub(super) name: OsString,
}

impl Spot {
    /// The folder, if it is there.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.folder.missing.is_empty().then(|| self.folder.fd.as_fd())
    }
}

/// Finds folders, and remembers the last: files of one folder come one after the other.
pub(super) struct Walker<'a> {
    root: BorrowedFd<'a>,
    root_path: &'a Path,
    policy: &'a Policy,
    last: Option<(PathBuf, Rc<Folder>)>,
}

impl<'a> Walker<'a> {
    pub(super) const fn new(root: BorrowedFd<'a>, root_path: &'a Path, policy: &'a Policy) -> Self {
        Self { root, root_path, policy, last: None }
    }

    /// Forgets what was found: folders were made or removed.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Finds a declared path that the policy takes; else why it is refused.
    pub(super) fn find(&mut self, path: &Path) -> Result<Spot, String> {
        self.policy.check_declared(path, self.root_path)?;
        let spot = self.find_ours(path)?;
        let real = spot.folder.missing.iter().fold(spot.folder.real.clone(), |real, name| real.join(name));
        self.policy.check_followed(path, &real.join(&spot.name), self.root_path)?;
        Ok(spot)
    }

    /// Finds a path whatever the policy says of it today: to remove what is ours.
    pub(super) fn find_ours(&mut self, path: &Path) -> Result<Spot, String> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err("it names no file".to_owned());
        };
        let folder = match &self.last {
            Some((known, folder)) if known == parent => Rc::clone(folder),
            _ => {
                let found = self.straight(parent).map_or_else(|| self.carefully(parent), Ok);
                let folder = Rc::new(found.map_err(|refused| refused.to_string())?);
                self.last = Some((parent.to_path_buf(), Rc::clone(&folder)));
                folder
            }
        };
        Ok(Spot { folder, name: name.to_owned() })
    }

    /// One call to the kernel where there are no links and nothing is missing.
    fn straight(&self, parent: &Path) -> Option<Folder> {
        let below = parent.strip_prefix("/").unwrap_or(parent);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let how = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
        let fd = rustix::fs::openat2(self.root, below, PLACE, Mode::empty(), how).ok()?;
        Some(Folder { fd, missing: Vec::new(), real: parent.to_path_buf() })
    }

    /// Step by step: follows the links that may be followed.
    fn carefully(&self, parent: &Path) -> Result<Folder, Refused> {
        let mut way = Way::from_root(self.root)?;
        let mut ahead: VecDeque<OsString> = names(parent).collect();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                way.up();
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = match rustix::fs::openat(way.here(), &name, flags, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) if ahead.iter().all(|name| name != "..") => {
                    ahead.push_front(name);
                    return way.end(ahead.into());
                }
                Err(error) => return Err(Refused::System(way.real().join(&name), error)),
            };
            let stat = rustix::fs::fstat(&fd).map_err(|error| Refused::System(way.real().join(&name), error))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => way.down(name, fd, stat),
                FileType::Symlink => {
                    links += 1;
                    let real = way.real().join(&name);
                    if links > MAX_LINKS {
                        return Err(Refused::System(real, Errno::LOOP));
                    }
                    if !way.is_trusted() || !is_trusted(stat.st_uid) {
                        return Err(Refused::Link(real, stat.st_uid));
                    }
                    let target =
                        rustix::fs::readlinkat(&fd, "", Vec::new()).map_err(|error| Refused::System(real, error))?;
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    if target.is_absolute() {
                        way = Way::from_root(self.root)?;
                    }
                    for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                        ahead.push_front(name);
                    }
                }
                FileType::RegularFile
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => return Err(Refused::NotAFolder(way.real().join(&name))),
            }
        }
        way.end(Vec::new())
    }
}

/// The folders from the root to where the walk is.
struct Way {
    root: (OwnedFd, Stat),
    steps: Vec<(OsString, OwnedFd, Stat)>,
}

impl Way {
    fn from_root(root: BorrowedFd<'_>) -> Result<Self, Refused> {
        let system = |error| Refused::System(PathBuf::from("/"), error);
        let fd = rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(system)?;
        let stat = rustix::fs::fstat(&fd).map_err(system)?;
        Ok(Self { root: (fd, stat), steps: Vec::new() })
    }

    fn here(&self) -> &OwnedFd {
        self.steps.last().map_or(&self.root.0, |(_, fd, _)| fd)
    }

    /// Whether nobody but root and the agent can put something here.
    fn is_trusted(&self) -> bool {
        let stat = self.steps.last().map_or(&self.root.1, |(_, _, stat)| stat);
        let others_write = stat.st_mode & 0o022 != 0;
        // In a sticky folder nobody can rename what belongs to another.
        let sticky = stat.st_mode & 0o1000 != 0;
        is_trusted(stat.st_uid) && (!others_write || sticky)
    }

    fn real(&self) -> PathBuf {
        self.steps.iter().fold(PathBuf::from("/"), |path, (name, _, _)| path.join(name))
    }

    fn down(&mut self, name: OsString, fd: OwnedFd, stat: Stat) {
        self.steps.push((name, fd, stat));
    }

    fn up(&mut self) {
        // Above the root is the root.
        self.steps.pop();
    }

    fn end(mut self, missing: Vec<OsString>) -> Result<Folder, Refused> {
        let real = self.real();
        let fd = self.steps.pop().map_or(self.root.0, |(_, fd, _)| fd);
        Ok(Folder { fd, missing, real })
    }
}

/// Whether a user can do no harm that they could not do anyway.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{} is a symbolic link that user {_1} can change, so it is not followed: declare the real path, or make the link root's in a folder that only root writes to", _0.display())]
    Link(PathBuf, u32),
    #[error("{} is not a folder", _0.display())]
    NotAFolder(PathBuf),
    #[error("{}: {}", _0.display(), io::Error::from(*_1))]
    System(PathBuf, Errno),
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Whether `path` can be declared at all: absolute, normal, UTF-8, short enough below `prefixes`.
pub(super) fn check_shape(path: &Path, longest_prefix: usize) -> Result<(), String> {
    let text = path.to_str().ok_or("its path is not UTF-8")?;
    let normal = text.strip_prefix('/').is_some_and(|rest| {
        !rest.is_empty() && rest.split('/').all(|name| !name.is_empty() && name != "." && name != "..")
    });
    if !normal || text.contains('\0') {
        return Err("its path is not absolute and normal (no `.`, `..`, doubled or last slash)".to_owned());
    }
    if longest_prefix.saturating_add(text.len()) > MAX_PATH {
        return Err(format!(
            "its path is too long: {} bytes, at most {}",
            text.len(),
            MAX_PATH.saturating_sub(longest_prefix)
        ));
    }
    if text.split('/').skip(1).count() > MAX_DEPTH {
        return Err(format!("its path has more than {MAX_DEPTH} names"));
    }
    if text.split('/').any(|name| name.starts_with('.') && (name.ends_with(NEW) || name.ends_with(BEFORE))) {
        return Err(format!("names that end with {NEW} or {BEFORE} are the agent's own"));
    }
    match text.split('/').find(|name| name.len() > MAX_NAME) {
        Some(name) => Err(format!("its path has a name of {} bytes, at most {MAX_NAME}", name.len())),
        None => Ok(()),
    }
}

/// What stands beside a declared file while it is replaced.
pub(super) fn temporary(name: &OsStr) -> OsString {
    beside(name, NEW)
}

/// What was there before a declared file. Hidden, so that `include sites-enabled/*` and its like pass over it.
pub(super) fn backup(name: &OsStr) -> OsString {
    beside(name, BEFORE)
}

fn beside(name: &OsStr, suffix: &str) -> OsString {
    OsString::from_vec([b".", name.as_bytes(), suffix.as_bytes()].concat())
}

/// What is at a path.
pub(super) enum Found {
    Nothing,
    /// A symbolic link to this.
    Link(PathBuf),
    File(FileStat),
    /// Something that is never replaced.
    Other(&'static str),
}

/// What is known of a file without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStat {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) names: u32,
}

impl FileStat {
    pub(super) const fn of(stat: &Stat) -> Self {
        Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            #[expect(clippy::cast_sign_loss, reason = "the kernel has no negative sizes")]
            size: stat.st_size as u64,
            #[expect(clippy::cast_possible_truncation, reason = "more names than that have no file system")]
            names: stat.st_nlink as u32,
        }
    }
}

/// Looks at `name` in `folder`, following nothing.
pub(super) fn look(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Found> {
    match rustix::fs::readlinkat(folder, name, Vec::new()) {
        Ok(target) => return Ok(Found::Link(PathBuf::from(OsString::from_vec(target.into_bytes())))),
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        // Not a link.
        Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if is_mounted_on(folder, name) => Found::Other("a mount point"),
        FileType::RegularFile => Found::File(FileStat::of(&stat)),
        FileType::Directory => Found::Other("a folder"),
        FileType::Fifo => Found::Other("a FIFO"),
        FileType::Socket => Found::Other("a socket"),
        FileType::BlockDevice | FileType::CharacterDevice => Found::Other("a device"),
        FileType::Symlink | FileType::Unknown => Found::Other("something that is no file"),
    })
}

fn is_mounted_on(folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    // Kernels before 5.8 do not tell; there the rename is refused as busy.
    statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::check_shape;

    #[test]
    fn only_absolute_normal_paths_of_a_sane_length_are_declared() {
        for path in ["/etc/nginx/tls.key", "/a", "/a/..b/c.", "/ä"] {
            assert!(check_shape(Path::new(path), 100).is_ok(), "{path}");
        }
        let long = format!("/{}", "x".repeat(231));
        let deep = "/abc".repeat(1000);
        let steps = "/a".repeat(65);
        for path in [
            &steps,
            "/etc/.a.bulla-new",
            "/etc/.a.before-bulla",
            "",
            "/",
            "a",
            "/a/",
            "/a//b",
            "/a/./b",
            "/a/../b",
            "/a\0b",
            "../a",
            &long,
            &deep,
        ] {
            assert!(check_shape(Path::new(path), 100).is_err(), "{path}");
        }
    }
}
