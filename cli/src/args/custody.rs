//! `bulla keys import`, `export`, `backup` and `restore`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {}
