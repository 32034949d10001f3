//! Shared words: what a secret is in memory and what a target Secret looks like before it is written.

pub mod external;
pub mod label;
mod target;
pub mod template;
mod value;

pub use external::assemble_external;
pub use target::{
    MAX_TARGET_BYTES, OPAQUE, Shape, Target, TargetError, TargetErrors, assemble, is_tracking, is_valid_key, strip,
};
pub use value::{Plaintext, Values};
