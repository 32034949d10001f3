//! More than one replica.

use clap::Args;

/// Flags for replicas.
#[derive(Debug, Args)]
pub struct AvailabilityArguments {}
