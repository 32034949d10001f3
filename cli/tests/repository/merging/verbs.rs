//! Every verb of Git that merges.

use super::{FILE, Story, joined};
use crate::checkout::manifest;

/// Two branches that change neighbouring keys: `a` on main, `b` on `other`; and what they come to.
fn neighbours(story: &Story) -> String {
    let [a, b, a2, b2] = [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a, &b]), &version(&[&a2, &b]), &version(&[&a, &b2]));
    version(&[&a2, &b2])
}

#[test]
fn rebase() {
    let story = Story::new();
    let expected = neighbours(&story);
    story.checkout.git(&["checkout", "-q", "other"]).exits(0);
    story.checkout.git(&["rebase", "main"]).exits(0);
    assert_eq!(story.result(), expected);
    // The older machinery, which applies patches and merges where they do not fit.
    let story = Story::new();
    let expected = neighbours(&story);
    story.checkout.git(&["checkout", "-q", "other"]).exits(0);
    story.checkout.git(&["rebase", "--apply", "main"]).exits(0);
    assert_eq!(story.result(), expected);
}

#[test]
fn a_rebase_that_stops_goes_on_when_the_conflict_is_resolved() {
    let story = Story::new();
    let [a, a2, a3, b] = [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a]), &version(&[&a2]), &version(&[&a3, &b]));
    story.checkout.git(&["checkout", "-q", "other"]).exits(0);
    story.checkout.git(&["rebase", "main"]).exits(1).says("a of prod/db was sealed anew on both sides");
    story.checkout.bulla(&["git", "resolve", FILE, "--theirs"]).exits(0);
    story.checkout.git(&["add", FILE]).exits(0);
    story.checkout.git(&["-c", "core.editor=true", "rebase", "--continue"]).exits(0);
    assert_eq!(story.result(), version(&[&a3, &b]));
}

#[test]
fn cherry_pick() {
    let story = Story::new();
    let expected = neighbours(&story);
    story.checkout.git(&["cherry-pick", "other"]).exits(0);
    assert_eq!(story.result(), expected);
}

#[test]
fn revert() {
    let story = Story::new();
    let [a, b, a2, b2, c] =
        [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("c", "1")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.checkout.commit(FILE, &version(&[&a, &b]));
    story.checkout.commit(FILE, &version(&[&a2, &b]));
    story.checkout.commit(FILE, &version(&[&a2, &b2, &c]));
    story.checkout.git(&["revert", "--no-edit", "HEAD~1"]).exits(0);
    assert_eq!(story.result(), version(&[&a, &b2, &c]));
    // What came after it was built on it.
    story.checkout.git(&["revert", "--no-edit", "HEAD"]).exits(0);
    story.checkout.commit(FILE, &version(&[&story.line("a", "3"), &b2, &c]));
    let run = story.checkout.git(&["revert", "--no-edit", "HEAD~1"]).exits(1);
    assert!(run.err.contains("a of prod/db was sealed anew on both sides"), "{}", run.err);
}

#[test]
fn stash_pop() {
    let story = Story::new();
    let expected = neighbours(&story);
    let other = story.checkout.git(&["show", "other:db.yaml"]).exits(0).out;
    story.checkout.git(&["checkout", "-q", "before"]).exits(0);
    story.checkout.write(FILE, &other);
    story.checkout.git(&["stash", "-q"]).exits(0);
    story.checkout.git(&["checkout", "-q", "main"]).exits(0);
    story.checkout.git(&["stash", "pop"]).exits(0);
    assert_eq!(story.result(), expected);
}

#[test]
fn checkout_with_local_changes_and_again_after_a_conflict() {
    let story = Story::new();
    let expected = neighbours(&story);
    let other = story.checkout.git(&["show", "other:db.yaml"]).exits(0).out;
    story.checkout.git(&["checkout", "-q", "before"]).exits(0);
    story.checkout.write(FILE, &other);
    story.checkout.git(&["checkout", "-q", "-m", "main"]).exits(0);
    assert_eq!(story.result(), expected);

    // A merge that was begun without the driver is merged again with it.
    let story = Story::new();
    let expected = neighbours(&story);
    story.checkout.git(&["-c", "merge.bulla.driver=git merge-file %A %O %B", "merge", "other"]).exits(1);
    assert!(story.result().contains("<<<<<<<"));
    story.checkout.git(&["checkout", "-m", FILE]).exits(0);
    assert_eq!(story.result(), expected);
}

#[test]
fn octopus_over_different_files_and_a_refusal_over_the_same_one() {
    let story = Story::new();
    let [a, b] = ["a", "b"].map(|key| story.line(key, "1"));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.checkout.commit(FILE, &version(&[&a]));
    for (branch, key) in [("one", "x"), ("two", "y"), ("three", "z")] {
        let text = version(&[&a, &story.line(key, "1")]);
        story.checkout.branch(branch, "main", &format!("{branch}.yaml"), &text);
        story.checkout.git(&["checkout", "-q", "main"]).exits(0);
    }
    story.checkout.git(&["merge", "--no-edit", "one", "two", "three"]).exits(0);
    assert!(story.checkout.path("three.yaml").exists());
    // The octopus strategy merges lines by a script of its own and asks no driver: it gives up, and nothing is changed.
    for (branch, key) in [("four", "p"), ("five", "q")] {
        story.checkout.branch(branch, "main", FILE, &version(&[&a, &story.line(key, "1")]));
        story.checkout.git(&["checkout", "-q", "main"]).exits(0);
    }
    let before = story.result();
    let run = story.checkout.git(&["merge", "--no-edit", "four", "five"]);
    assert!(run.code != 0, "{}", run.out);
    story.checkout.git(&["reset", "-q", "--hard"]).exits(0);
    assert_eq!(story.result(), before);
    // One after the other it works.
    story.checkout.git(&["merge", "--no-edit", "four"]).exits(0);
    story.checkout.git(&["merge", "--no-edit", "five"]).exits(0);
    assert!(story.result().contains("    p: ") && story.result().contains("    q: ") && !story.result().contains(&b));
}

#[test]
fn branches_that_were_merged_crosswise() {
    let story = Story::new();
    let line = |key: &str, value: &str| story.line(key, value);
    let [a, a2, b, b2, c, d] =
        [line("a", "1"), line("a", "2"), line("b", "1"), line("b", "2"), line("c", "1"), line("d", "1")];
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a, &b]), &version(&[&a2, &b]), &version(&[&a, &b2]));
    let git = |arguments: &[&str]| story.checkout.git(arguments).exits(0);
    git(&["tag", "left", "main"]);
    git(&["tag", "right", "other"]);
    git(&["merge", "-q", "--no-edit", "right"]);
    story.checkout.commit(FILE, &version(&[&a2, &b2, &c]));
    git(&["checkout", "-q", "other"]);
    git(&["merge", "-q", "--no-edit", "left"]);
    story.checkout.commit(FILE, &version(&[&a2, &b2, &d]));
    assert_eq!(git(&["merge-base", "--all", "main", "other"]).out.lines().count(), 2, "two merge bases");
    git(&["checkout", "-q", "main"]);
    let run = story.merge().exits(0);
    assert!(!run.err.contains("conflict"), "{}", run.err);
    assert_eq!(story.result(), version(&[&a2, &b2, &c, &d]));
}

#[test]
fn a_conflict_of_branches_that_were_merged_crosswise_is_said_once() {
    let story = Story::new();
    let [a, a2, a3, a4, a5] = ["1", "2", "3", "4", "5"].map(|value| story.line("a", value));
    let version = |line: &str| manifest("prod/db", line);
    story.tell(&version(&a), &version(&a2), &version(&a3));
    let git = |arguments: &[&str]| story.checkout.git(arguments);
    git(&["tag", "left", "main"]).exits(0);
    git(&["tag", "right", "other"]).exits(0);
    for (branch, other, line) in [("main", "right", &a4), ("other", "left", &a5)] {
        git(&["checkout", "-q", branch]).exits(0);
        git(&["merge", "-q", "--no-edit", other]).exits(1);
        story.checkout.write(FILE, &version(line));
        git(&["commit", "-qam", "merged"]).exits(0);
    }
    git(&["checkout", "-q", "main"]).exits(0);
    let run = story.merge().exits(1);
    assert!(!run.err.contains("sealed anew"), "of the bases: {}", run.err);
    assert!(story.result().contains(&a4) && story.result().contains(&a5), "{}", story.result());
}

#[test]
fn a_renamed_file_with_changed_values() {
    let story = Story::new();
    let [a, b, c, a2, c2] =
        [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"), ("c", "2")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.checkout.commit(FILE, &version(&[&a, &b, &c]));
    story.checkout.branch("other", "main", FILE, &version(&[&a, &b, &c2]));
    story.checkout.git(&["checkout", "-q", "main"]).exits(0);
    story.checkout.git(&["mv", FILE, "moved.yaml"]).exits(0);
    story.checkout.commit("moved.yaml", &version(&[&a2, &b, &c]));
    story.merge().exits(0);
    assert_eq!(story.checkout.read("moved.yaml"), version(&[&a2, &b, &c2]));
}

#[test]
fn a_linked_worktree_and_a_bare_repository() {
    let story = Story::new();
    let expected = neighbours(&story);
    let folder = story.checkout.bench.path("linked");
    story.checkout.git(&["worktree", "add", "-q", "-b", "linked", &folder.display().to_string(), "main"]).exits(0);
    let linked = story.checkout.within(folder);
    linked.git(&["merge", "--no-edit", "other"]).exits(0);
    assert_eq!(std::fs::read_to_string(linked.folder.join(FILE)).unwrap(), expected);

    // A server that merges without a work tree has the settings, and the attributes beside its objects.
    let bare = story.checkout.bench.path("bare");
    story.checkout.git(&["clone", "-q", "--bare", ".", &bare.display().to_string()]).exits(0);
    let bare = story.checkout.within(bare);
    let said = bare.bulla(&["git", "install"]).exits(0).out;
    assert!(said.contains("info/attributes") && !said.contains("hook"), "{said}");
    let tree = bare.git(&["merge-tree", "--write-tree", "main", "other"]).exits(0).out;
    let merged = bare.git(&["cat-file", "blob", &format!("{}:{FILE}", tree.trim())]).exits(0).out;
    assert_eq!(merged, expected);
}

#[test]
fn without_the_program_a_merge_is_gits_own_and_never_silently_ours() {
    let story = Story::new();
    neighbours(&story);
    std::fs::remove_file(story.checkout.bench.path("bin/bulla")).unwrap();
    let driver = story.checkout.git(&["config", "merge.bulla.driver"]).exits(0).out;
    let start = driver.find('\'').unwrap();
    let driver = driver.replace(&driver[start..=start + 1 + driver[start + 1..].find('\'').unwrap()], "'/nowhere'");
    story.checkout.git(&["config", "merge.bulla.driver", driver.trim()]).exits(0);
    story.merge().exits(1);
    assert_eq!(story.result().matches("<<<<<<<").count(), 1, "{}", story.result());
}
