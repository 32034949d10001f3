//! External secrets without a cluster: what manifests ask for, whether it is allowed, and what would come of it.
//!
//! | module | what it is |
//! | --- | --- |
//! | `documents` | the objects in the files that were given |
//! | `fields` | fields that no schema knows |
//! | `check` | every rule that can be checked without asking a store: findings |
//! | `offline` | the stores that can be opened here: `fake` and `file` |
//! | `plan` | what each ExternalSecret would write |
//! | `render` | a plan for people |

mod check;
mod documents;
mod fields;
mod offline;
mod plan;
mod render;

pub(crate) use self::check::{Finding, check, check_keys, check_stores};
pub(crate) use self::documents::{Documents, Landed, Place, Take};
pub(crate) use self::offline::Offline;
pub(crate) use self::plan::{Plan, plan};
pub(crate) use self::render::text;
