//! `bulla rotate`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct RotationArguments {}
