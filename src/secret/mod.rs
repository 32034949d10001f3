//! Shared words: what a secret is in memory and what a target Secret looks like before it is written.

mod value;

pub use value::{Plaintext, Values};
