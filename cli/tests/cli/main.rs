//! The `bulla` binary as its users meet it: what it prints, what it writes, how it exits.

mod harness;

mod files;
mod keys;
mod looking;
mod opening;
mod sealing;
mod story;
