//! Sealing the values of a repository again that are not sealed to whom they should be.
//!
//! | module | what it is |
//! | --- | --- |
//! | `controller` | values sealed again by the controller of a cluster |
//! | `goal` | whom the values of a file are to be sealed to |
//! | `file` | one file: looked at, sealed again, written whole |
//! | `task` | one value that may have to be sealed again |
//! | `report` | what was done |
//!
//! The rules are [`bulla::seal::Reseal`]'s, the same that the controller follows. What is here is files: each is read,
//! changed at the bytes of its stale values and nowhere else, and written whole or not at all; a value or a file that
//! fails is reported, and the others go on. A second run finds nothing to do.

mod controller;
mod file;
mod goal;
mod report;
mod task;

use std::collections::HashSet;
use std::path::PathBuf;

use bulla::seal::Keyring;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

pub(crate) use self::controller::{Controller, newest};
pub(crate) use self::goal::Wanted;
pub(crate) use self::report::{FileReport, Report};

use crate::failure::{OrFail as _, Outcome};
use crate::files::Files;
use crate::output::Progress;

/// What is to be sealed again, to whom, and how.
pub(crate) struct Plan {
    /// Files and folders.
    pub(crate) paths: Vec<PathBuf>,
    /// Globs of files to leave out.
    pub(crate) exclude: Vec<String>,
    /// Namespace of manifests that name none, where `.bulla.yaml` does not say it either.
    pub(crate) namespace: Option<String>,
    /// Whom values are to be sealed to.
    pub(crate) wanted: Wanted,
    /// Who opens them.
    pub(crate) way: Way,
    /// What happens to the files.
    pub(crate) mode: Mode,
}

/// Who opens the values.
pub(crate) enum Way {
    /// We, with private keys. Later ones are newer.
    Identities(Keyring),
    /// The controller of a cluster.
    Controller(Box<Controller>),
    /// Nobody: only what values say about themselves is looked at.
    Outside,
}

/// What happens to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are written.
    Write,
    /// Everything is done but writing them.
    DryRun,
    /// Stale values are counted.
    Check,
}

/// Does it. Failures of single values and files are in the report; an error is what keeps the whole from being done.
///
/// # Errors
/// A path that does not exist, or a folder that cannot be read.
pub(crate) fn run(plan: &Plan, progress: &Progress) -> Outcome<Report> {
    plan.wanted.check()?;
    let listed = Files::without(&plan.exclude)?;
    let mut files = Vec::new();
    // A file that is named twice, or by a link, is changed once.
    let mut seen = HashSet::new();
    for path in &plan.paths {
        let found = listed.of(path)?.into_iter();
        files.extend(found.filter(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone()))));
    }
    progress.set_length(files.len() as u64);
    let run = file::Run { plan, goals: goal::Goals::new(&plan.wanted), nobody: Keyring::new(), today: today() };
    let look = |file: &PathBuf| {
        let looked = run.file(file);
        progress.add(1);
        looked
    };
    let reports: Vec<FileReport> = threads()?.install(|| files.par_iter().filter_map(look).collect());
    progress.done();
    // What was done until then is done; a second run goes on.
    if let Way::Controller(controller) = &plan.way
        && let Some(failure) = controller.broken()
    {
        return Err(failure);
    }
    Ok(Report::of(plan.mode, reports))
}

/// Every file is flushed to the disk before it takes the place of the old one: while some threads wait for that, others
/// seal.
fn threads() -> Outcome<ThreadPool> {
    const A_CORE: usize = 4;
    const MOST: usize = 64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ThreadPoolBuilder::new().num_threads((cores * A_CORE).min(MOST)).build().or_usage("starting threads")
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
