//! How sealing keys are made, renewed and stored.

use clap::Args;

use crate::controllers::KeyConfig;

/// Flags for sealing keys.
#[derive(Debug, Args)]
pub struct KeyArguments {}

impl KeyArguments {
    pub(super) fn config(&self) -> KeyConfig {
        KeyConfig::default()
    }
}
