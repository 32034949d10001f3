//! What the benchmarks of the controller share: an API server that was filled before any clock runs, the controller as
//! a process, and the numbers of a phase.

// Each benchmark uses a part of it.
#![allow(dead_code, reason = "compiled into each benchmark, which uses a part")]

pub(crate) mod audit;
pub(crate) mod bed;
pub(crate) mod controller;
pub(crate) mod measure;
pub(crate) mod process;
