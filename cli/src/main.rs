//! `bulla`: seal secrets before a commit, check them in CI, open them on a bad day.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the verbs that use it come next")
)]
mod document;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the verbs that use it come next")
)]
mod repository;

fn main() {}
