//! ClusterExternalSecrets: the same ExternalSecret in every namespace that is selected.
//!
//! | module | what it is |
//! | --- | --- |
//! | `follow` | what is known of all of them |
//! | `work` | who is worked on, and when |
//! | `entry` | what is kept of one of them |
//! | `hear` | what the watch of ExternalSecrets says, as far as it matters here |
//! | `wanted` | what a ClusterExternalSecret asks for |
//! | `places` | namespaces, and which of them are selected |
//! | `children` | ExternalSecrets as they are, and how they should be |
//! | `plan` | what is to be done for one of them (pure) |
//! | `pass`, `calls` | doing it |
//! | `status` | what is said about it |
//!
//! The spec of every ExternalSecret passes by on the watch that its own part has open anyway, so there is neither
//! another watch nor a read: a pass that finds all in order calls nobody.

mod calls;
mod children;
mod entry;
mod follow;
mod hear;
mod pass;
mod places;
mod plan;
mod status;
mod wanted;
mod work;

pub(super) use self::follow::{Watches, run};
pub(super) use self::hear::listen;
pub(super) use self::pass::Context;
