//! How long it takes to bring a cluster's SealedSecrets into sync, on a real API server.
//!
//! `cargo bench --bench sync` prints tables for `benches/RESULTS.md` and writes nothing. Every phase has an API server
//! of its own, filled before anything is timed; times and calls come from that server's audit log, so that
//! measuring costs it next to nothing. See `benches/README.md` for what the columns mean.

#![allow(missing_docs, reason = "a program")]

#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../shared/mod.rs"]
mod shared;

#[path = "../shared/cluster/mod.rs"]
mod cluster;

mod arguments;
mod controllers;
mod floor;
mod keys;
mod objects;
mod report;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use self::arguments::{Arguments, Phase};
use self::keys::SealingKey;
use self::report::Results;

/// The phases that are repeated.
const REPEATED: [Phase; 4] = [Phase::Floor, Phase::Hybrid, Phase::X25519, Phase::Rsa];
/// The flag that takes the upstream controller's own limit of 5 requests a second off.
const NO_LIMIT: &[&str] = &["--kubeclient-qps=-1"];

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench sync");
        return Ok(ExitCode::SUCCESS);
    }
    // First, while the machine is still quiet.
    let head = report::head();
    let mut bench = Bench { keys: Keys::make()?, results: Results::default(), arguments };
    for round in 0..bench.arguments.rounds.max(1) {
        shared::progress(&format!("round {}", round + 1));
        for phase in REPEATED {
            bench.measure(phase).await;
        }
    }
    for phase in [Phase::UpstreamUnlimited, Phase::UpstreamDefault, Phase::Restart] {
        bench.measure(phase).await;
    }
    bench.print(&head)?;
    Ok(if bench.results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Bench {
    arguments: Arguments,
    keys: Keys,
    results: Results,
}

struct Keys {
    hybrid: SealingKey,
    x25519: SealingKey,
    rsa: SealingKey,
}

impl Keys {
    fn make() -> anyhow::Result<Self> {
        Ok(Self { hybrid: keys::native(true)?, x25519: keys::native(false)?, rsa: keys::rsa()? })
    }
}

impl Bench {
    /// Runs a phase if it is wanted. One that fails is noted, and the others go on.
    async fn measure(&mut self, phase: Phase) {
        if !self.arguments.wants(phase) {
            return;
        }
        let began = Instant::now();
        shared::progress(&format!("{}, {} objects", phase.label(), self.arguments.size(phase)));
        match self.run(phase).await {
            Ok(()) => shared::progress(&format!("  done in {:.0} s", began.elapsed().as_secs_f64())),
            Err(error) => {
                shared::progress(&format!("  failed: {error:#}"));
                self.results.failures.push((phase, format!("{error:#}")));
            }
        }
    }

    async fn run(&mut self, phase: Phase) -> anyhow::Result<()> {
        let (count, flags, keys) = (self.arguments.size(phase), &self.arguments.controller_arguments, &self.keys);
        let run = match phase {
            Phase::Floor => {
                if self.results.width == 0 {
                    self.results.width = floor::best_width(&keys.hybrid.recipient).await?;
                }
                floor::run(count, self.results.width, &keys.hybrid.recipient).await?
            }
            Phase::Hybrid => controllers::bulla(count, &keys.hybrid, flags).await?,
            Phase::X25519 => controllers::bulla(count, &keys.x25519, flags).await?,
            Phase::Rsa => controllers::bulla(count, &keys.rsa, flags).await?,
            Phase::UpstreamUnlimited => controllers::upstream(count, &keys.rsa, NO_LIMIT).await?,
            Phase::UpstreamDefault => controllers::upstream(count, &keys.rsa, &[]).await?,
            Phase::Restart => {
                self.results.restart = Some(controllers::restart(count, &keys.hybrid, flags).await?);
                return Ok(());
            }
        };
        shared::progress(&format!("  {:.1} objects/s", run.rate()));
        self.results.runs.push((phase, run));
        Ok(())
    }

    fn print(&self, head: &str) -> anyhow::Result<()> {
        shared::report(head)?;
        if !self.results.runs.is_empty() || self.results.restart.is_some() {
            shared::report(&self.results.phases())?;
        }
        if let Some(restart) = self.results.restart() {
            shared::report(&restart)?;
        }
        shared::report(&self.results.targets())?;
        if !self.results.runs.is_empty() {
            shared::report(&self.results.requests())?;
        }
        for (phase, error) in &self.results.failures {
            shared::report(&format!("FAILED: {}: {error}", phase.label()))?;
        }
        Ok(())
    }
}
