//! A Git repository: its objects, its index, its history.

pub(crate) mod program;
