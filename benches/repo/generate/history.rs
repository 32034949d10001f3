//! A Git history of many commits, as one real repository with everything in it comes to have.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use bulla::seal::Recipient;
use jiff::civil::Date;
use rayon::prelude::*;

use super::keys::{Key, Kind};
use super::plants::Plant;
use super::years::{Body, Commit, Years};

/// What a history is to hold.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    pub(crate) commits: usize,
    /// Planted secrets of each class.
    pub(crate) plants: usize,
    pub(crate) seed: u64,
}

/// What one holds.
pub(crate) struct History {
    /// What was planted, except what the whole history has no room for.
    pub(crate) plants: Vec<Plant>,
    /// Bytes of all versions of all files together.
    pub(crate) bytes: u64,
    /// Versions of all files together.
    pub(crate) versions: usize,
}

/// Commits that are planned, and sealed in parallel, at a time.
const BATCH: usize = 200;
/// When it all began: 2022-01-03, a Monday.
const BEGAN: usize = 1_641_200_400;
/// Between two commits, in seconds.
const PACE: usize = 5 * 3600;
/// The branch that goes half of the way, for a clone of half of the history.
pub(crate) const HALF: &str = "half";

/// Writes a history to `folder`, a repository of its own with its last state checked out, packed as a clone is.
pub(crate) fn write(folder: &Path, length: Length, today: Date) -> anyhow::Result<History> {
    std::fs::create_dir_all(folder)?;
    git(folder, &["init", "--quiet", "--initial-branch", "main"])?;
    let recipients = [Kind::Hybrid, Kind::X25519, Kind::Rsa].map(|kind| Key::generate(kind).map(|key| key.recipient));
    let recipients = recipients.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let mut years = Years::new(length)?;
    let mut importer = Command::new("git")
        .args(["-c", "core.compression=1", "fast-import", "--quiet", "--done"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("starting git fast-import")?;
    let mut stream = Stream {
        out: BufWriter::new(importer.stdin.take().context("a pipe to git fast-import")?),
        bytes: 0,
        versions: 0,
    };
    let mut number = 0;
    while number < length.commits {
        let batch: Vec<Commit> = (number..length.commits.min(number + BATCH)).map(|at| years.commit(at)).collect();
        number += batch.len();
        let batch = batch.into_par_iter().map(|commit| seal(commit, &recipients, today));
        for commit in batch.collect::<anyhow::Result<Vec<_>>>()? {
            stream.commit(&commit)?;
        }
        if stream.half_is_due(number, length.commits) {
            writeln!(stream.out, "reset refs/heads/{HALF}\nfrom :{}\n", years.tip())?;
        }
    }
    stream.out.write_all(b"done\n")?;
    let (bytes, versions) = (stream.bytes, stream.versions);
    drop(stream);
    ensure!(importer.wait()?.success(), "git fast-import failed");
    git(folder, &["repack", "-adf", "--quiet"])?;
    git(folder, &["reset", "--hard", "--quiet", "main"])?;
    Ok(History { plants: years.into_plants(), bytes, versions })
}

/// Clones the first half of a history.
pub(crate) fn halve(whole: &Path, half: &Path) -> anyhow::Result<()> {
    let (whole, half) = (whole.to_string_lossy(), half.to_string_lossy());
    git(Path::new("."), &["clone", "--quiet", "--no-local", "--single-branch", "--branch", HALF, &whole, &half])
}

/// Runs git, with nothing of the user's configuration, to its end.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").stdin(Stdio::null());
    let status = command.env("GIT_CONFIG_NOSYSTEM", "1").status().context("starting git")?;
    ensure!(status.success(), "git {} ended with {status}", arguments.join(" "));
    Ok(())
}

/// Puts the text of SealedSecrets where their files are still to be sealed.
fn seal(mut commit: Commit, recipients: &[Recipient], today: Date) -> anyhow::Result<Commit> {
    for (path, body) in &mut commit.changes {
        if let Body::Sealed(file) = body {
            // Every file keeps to one kind of key: half of them hybrid.
            let kind = [0, 0, 1, 2][path.len() % 4];
            let text = file.render(&recipients[kind..=kind], today)?;
            *body = Body::Text(text);
        }
    }
    Ok(commit)
}

/// What git fast-import reads.
struct Stream<W: Write> {
    out: W,
    bytes: u64,
    versions: usize,
}

impl<W: Write> Stream<W> {
    fn commit(&mut self, commit: &Commit) -> std::io::Result<()> {
        let Commit { mark, branch, parent, merged, message, changes } = commit;
        let when = BEGAN + mark * PACE;
        let who = ["Ada Lovelace <ada@example.org>", "Grace Hopper <grace@example.org>", "bot <bot@example.org>"];
        let who = who[mark % who.len()];
        writeln!(self.out, "commit refs/heads/{branch}\nmark :{mark}")?;
        writeln!(self.out, "author {who} {when} +0000\ncommitter {who} {when} +0000")?;
        writeln!(self.out, "data {}\n{message}", message.len())?;
        if let Some(parent) = parent {
            writeln!(self.out, "from :{parent}")?;
        }
        if let Some(merged) = merged {
            writeln!(self.out, "merge :{merged}")?;
        }
        for (path, body) in changes {
            let bytes = match body {
                Body::Text(text) => text.as_bytes(),
                Body::Bytes(bytes) => bytes,
                Body::Gone => {
                    writeln!(self.out, "D {path}")?;
                    continue;
                }
                Body::Sealed(_) => continue,
            };
            writeln!(self.out, "M 100644 inline {path}\ndata {}", bytes.len())?;
            self.out.write_all(bytes)?;
            writeln!(self.out)?;
            // What a merge brings in has been there before.
            if merged.is_none() {
                self.bytes += bytes.len() as u64;
                self.versions += 1;
            }
        }
        writeln!(self.out)
    }

    /// Whether the batch that ended at `number` was the one in the middle.
    fn half_is_due(&self, number: usize, commits: usize) -> bool {
        let middle = commits.div_ceil(2);
        number >= middle && number - middle < BATCH
    }
}
