//! `bulla`: seal secrets before a commit, check them in CI, open them on a bad day.

#[expect(dead_code, unused_imports, reason = "the verbs that use it come next")]
mod document;

fn main() {}
