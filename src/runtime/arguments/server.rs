//! Where the controller listens, and what it answers.

use std::net::SocketAddr;

use clap::Args;

/// Flags for the HTTP servers.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// Where to serve health, metrics and public keys.
    #[arg(long, env = "BULLA_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
}
