//! What a change must pass: before the flip, the services' own `validate` commands, which see the new files at their
//! paths while nobody else does; after it, the services' health.

mod health;
mod probe;
mod validate;
mod view;

pub use self::health::{Unhealthy, prove};
pub use self::validate::{Isolation, Refusal, Refused, Validated, validate};
pub use self::view::{Shown, View};
pub use super::command::Scrubber;
