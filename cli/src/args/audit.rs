//! `bulla keys audit`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct AuditArguments {}
