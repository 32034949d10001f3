//! What two branches cannot both have: how it is shown, and said.

use bulla::seal::Scope;

use super::{Story, joined};
use crate::checkout::manifest;

/// The lines between markers, without the indentation of `encryptedData`.
fn dispute(lines: &[&str]) -> String {
    let indented = |line: &&str| {
        let is_marker = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].iter().any(|marker| line.starts_with(marker));
        if is_marker { format!("{line}\n") } else { format!("    {line}\n") }
    };
    lines.iter().map(indented).collect()
}

#[test]
fn both_add_the_same_key() {
    let story = Story::new();
    let [a, b, b2] = [("a", "1"), ("b", "1"), ("b", "2")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a]), &version(&[&a, &b]), &version(&[&a, "# why", &b2]));
    let run = story.merge().exits(1);
    assert!(run.err.contains("b of prod/db was added on both sides"), "{}", run.err);
    let expected = dispute(&["<<<<<<< HEAD", &b, "=======", "# why", &b2, ">>>>>>> other"]);
    assert!(story.result().contains(&expected), "{}", story.result());
}

#[test]
fn the_same_value_added_or_changed_alike_on_both_sides_is_no_conflict() {
    let story = Story::new();
    let [a, a2, b] = [("a", "1"), ("a", "2"), ("b", "1")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a]), &version(&[&a2, &b]), &version(&[&a2, &b]).replace("payments", "billing"));
    assert_eq!(story.merged(), version(&[&a2, &b]).replace("payments", "billing"));
}

#[test]
fn one_takes_a_key_out_and_the_other_changes_it() {
    let story = Story::new();
    let [a, b, b2] = [("a", "1"), ("b", "1"), ("b", "2")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a, &b]), &version(&[&a]), &version(&[&a, &b2]));
    let run = story.merge().exits(1);
    assert!(run.err.contains("b of prod/db was taken out in ours and changed in theirs"), "{}", run.err);
    assert!(run.err.contains("not there"), "{}", run.err);
    assert!(story.result().contains(&dispute(&["<<<<<<< HEAD", "=======", &b2, ">>>>>>> other"])));
}

#[test]
fn a_key_that_one_side_takes_out_and_the_other_leaves_is_gone() {
    let story = Story::new();
    let [a, b, c, a2] = [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    story.tell(&version(&[&a, &b, &c]), &version(&[&a, &c]), &version(&[&a2, &b, &c]));
    assert_eq!(story.merged(), version(&[&a2, &c]));
}

#[test]
fn diff3_styles_show_what_both_come_from() {
    for style in ["diff3", "zdiff3"] {
        let story = Story::new();
        story.checkout.git(&["config", "merge.conflictStyle", style]).exits(0);
        let [a, a2, a3] = ["1", "2", "3"].map(|value| story.line("a", value));
        let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
        story.tell(&version(&[&a]), &version(&[&a2]), &version(&[&a3]));
        story.merge().exits(1);
        let expected = dispute(&["<<<<<<< HEAD", &a2, "||||||| base", &a, "=======", &a3, ">>>>>>> other"]);
        assert!(story.result().contains(&expected), "{}", story.result());
    }
}

#[test]
fn a_longer_marker_is_used_where_the_attributes_say_so() {
    let story = Story::new();
    let attributes = story.checkout.read(".gitattributes");
    story.checkout.commit(".gitattributes", &format!("{attributes}*.yaml conflict-marker-size=11\n"));
    let [a, a2, a3] = ["1", "2", "3"].map(|value| story.line("a", value));
    let version = |line: &str| manifest("prod/db", line);
    story.tell(&version(&a), &version(&a2), &version(&a3));
    story.merge().exits(1);
    let result = story.result();
    assert!(result.contains("<<<<<<<<<<< HEAD\n") && result.contains("\n===========\n"), "{result}");
    story.checkout.bulla(&["git", "resolve", "db.yaml", "--theirs"]).exits(0);
    assert_eq!(story.result(), version(&a3));
}

#[test]
fn conflicts_in_other_lines_leave_the_values_merged() {
    let story = Story::new();
    let [a, b, a2, b2] = [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")].map(|(key, value)| story.line(key, value));
    let version = |lines: &[&str], team: &str| manifest("prod/db", &joined(lines)).replace("payments", team);
    story.tell(&version(&[&a, &b], "payments"), &version(&[&a2, &b], "red"), &version(&[&a, &b2], "blue"));
    story.merge().exits(1);
    let result = story.result();
    let expected = version(&[&a2, &b2], "@")
        .replace("# of the @ team\n", "<<<<<<< HEAD\n# of the red team\n=======\n# of the blue team\n>>>>>>> other\n");
    assert_eq!(result, expected);
}

#[test]
fn a_value_for_an_object_that_was_renamed_meanwhile_is_a_conflict_that_says_so() {
    let story = Story::new();
    let seal = |object: &str, key: &str, value: &str| {
        format!("{key}: {}", story.key.seal_for(Scope::Strict, object, key, value, "2026-11-01"))
    };
    let [a, new, renamed] = [seal("prod/db", "a", "1"), seal("prod/db", "b", "1"), seal("prod/db2", "a", "1")];
    story.tell(&manifest("prod/db", &a), &manifest("prod/db2", &renamed), &manifest("prod/db", &joined(&[&a, &new])));
    let run = story.merge().exits(1);
    let message = "b of prod/db2: the value from theirs was sealed for the place that the object had there";
    assert!(run.err.contains(message), "{}", run.err);
    let result = story.result();
    assert!(result.contains(&dispute(&["<<<<<<< HEAD", "=======", &new, ">>>>>>> other"])), "{result}");
    assert!(result.contains("name: db2") && result.contains(&renamed), "{result}");

    // A value that is bound to the namespace alone may go along.
    let story = Story::new();
    let wide = |key: &str, value: &str| {
        format!("{key}: {}", story.key.seal_for(Scope::NamespaceWide, "prod/db", key, value, "2026-11-01"))
    };
    let (a, b) = (wide("a", "1"), wide("b", "1"));
    let annotated = |object: &str, lines: &[&str]| {
        let annotation = "metadata:\n  annotations: {sealedsecrets.bitnami.com/namespace-wide: \"true\"}\n";
        manifest(object, &joined(lines)).replace("metadata:\n", annotation)
    };
    story.tell(&annotated("prod/db", &[&a]), &annotated("prod/db2", &[&a]), &annotated("prod/db", &[&a, &b]));
    assert_eq!(story.merged(), annotated("prod/db2", &[&a, &b]));
}

#[test]
fn a_value_for_another_scope_than_the_object_now_declares_is_a_conflict() {
    let story = Story::new();
    let [a, b] = ["a", "b"].map(|key| story.line(key, "1"));
    let wide = format!("a: {}", story.key.seal_for(Scope::ClusterWide, "prod/db", "a", "1", "2026-11-01"));
    let annotation = "metadata:\n  annotations: {sealedsecrets.bitnami.com/cluster-wide: \"true\"}\n";
    let ours = manifest("prod/db", &wide).replace("metadata:\n", annotation);
    story.tell(&manifest("prod/db", &a), &ours, &manifest("prod/db", &joined(&[&a, &b])));
    let run = story.merge().exits(1);
    assert!(run.err.contains("b of prod/db: the value from theirs was sealed for"), "{}", run.err);
}

#[test]
fn hostile_names_do_not_steer_the_terminal_and_no_plaintext_is_said() {
    let story = Story::new();
    let version = |value: &str| {
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: \"d\\e[31mb\"}\nspec:\n  encryptedData:\n    \
         \"a\\eb\": canary-@\n"
            .replace('@', value)
    };
    story.tell(&version("1"), &version("2"), &version("3"));
    let run = story.merge().exits(1);
    assert!(run.err.contains("sealed anew on both sides") && run.err.contains("NOT SEALED"), "{}", run.err);
    assert!(!run.err.contains('\u{1b}') && !run.err.contains("canary") && !run.out.contains("canary"), "{}", run.err);
}
