//! The rules of an ExternalSecret, in words that are not Kubernetes'.
//!
//! | module | what it is |
//! | --- | --- |
//! | `items` | what `data` and `dataFrom` ask for, and the [`requests`] that this takes |
//! | `assemble` | from the answers to the values of a Secret: [`assemble`] |
//! | [`refresh`] | whether and when to sync again |
//! | [`window`] | when a periodic refresh may happen |
//! | [`duration`] | Go's durations |
//! | [`hash`] | what External Secrets writes on a target, so that a takeover writes nothing |
//! | [`access`] | which store may be used from where |

pub mod access;
mod assemble;
pub mod duration;
pub mod hash;
mod items;
pub mod refresh;
#[cfg(test)]
mod tests;
pub mod window;

pub use assemble::{
    Answers, Assembled, Fault, ItemCause, ItemError, ItemErrors, MissingPolicy, Origin, Skipped, assemble,
};
pub use items::{DataItem, Items, Place, RemoteRef, Source, SourceItem, requests};
