//! Service managers: a real systemd, started for the test in a machine of its own; runit and OpenRC; and what else reads
//! what the agent installs: cron, Podman's generator.

#[cfg(feature = "kubernetes")]
mod cron;
pub(crate) mod machine;
#[cfg(feature = "kubernetes")]
mod quadlet;
#[cfg(feature = "kubernetes")]
mod supervised;
mod systemd;
#[cfg(feature = "kubernetes")]
mod user;
