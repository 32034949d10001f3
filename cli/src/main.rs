//! `bulla`: seal secrets before a commit, change them in place, look at them and open them.
//!
//! One file a verb in [`commands`]; no cryptography here. Exit codes: 0 done, 1 refused or findings, 2 usage or
//! environment.

mod args;
mod cluster;
mod commands;
mod document;
mod external;
mod failure;
mod identities;
mod input;
mod keys;
mod leaks;
mod memory;
mod objects;
mod output;
mod recipients;
mod repository;
mod sealing;
mod secret_manifest;
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
