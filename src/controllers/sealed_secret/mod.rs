//! One SealedSecret: open, render, plan, write, report.
//!
//! [`reconcile()`] does it once and says what came of it; when to do it is the dispatcher's business.

mod desired;
mod dispatch;
mod error;
mod reconcile;
mod status;

/// How SealedSecrets are served.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SealedConfig {
    /// Serve only the SealedSecrets that this label selector finds.
    pub selector: Option<String>,
}

pub(super) use dispatch::{Dispatcher, Setup};
use error::SyncError;
pub(super) use reconcile::Context;
