//! Where plaintext is while it is edited: files in memory, in a folder that nobody else may enter and that does not
//! outlive this program.
//!
//! Best is a file system of this process's own ([`isolate`]): no other process sees it, it is never swapped out, and
//! it is gone with the last process that is in it, however that ended. Editors that hand the file to a program
//! elsewhere cannot see it either, so for them it is a folder in memory that all processes share.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use zeroize::Zeroizing;

use super::keeper::Keeper;
use crate::failure::{OrFail as _, Outcome, usage};
use crate::{input, output};

const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
/// How the names of our folders begin.
const PREFIX: &str = "bulla-edit-";
/// How long a folder without an owner is left alone: one that is just being made has none yet.
const GRACE: std::time::Duration = std::time::Duration::from_secs(60);

/// Memory in which folders can be made.
pub(crate) struct Memory {
    root: PathBuf,
}

impl Memory {
    /// Finds memory, of this process's own if it may be. Before any thread: only a process of one thread can leave the
    /// name spaces that it shares. `visible` are the paths that must stay as they are.
    ///
    /// # Errors
    /// There is nothing but disks.
    pub(crate) fn find(may_isolate: bool, visible: &[&Path]) -> Outcome<Self> {
        if may_isolate && let Some(root) = isolate(visible) {
            return Ok(Self { root });
        }
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let shared = runtime.into_iter().chain([PathBuf::from("/dev/shm")]);
        let Some(root) = shared.into_iter().find(|root| is_memory(root) && is_writable(root)) else {
            return Err(usage!(
                "no storage in memory: neither $XDG_RUNTIME_DIR nor /dev/shm is a tmpfs that can be written, and plaintext is not written to a disk. Mount one, or change single values with `bulla set`"
            ));
        };
        if let Some(device) = swap() {
            output::note(&format!(
                "note: swap is on ({device}) and not encrypted: what is edited may be written to it"
            ));
        }
        sweep(&root);
        Ok(Self { root })
    }

    /// Makes a folder, watched from its first moment on.
    pub(crate) fn folder(&self) -> Outcome<Folder> {
        let failed = || format!("making a folder in {}", self.root.display());
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&self.root)
            .or_usage(failed())?;
        // Whoever holds the lock owns it: see `sweep`.
        let lock = File::open(folder.path()).or_usage(failed())?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).or_usage(failed())?;
        let keeper = Keeper::start(folder.path())?;
        Ok(Folder { path: folder.keep(), keeper, lock })
    }
}

/// A folder for one edit. Dropped, it is gone, with what is in it.
pub(crate) struct Folder {
    path: PathBuf,
    keeper: Keeper,
    #[expect(dead_code, reason = "held, not read")]
    lock: File,
}

impl Folder {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What watches over it.
    pub(crate) const fn keeper(&mut self) -> &mut Keeper {
        &mut self.keeper
    }

    /// Writes a file that only the owner may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.path.join(name);
        // What an editor left under that name may be anything by now.
        fs::remove_file(&path)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes()).or_usage(format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Reads a file back.
    pub(crate) fn read(&self, name: &str) -> Outcome<Zeroizing<String>> {
        input::manifest(&self.path.join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        wipe(&self.path);
        self.keeper.end();
    }
}

/// Whether a folder is one of ours, by its name.
pub(super) fn is_ours(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

/// Overwrites and removes a folder with all that is in it. What cannot be removed is left empty.
pub(super) fn wipe(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => wipe(&path),
            Ok(kind) if kind.is_file() => {
                overwrite(&path).unwrap_or_default();
                fs::remove_file(&path).unwrap_or_default();
            }
            Ok(_) | Err(_) => fs::remove_file(&path).unwrap_or_default(),
        }
    }
    fs::remove_dir(folder).unwrap_or_default();
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.set_len(0)
}

/// Removes folders of ours that have lost their owner and what watched over them: somebody killed both.
fn sweep(root: &Path) {
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let is_left = is_ours(&entry.path())
            && entry.metadata().is_ok_and(|data| {
                let is_old = data.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > GRACE));
                data.is_dir() && data.uid() == user && is_old
            });
        if is_left
            && let Ok(folder) = File::open(entry.path())
            && rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            wipe(&entry.path());
        }
    }
}

/// Whether what is written there is in memory only.
pub(crate) fn is_memory(path: &Path) -> bool {
    #[expect(clippy::cast_sign_loss, reason = "a magic number")]
    rustix::fs::statfs(path).is_ok_and(|system| [TMPFS, RAMFS].contains(&(system.f_type as u64)))
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

/// The first swap device that is neither memory itself nor encrypted.
fn swap() -> Option<String> {
    let swaps = fs::read_to_string("/proc/swaps").ok()?;
    let device = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).find(|device| {
        let name = Path::new(device).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mapped = fs::read_to_string(format!("/sys/class/block/{name}/dm/uuid")).unwrap_or_default();
        !name.starts_with("zram") && !mapped.starts_with("CRYPT-")
    });
    device.map(str::to_owned)
}

/// Gives this process a file system in memory of its own, and says where it is; `None` where the system does not allow it.
fn isolate(visible: &[&Path]) -> Option<PathBuf> {
    let hides = |root: &Path| visible.iter().any(|path| path.starts_with(root));
    // Something is mounted over a folder that every system has and an editor has no use for.
    let root = ["/dev/shm", "/mnt", "/media", "/srv"]
        .map(PathBuf::from)
        .into_iter()
        .find(|root| root.is_dir() && !hides(root))?;
    leave_shared_mounts().ok()?;
    // Nothing that is mounted from here on is seen elsewhere.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).ok()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // ramfs is never swapped out, tmpfs may be.
    rustix::mount::mount("ramfs", &root, "ramfs", flags, c"mode=0700").ok()?;
    (is_memory(&root) && is_writable(&root)).then_some(root)
}

/// A name space of mounts for this process; whoever is not root needs one of users for it.
fn leave_shared_mounts() -> io::Result<()> {
    #[expect(deprecated, reason = "unsound only with FILES, which is not asked for")]
    let unshare = rustix::thread::unshare;
    if unshare(UnshareFlags::NEWNS).is_ok() {
        return Ok(());
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    // The same user and group as before, so that files are what they were.
    let say = |file: &str, text: String| OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes());
    say("/proc/self/setgroups", "deny".to_owned())?;
    say("/proc/self/uid_map", format!("{user} {user} 1"))?;
    say("/proc/self/gid_map", format!("{group} {group} 1"))
}
