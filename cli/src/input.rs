//! Where values and manifests come from: files, standard input, a prompt. Never the command line.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use bulla::secret::Plaintext;
use zeroize::{Zeroize as _, Zeroizing};

use crate::failure::{Outcome, refuse, usage};

/// The longest manifest that is read, in bytes. Kubernetes takes 3 MiB in one request.
pub(crate) const MAX_MANIFEST: u64 = 16 << 20;

/// Reads a whole manifest; `-` is standard input.
pub(crate) fn manifest(path: &Path) -> Outcome<Zeroizing<String>> {
    text(whole(path)?, path)
}

/// Reads a whole file that need not be text, as long as a manifest may be; `-` is standard input.
pub(crate) fn whole(path: &Path) -> Outcome<Zeroizing<Vec<u8>>> {
    if path == Path::new("-") {
        if io::stdin().is_terminal() {
            crate::output::note("reading a file from the terminal; end it with Ctrl-D");
        }
        return bounded(io::stdin().lock(), MAX_MANIFEST, PIPED, "standard input");
    }
    opened(path, MAX_MANIFEST)
}

/// Reads the value of `key`, from a file as it is or, without one, from standard input or a prompt.
///
/// What is piped in is taken byte for byte, except for one line end at the very end when it is text of a single line:
/// that one comes from `echo`, and sealing it is the best known mistake in this trade.
pub(crate) fn value(key: &str, file: Option<&Path>) -> Outcome<Plaintext> {
    let limit = bulla::seal::MAX_VALUE as u64;
    if let Some(path) = file.filter(|path| *path != Path::new("-")) {
        let bytes = opened(path, limit)?;
        return Ok(Plaintext::from_guarded(bytes));
    }
    if io::stdin().is_terminal() {
        let typed = rpassword::prompt_password(format!("value of {key} (not shown): "))?;
        return not_empty(Plaintext::from(typed), key);
    }
    let mut bytes = bounded(io::stdin().lock(), limit, PIPED, "standard input")?;
    trim_echo(&mut bytes);
    not_empty(Plaintext::from_guarded(bytes), key)
}

/// An empty pipe is a command before it that failed, not a value.
fn not_empty(value: Plaintext, key: &str) -> Outcome<Plaintext> {
    if value.is_empty() {
        return Err(refuse!(
            "no value for {key} came in: did the command before the pipe fail? (an empty value on purpose: --from-file with an empty file)"
        ));
    }
    Ok(value)
}

fn trim_echo(bytes: &mut Zeroizing<Vec<u8>>) {
    let one_line = bytes.iter().filter(|byte| **byte == b'\n').count() == 1;
    if one_line && bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}

fn open(path: &Path) -> Outcome<File> {
    File::open(path).map_err(|error| usage!("opening {}: {error}", path.display()))
}

/// Reads at most `limit` bytes into a buffer that is wiped, also where it had to grow.
fn bounded(mut source: impl io::Read, limit: u64, expected: u64, name: &str) -> Outcome<Zeroizing<Vec<u8>>> {
    // One byte more than is expected: a file that has not grown is read without a second buffer.
    let expected = usize::try_from(expected.min(limit)).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(vec![0; expected]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            let mut larger = vec![0; bytes.len() * 2];
            larger[..filled].copy_from_slice(&bytes);
            bytes.zeroize();
            *bytes = larger;
        }
        let read = source.read(&mut bytes[filled..]).map_err(|error| usage!("reading {name}: {error}"))?;
        if read == 0 {
            bytes.truncate(filled);
            return Ok(bytes);
        }
        filled += read;
        if filled as u64 > limit {
            return Err(refuse!("{name} has more than {limit} bytes"));
        }
    }
}

/// What is expected of a pipe.
const PIPED: u64 = 64 * 1024;

/// Reads a file of at most `limit` bytes.
fn opened(path: &Path, limit: u64) -> Outcome<Zeroizing<Vec<u8>>> {
    let file = open(path)?;
    let expected = file.metadata().map_or(PIPED, |metadata| metadata.len());
    bounded(file, limit, expected, &path.display().to_string())
}

/// The text that bytes are.
pub(crate) fn text(mut bytes: Zeroizing<Vec<u8>>, path: &Path) -> Outcome<Zeroizing<String>> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(refuse!("{} is not UTF-8 text", path.display()))
        }
    }
}
