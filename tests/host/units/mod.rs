//! Service managers: a real systemd, started for the test in a machine of its own.

pub(crate) mod machine;
mod systemd;
