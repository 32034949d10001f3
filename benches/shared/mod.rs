//! What the benchmarks that are programs of their own print alike: where they ran, and tables.

// Each benchmark uses a part of it.
#![allow(dead_code, reason = "compiled into each benchmark, which uses a part")]

pub(crate) mod machine;
pub(crate) mod table;

use std::io::Write as _;

/// Prints to standard output: the report, which can be pasted into `RESULTS.md`.
pub(crate) fn report(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints to standard error: what is going on.
pub(crate) fn progress(text: &str) {
    // A terminal that is gone is no reason to stop measuring.
    writeln!(std::io::stderr().lock(), "{text}").ok();
}
