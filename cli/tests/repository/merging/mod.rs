//! `bulla git merge-driver` under the real git: values merge by data key, everything else as Git merges it.

mod conflicts;
mod layouts;
mod plain;
mod random;
mod resolving;
mod verbs;

use crate::checkout::{Checkout, Key, manifest};
use crate::harness::Run;

const FILE: &str = "db.yaml";

/// Three versions of a file: what came before, and what two branches made of it.
struct Story {
    checkout: Checkout,
    key: Key,
}

impl Story {
    fn new() -> Self {
        Self { checkout: Checkout::installed(), key: Key::new() }
    }

    /// A line of `encryptedData` for `prod/db`.
    fn line(&self, key: &str, value: &str) -> String {
        format!("{key}: {}", self.key.seal(key, value, "2026-11-01"))
    }

    /// Commits `base` on main, `ours` on top of it, and `theirs` on the branch `other`; ends on main.
    fn tell(&self, base: &str, ours: &str, theirs: &str) -> &Self {
        self.tell_of(FILE, base, ours, theirs)
    }

    fn tell_of(&self, file: &str, base: &str, ours: &str, theirs: &str) -> &Self {
        self.checkout.commit(file, base);
        self.checkout.git(&["branch", "-f", "before"]).exits(0);
        self.checkout.branch("other", "main", file, theirs);
        self.checkout.git(&["checkout", "-q", "main"]).exits(0);
        self.checkout.commit(file, ours);
        self
    }

    fn merge(&self) -> Run {
        self.checkout.git(&["merge", "--no-edit", "other"])
    }

    fn result(&self) -> String {
        self.checkout.read(FILE)
    }

    /// Merges, which must be clean, and gives the result.
    fn merged(&self) -> String {
        self.merge().exits(0);
        self.result()
    }
}

fn joined(lines: &[&str]) -> String {
    lines.join("\n")
}

#[test]
fn two_branches_that_change_neighbouring_keys_merge() {
    let story = Story::new();
    let [a, b, a2, b2] = [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")].map(|(key, value)| story.line(key, value));
    let version = |a: &str, b: &str| manifest("prod/db", &joined(&[a, b]));
    story.tell(&version(&a, &b), &version(&a2, &b), &version(&a, &b2));
    story.merge().exits(0);
    assert_eq!(story.result(), version(&a2, &b2));
    // Without the driver it does not.
    story.checkout.git(&["reset", "-q", "--hard", "HEAD~1"]).exits(0);
    story.checkout.git(&["-c", "merge.bulla.driver=git merge-file %A %O %B", "merge", "other"]).exits(1);
}

#[test]
fn both_add_keys_at_the_end_and_ours_come_first() {
    let story = Story::new();
    let [a, b, c] = ["a", "b", "c"].map(|key| story.line(key, "1"));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a]), &version(&[&a, &b]), &version(&[&a, &c]));
    story.merge().exits(0);
    assert_eq!(story.result(), version(&[&a, &b, &c]));
}

#[test]
fn the_same_key_on_both_sides_is_a_conflict_around_that_entry_alone() {
    let story = Story::new();
    let day = |value: &str, day: &str| format!("a: {}", story.key.seal("a", value, day));
    let (a, a2, a3) = (day("1", "2026-11-01"), day("22", "2026-11-20"), day("333", "2026-11-21"));
    let [b, b2] = ["1", "2"].map(|value| story.line("b", value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&["# who", &a, &b]), &version(&["# who", &a2, &b]), &version(&["# who", &a3, &b2]));
    let run = story.merge().exits(1);
    let expected = version(&["# who", "<<<<<<< HEAD", &a2, "=======", &a3, ">>>>>>> other", &b2])
        .replace("    <<<<", "<<<<")
        .replace("    ====", "====")
        .replace("    >>>>", ">>>>");
    assert_eq!(story.result(), expected);
    for part in [
        "db.yaml: a of prod/db was sealed anew on both sides",
        "strict prod/db/a, sealed 2026-11-20, 2 bytes",
        "sealed 2026-11-21, 3 bytes",
        "bulla git resolve db.yaml",
    ] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert!(story.checkout.git(&["status", "--porcelain"]).out.contains("UU db.yaml"));
}
