//! The same through a real API server.
use super::stage::Stage;
use crate::failure::Outcome;
use std::path::Path;
pub(super) fn story(_: &Stage, _: &Path) -> Outcome {
    Ok(())
}
