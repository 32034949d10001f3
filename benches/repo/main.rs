//! What a repository of 10,000 values costs to check, to seal again and to audit, and a long history to scan.
//!
//! `cargo bench --bench repo` prints tables for `benches/RESULTS.md` and writes nothing but what it measures on, to a
//! temporary folder. See `benches/README.md` for what the columns mean.

#![allow(missing_docs, reason = "a program")]

#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../shared/mod.rs"]
mod shared;

mod arguments;
mod floors;
mod generate;
mod launch;
mod scans;
mod score;
mod sealed;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use self::arguments::{Arguments, Phase};
use self::shared::machine;
use self::shared::table::{render, target};
use self::support::servers;

/// What is measured.
pub(crate) const BULLA: &str = env!("CARGO_BIN_EXE_bulla");
/// How much more memory than for half of the work may be taken for all of it, in MiB: the list of the files themselves.
const GROWTH: f64 = 10.0;

/// What a part has to show: its tables, and the lines of its targets.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) targets: Vec<Vec<String>>,
}

/// The target for memory: it does not grow with the repository.
pub(crate) fn flat(what: &str, half: f64, whole: f64) -> Vec<String> {
    let measured = format!("{half:.1} and {whole:.1} MiB");
    let wanted = format!("at most {GROWTH} MiB more");
    target(&format!("{what}, memory for half and for all of it"), measured, wanted, whole - half <= GROWTH)
}

fn main() -> anyhow::Result<ExitCode> {
    if launch::is_launched()? {
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench repo");
        return Ok(ExitCode::SUCCESS);
    }
    let programs = [(Path::new(BULLA), "--version"), (Path::new("git"), "--version")];
    let gitleaks = (arguments.gitleaks_limit > 0).then(|| servers::path("gitleaks"));
    let peers = gitleaks.iter().map(|path| (path.as_path(), "version"));
    shared::report(&machine::describe(&programs.into_iter().chain(peers).collect::<Vec<_>>()))?;
    let temporary = tempfile::tempdir()?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    type Part = fn(&Arguments, &Path, jiff::civil::Date) -> anyhow::Result<Shown>;
    let parts: [(&str, &[Phase], Part); 2] = [
        ("the repository", &[Phase::Verify, Phase::Audit, Phase::Reseal], sealed::measure),
        ("the history", &[Phase::History, Phase::Tree], scans::measure),
    ];
    let (mut targets, mut failures) = (Vec::new(), 0);
    for (label, phases, measure) in parts {
        if !phases.iter().any(|phase| arguments.wants(*phase)) {
            continue;
        }
        let began = Instant::now();
        shared::progress(label);
        match measure(&arguments, &folder, today) {
            Ok(shown) => {
                shared::report(&shown.text)?;
                targets.extend(shown.targets);
                shared::progress(&format!("  done in {:.0} s", began.elapsed().as_secs_f64()));
            }
            // One that fails is noted, and the other goes on.
            Err(error) => {
                failures += 1;
                shared::report(&format!("FAILED: {label}: {error:#}\n"))?;
            }
        }
    }
    if !targets.is_empty() {
        shared::report(&render(&["target", "measured", "wanted", "met"], &targets))?;
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
