//! SealedSecrets and ExternalSecrets in a cluster, as their controller describes them.
//!
//! | module | what it is |
//! | --- | --- |
//! | `changes` | the same objects, watched
//! | `observed` | what one object says about itself: state, reason, keys, dates |
//! | `selection` | which objects are meant, listed page by page |
//! | `stores` | which provider is behind a store's name |
//! | `targets` | whether the Secrets are there |

mod changes;
mod observed;
mod selection;
mod stores;
mod targets;

pub(crate) use self::changes::{Change, changes};
pub(crate) use self::observed::{Observed, State, StoreName, conditions};
pub(crate) use self::selection::{Selection, resource};
pub(crate) use self::stores::Providers;
pub(crate) use self::targets::{Presence, Targets};
