//! What a repository of 10,000 values costs to check, to seal again and to audit, and a long history to scan.

#![allow(missing_docs, reason = "a program")]

fn main() {}
