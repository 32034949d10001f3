//! Whole commits, read from a folder.

mod elsewhere;
mod hostile;
mod local;
mod random;
mod whole;
mod world;
