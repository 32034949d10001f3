//! `bulla`: seal secrets before a commit, change them in place, look at them and open them.
//!
//! One file a verb in [`commands`]; no cryptography here. Exit codes: 0 done, 1 refused or findings, 2 usage or
//! environment.

mod actions;
mod args;
mod audit;
mod cluster;
mod commands;
mod custody;
mod document;
mod drill;
mod editing;
mod external;
mod failure;
mod files;
mod findings;
mod git;
mod identities;
mod input;
mod keys;
mod leaks;
mod memory;
mod merge;
mod objects;
mod outline;
mod output;
mod recipients;
mod repository;
mod reseal;
mod rotation;
mod scan;
mod sealing;
mod secret_manifest;
mod utf16;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // No core dump of plaintext or of a private key. Where it cannot be said, there is nothing better to do.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none).unwrap_or_default();
    let arguments = args::Arguments::parse_from(args::as_typed());
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
