//! One SealedSecret: open, render, plan, write, report.
//!
//! [`reconcile()`] does it once and says what came of it; when to do it is the dispatcher's business.

mod desired;
mod dispatch;
mod error;
mod reconcile;
mod status;

pub(super) use dispatch::{Dispatcher, Setup};
use error::SyncError;
pub(super) use reconcile::Context;
