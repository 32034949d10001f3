//! How long it takes to bring a cluster's ExternalSecrets into sync, and what it costs, with a real API server, a real
//! moto and a real Vault.
//!
//! `cargo bench --bench external` prints tables for `benches/RESULTS.md` and writes nothing. Times and calls to the API
//! server come from its audit log, calls to providers from the controller's own metrics, and beside them stands what
//! the provider's server counted. See `benches/README.md` for what the columns mean.

#![allow(missing_docs, reason = "a program")]

#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../shared/mod.rs"]
mod shared;

#[path = "../shared/cluster/mod.rs"]
mod cluster;

mod arguments;
mod floor;
mod objects;
mod phases;
mod report;
mod source;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use self::arguments::{Arguments, SCENARIOS, Scenario};
use self::report::Results;
use self::source::Source;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench external");
        return Ok(ExitCode::SUCCESS);
    }
    // First, while the machine is still quiet.
    let head = report::head();
    let mut results = Results::default();
    for scenario in SCENARIOS.into_iter().filter(|scenario| arguments.wants(*scenario)) {
        let (began, count) = (Instant::now(), arguments.size(scenario));
        shared::progress(&format!("{}, {count} objects", scenario.label()));
        match measure(scenario, &arguments, &mut results).await {
            Ok(()) => shared::progress(&format!("  done in {:.0} s", began.elapsed().as_secs_f64())),
            Err(error) => {
                shared::progress(&format!("  failed: {error:#}"));
                results.failures.push((scenario, format!("{error:#}")));
            }
        }
    }
    print(&results, &head)?;
    Ok(if results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(scenario: Scenario, arguments: &Arguments, results: &mut Results) -> anyhow::Result<()> {
    let count = arguments.size(scenario);
    let source = Source::of(scenario, count).await?;
    if !arguments.no_floor {
        let floor = floor::run(scenario, count, &source).await?;
        shared::progress(&format!("  floor: {:.2} s", floor.both.as_secs_f64()));
        results.floors.push((scenario, count, floor));
    }
    phases::run(scenario, arguments, &source, &mut results.runs).await
}

fn print(results: &Results, head: &str) -> anyhow::Result<()> {
    shared::report(head)?;
    shared::report(&results.phases())?;
    shared::report(&results.targets())?;
    shared::report(&results.requests())?;
    for (scenario, error) in &results.failures {
        shared::report(&format!("FAILED: {}: {error}", scenario.label()))?;
    }
    Ok(())
}
