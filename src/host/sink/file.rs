//! One file: made private from its first byte, and read whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::owner::Rights;
use super::settings::Probe;
use super::walk::FileStat;

/// Whether a file must outlast a loss of power.
#[derive(Clone, Copy)]
pub(super) enum Last {
    OnDisk,
    InMemory,
}

/// Makes `name` in `folder`, which must not be there yet. It is born without any permission bit, filled, given to its
/// owner and only then opened to those who may read it. What is left of a failure is removed.
pub(super) fn create(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    rights: Rights,
    bytes: &[u8],
    last: Last,
    probe: Probe,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(probe.around("create", || rustix::fs::openat(folder, name, flags, Mode::empty()))?);
    let filled = fill(&file, rights, bytes, last, probe);
    if filled.is_err() {
        // The first failure is the one to tell.
        drop(remove(folder, name));
    }
    filled
}

fn fill(mut file: &File, rights: Rights, bytes: &[u8], last: Last, probe: Probe) -> io::Result<()> {
    probe.around("write", || file.write_all(bytes))?;
    // Changing the owner clears the setuid bits, so the mode comes last.
    let (uid, gid) = (Uid::from_raw(rights.uid), Gid::from_raw(rights.gid));
    probe.around("give", || rustix::fs::fchown(file, Some(uid), Some(gid)))?;
    probe.around("open up", || rustix::fs::fchmod(file, Mode::from_raw_mode(rights.mode)))?;
    // A mode can be taken without an error and without effect, setgid for a group that is not ours for one.
    let stat = FileStat::of(&rustix::fs::fstat(file)?);
    if (stat.uid, stat.gid, stat.mode) != (rights.uid, rights.gid, rights.mode) {
        return Err(Errno::PERM.into());
    }
    match last {
        Last::OnDisk => probe.around("sync", || file.sync_all()),
        Last::InMemory => Ok(()),
    }
}

/// Removes a name that is no folder, if it is there.
pub(super) fn remove(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads a regular file of `size` bytes below `folder`, following no link, with what is known of it. If it has another
/// size it is not read: its owner can make it as large as they like.
pub(super) fn read(
    folder: BorrowedFd<'_>,
    path: &OsStr,
    size: u64,
) -> io::Result<(FileStat, Option<Zeroizing<Vec<u8>>>)> {
    let (stat, file) = open(folder, path)?;
    let bytes = (stat.size == size).then(|| whole(file, size)).transpose()?;
    Ok((stat, bytes))
}

/// Reads a file of the agent's own, likewise. One of more than `most` bytes is not ours.
pub(super) fn read_own(folder: BorrowedFd<'_>, path: &OsStr, most: u64) -> io::Result<(FileStat, Zeroizing<Vec<u8>>)> {
    let (stat, file) = open(folder, path)?;
    if stat.size > most {
        return Err(Errno::FBIG.into());
    }
    Ok((stat, whole(file, stat.size)?))
}

fn open(folder: BorrowedFd<'_>, path: &OsStr) -> io::Result<(FileStat, File)> {
    // A FIFO without a writer must not stop us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = open_below(folder, path, flags)?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL.into());
    }
    Ok((FileStat::of(&stat), File::from(fd)))
}

/// The first `size` bytes; fewer if it became shorter meanwhile.
fn whole(mut file: File, size: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = usize::try_from(size).map_err(|_| Errno::FBIG)?;
    // As long as it will be: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; size]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Opens a path of several names below `folder`, following no link.
pub(super) fn open_below(folder: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> io::Result<std::os::fd::OwnedFd> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(folder, path, flags, Mode::empty(), how) {
        // Kernels before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(folder, path, flags),
        opened => Ok(opened?),
    }
}

fn step_by_step(folder: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> io::Result<std::os::fd::OwnedFd> {
    let path = std::path::Path::new(path);
    let mut here = rustix::io::fcntl_dupfd_cloexec(folder, 0)?;
    for name in path.parent().into_iter().flat_map(|parent| parent.components()) {
        here = rustix::fs::openat(&here, name.as_os_str(), super::walk::PLACE, Mode::empty())?;
    }
    let name = path.file_name().ok_or(Errno::INVAL)?;
    Ok(rustix::fs::openat(&here, name, flags | OFlags::NOFOLLOW, Mode::empty())?)
}
