//! The controller's process.

use std::thread::available_parallelism;

use anyhow::Context as _;
use bulla::runtime::{self, Arguments};
use tokio::runtime::Builder;

/// More threads than this only cost memory: the API server is what is waited for.
const THREADS: usize = 4;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::of_process();
    let threads = available_parallelism().map_or(THREADS, usize::from).clamp(2, THREADS);
    let tokio = Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(threads)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    tokio.block_on(runtime::run(arguments)).context("bulla-controller")
}
