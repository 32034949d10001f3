//! One SealedSecret: open, render, plan, write, report.
//!
//! [`reconcile()`] does it once and says what came of it; when to do it is the dispatcher's business.

mod desired;
mod dispatch;
mod error;
mod orphan;
mod reconcile;
mod said;
mod status;

use std::collections::BTreeMap;

/// How SealedSecrets are served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SealedConfig {
    /// Serve only the SealedSecrets that this label selector finds.
    pub selector: Option<String>,
    /// Labels for every Secret that a SealedSecret owns; what its template says wins. One that is dropped from here goes
    /// from a Secret when that is next written.
    pub labels: BTreeMap<String, String>,
    /// Whether status is written. Without it nothing is remembered over a restart, and every object is opened again.
    pub writes_status: bool,
    /// Whether Secrets are watched, to put back what is edited or deleted by hand.
    pub watches_targets: bool,
    /// Whether `spec.data`, the deprecated form, is opened.
    pub opens_whole_secrets: bool,
    /// Whether the Secret of a deleted SealedSecret is deleted here rather than by Kubernetes' garbage collector.
    pub deletes_targets: bool,
}

impl Default for SealedConfig {
    fn default() -> Self {
        Self {
            selector: None,
            labels: BTreeMap::new(),
            writes_status: true,
            watches_targets: true,
            opens_whole_secrets: true,
            deletes_targets: false,
        }
    }
}

pub(super) use dispatch::{Dispatcher, Setup};
use error::SyncError;
pub(super) use reconcile::Context;
pub(super) use said::Said;
