//! A repository is followed by the real git, over every transport and against every trick.

mod bundles;
mod history;
mod hostile;
pub(crate) mod http;
mod origin;
mod signatures;
mod ssh;
mod survival;
mod transports;
mod trees;
