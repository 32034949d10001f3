//! Sealed values in an editor.
