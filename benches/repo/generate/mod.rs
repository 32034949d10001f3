//! Repositories to measure on: a tree of sealed manifests, and a long history with secrets planted in it.
//!
//! Everything follows from a seed, but for keys and ciphertext.

pub(crate) mod history;
pub(crate) mod keys;
mod manifests;
pub(crate) mod plants;
pub(crate) mod sealed;
mod sources;
pub(crate) mod tree;
mod words;
mod years;
