//! The controller's process.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use bulla::runtime::{self, Arguments, Command};
use tokio::runtime::Builder;

/// More threads than this only cost memory: the API server is what is waited for.
const THREADS: usize = 4;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::of_process();
    let tokio = match &arguments.command {
        #[cfg(feature = "kubernetes")]
        Command::Run(_) => {
            let threads = std::thread::available_parallelism().map_or(THREADS, usize::from).clamp(2, THREADS);
            Builder::new_multi_thread().worker_threads(threads).max_blocking_threads(threads).enable_all().build()
        }
        // An agent sleeps nearly always.
        #[cfg(feature = "host")]
        Command::Host(_) => Builder::new_current_thread().max_blocking_threads(THREADS).enable_all().build(),
    };
    let tokio = tokio.context("cannot start threads")?;
    match tokio.block_on(runtime::run(arguments)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let code = error.exit_code();
            // Logging may not have begun.
            writeln!(std::io::stderr(), "Error: bulla-controller: {:#}", anyhow::Error::from(error)).ok();
            Ok(code)
        }
    }
}
