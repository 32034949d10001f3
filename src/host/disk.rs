//! Small files of the agent's own, written so that a reader, or a start after a power cut, sees the old one or the new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a small file beside its place and renames it over it; `is_durable` waits until it is on the disk.
///
/// # Errors
/// Of the file system; the old file is there then.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32, is_durable: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary: PathBuf = path.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
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
