//! `bulla git`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum GitVerb {
    /// Have Git of this clone check commits, show sealed changes and merge sealed values by key
    Install(InstallArguments),
}

#[derive(Debug, Args)]
pub(crate) struct InstallArguments {}
