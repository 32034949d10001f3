//! What it takes to run SealedSecrets in production, beside the upstream controller.
//!
//! `cargo bench --bench production` prints tables for `benches/RESULTS.md` and writes nothing: the start among other
//! people's Secrets, failover, kubeseal's re-encryption, sizes. See `benches/README.md` for what the columns mean.

#![allow(missing_docs, reason = "a program")]

#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../shared/mod.rs"]
mod shared;

#[path = "../shared/cluster/mod.rs"]
mod cluster;

#[path = "../sync/keys.rs"]
mod keys;

#[path = "../sync/objects.rs"]
mod objects;

mod arguments;
mod failover;
mod rotate;
mod size;
mod start;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use self::arguments::{Arguments, Phase};
use self::shared::machine;
use self::shared::table::render;
use self::support::servers;

/// What a phase has to show: its table, and the lines of its targets.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) targets: Vec<Vec<String>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench production");
        return Ok(ExitCode::SUCCESS);
    }
    let programs = ["kube-apiserver", "etcd", "sealed-secrets-controller"].map(servers::path);
    let programs: Vec<_> = programs.iter().map(|path| (path.as_path(), "--version")).collect();
    shared::report(&machine::describe(&programs))?;
    let (mut targets, mut failures) = (Vec::new(), 0);
    for phase in Phase::ALL.into_iter().filter(|phase| arguments.wants(*phase)) {
        let began = Instant::now();
        shared::progress(phase.label());
        let shown = match phase {
            Phase::Start => start::measure(&arguments).await,
            Phase::Failover => failover::measure(&arguments).await,
            Phase::Rotate => rotate::measure(&arguments).await,
            Phase::Size => size::measure(),
        };
        match shown {
            Ok(shown) => {
                shared::report(&shown.text)?;
                targets.extend(shown.targets);
                shared::progress(&format!("  done in {:.0} s", began.elapsed().as_secs_f64()));
            }
            // One that fails is noted, and the others go on.
            Err(error) => {
                failures += 1;
                shared::report(&format!("FAILED: {}: {error:#}\n", phase.label()))?;
            }
        }
    }
    if !targets.is_empty() {
        shared::report(&render(&["target", "measured", "wanted", "met"], &targets))?;
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
