//! `bulla reseal`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ResealArguments {}
