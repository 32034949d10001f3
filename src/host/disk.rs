//! Small files and sockets of the agent's own. Files are written so that a reader, or a start after a power cut, sees the old one or the new.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Writes a small file beside its place and renames it over it; `is_durable` waits until it is on the disk.
///
/// # Errors
/// Of the file system; the old file is there then.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32, is_durable: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary: PathBuf = path.with_file_name(name);
    remove(&temporary)?;
    // It refuses to follow a link that somebody put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    if is_durable {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) if is_durable => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Listens at a path where only our own user may connect. A socket that is there is replaced: its agent is gone.
///
/// # Errors
/// Of the file system.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Nobody else can enter before the mode is set: made under another name, in a folder of our own.
    let folder = path.with_file_name(name);
    remove_folder(&folder)?;
    DirBuilder::new().mode(0o700).create(&folder)?;
    let hidden = folder.join("socket");
    let listener = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
    fs::rename(&hidden, path)?;
    fs::remove_dir(&folder)?;
    Ok(listener)
}

/// Removes a file; one that is not there is as good.
///
/// # Errors
/// Of the file system.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    gone(fs::remove_file(path))
}

/// Removes a folder with all that is in it; one that is not there is as good.
///
/// # Errors
/// Of the file system.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    gone(fs::remove_dir_all(path))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
