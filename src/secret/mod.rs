//! Shared words: what a secret is in memory and what a target Secret looks like before it is written.

pub mod template;
mod value;

pub use value::{Plaintext, Values};
