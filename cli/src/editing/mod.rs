//! Sealed values in an editor.

pub(crate) mod sheet;
