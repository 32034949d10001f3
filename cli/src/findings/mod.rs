//! What a check found: how it is told, and which findings are known already. `bulla verify` and `bulla scan` share it.
//!
//! | module | what it is |
//! | --- | --- |
//! | `rule` | what can be found: id, why it matters, how it is mended |
//! | `finding` | what was found, and where |
//! | `report` | findings as text, JSON, SARIF or workflow commands |
//! | `sarif`, `annotations` | two of these formats |
//! | `baseline` | findings that are known already |
//! | `root` | the names of files as seen from the root of the repository |
//!
//! Nothing here ever holds a secret value: a finding names a place, never what stands there.

mod annotations;
mod baseline;
mod finding;
mod report;
mod root;
mod rule;
mod sarif;

pub(crate) use self::baseline::Baseline;
pub(crate) use self::finding::{Finding, Level, Note, Related, is_tame};
pub(crate) use self::report::{Format, Report};
pub(crate) use self::root::Root;
pub(crate) use self::rule::{Rule, explain, list};
