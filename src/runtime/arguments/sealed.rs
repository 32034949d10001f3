//! How SealedSecrets are served.

use clap::Args;

use crate::controllers::SealedConfig;

/// Flags for SealedSecrets.
#[derive(Debug, Args)]
pub struct SealedArguments {}

impl SealedArguments {
    pub(super) fn config(&self) -> SealedConfig {
        SealedConfig::default()
    }
}
