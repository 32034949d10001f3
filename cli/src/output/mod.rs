//! The one door to the terminal: colours that respect `NO_COLOR`, and files written whole or not at all.

mod plain;
mod progress;
mod table;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::failure::{Failure, OrFail as _, Outcome};

pub(crate) use self::plain::plain;
pub(crate) use self::progress::Progress;
pub(crate) use self::table::{Cell, Column, Table, width};

/// Something went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something needs attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Something failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// A headline.
pub(crate) const HEAD: Style = Style::new().bold();
/// Less important text.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Characters of a key id or a commit where it is not to be mistaken but short; ids may be typed that short.
pub(crate) const SHORT: usize = 8;

/// The beginning of an id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// Prints to standard output, as it is.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = anstream::stdout().lock();
    read_or_not(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints to standard output and says whether anybody still reads: for what would go on for ever.
pub(crate) fn stream(text: &str) -> Outcome<bool> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}

/// Prints bytes to standard output, past anything that looks at colours: for values.
pub(crate) fn print_bytes(bytes: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    read_or_not(out.write_all(bytes).and_then(|()| out.flush()))
}

/// A reader that has seen enough and closed the pipe is no failure; what the command found out still counts.
fn read_or_not(written: io::Result<()>) -> Outcome {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints JSON for machines.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).or_usage("writing JSON")?;
    print(&format!("{text}\n"))
}

/// Says to a person, on standard error, what was done.
pub(crate) fn note(text: &str) {
    to_stderr(&format!("{text}\n"));
}

/// Says what failed.
pub(crate) fn error(text: &str) {
    to_stderr(&format!("{BAD}error:{BAD:#} {text}\n"));
}

/// Asks, on standard error; the answer is typed on the same line.
pub(crate) fn ask(text: &str) {
    to_stderr(text);
}

fn to_stderr(text: &str) {
    // If standard error is closed there is nobody left to tell.
    drop(anstream::stderr().lock().write_all(plain::said(text).as_bytes()));
}

/// Who may read a file that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody whom the umask allows; an existing file keeps its mode.
    Ordinary,
    /// The owner only, from the first byte: private keys.
    Private,
}

/// Writes a file whole or not at all: a temporary file beside it, flushed, then renamed over it. A symbolic link is
/// followed, so that the link stays and its target changes.
pub(crate) fn write_file(path: &Path, bytes: &[u8], access: Access) -> Outcome {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let failed = |error: io::Error| Failure::usage(error).at(format!("writing {}", path.display()));
    if fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        // A device or a pipe is written to, never replaced.
        return fs::OpenOptions::new()
            .write(true)
            .open(&target)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(failed);
    }
    let mode = match (access, fs::metadata(&target)) {
        (Access::Private, _) => 0o600,
        (Access::Ordinary, Ok(metadata)) => metadata.permissions().mode() & 0o7777,
        (Access::Ordinary, Err(_)) => 0o666 & !umask(),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".bulla-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Creates a private file that must not exist yet, whole or not at all.
pub(crate) fn create_private_file(path: &Path, bytes: &[u8]) -> Outcome {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let failed = |error: io::Error| Failure::usage(error).at(format!("writing {}", path.display()));
    let taken = |error: io::Error| {
        Failure::usage(error).at(format!("creating {} (an existing key is never overwritten)", path.display()))
    };
    let mut file = tempfile::Builder::new()
        .prefix(".bulla-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(taken)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| taken(error.error))?;
    Ok(())
}

/// The process's umask. The kernel tells it without its being set: other threads make files meanwhile. Where it does
/// not, files are for their owner alone.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("Umask:")?.trim(), 8).ok());
    mask.unwrap_or(0o077)
}
