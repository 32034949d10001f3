//! The text that a person edits: YAML of one map from data keys to values.
//!
//! A value stands there as it is. What is typed is taken as it is written, too: `5432`, `yes` and `0x1F` are these
//! characters and nothing else. What YAML would quietly take away (what follows ` #`, line ends in a value without
//! `|`) is a mistake with its line, and so is a value that YAML reads as something other than text. Messages never
//! repeat a word of the text: what looks like a key may be a secret in the wrong place.

mod read;
mod write;

pub(crate) use self::read::read;
pub(crate) use self::write::write;

/// The tag of bytes that are not text.
const BINARY: &str = "binary";

#[cfg(test)]
mod tests;
