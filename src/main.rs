//! The controller's process.

use anyhow::Context as _;
use bulla::runtime::{self, Arguments};
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::run(Arguments::parse()).await.context("bulla-controller")
}
