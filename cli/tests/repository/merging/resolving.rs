//! `bulla git resolve`: a conflict finished by choice, by date, or by what is in the values.

use bulla::seal::Scope;

use super::{FILE, Story, joined};
use crate::checkout::{Key, manifest, put};

const CANARY: &str = "canary-hunter2";

impl Story {
    fn identity(&self) -> String {
        let path = self.checkout.bench.path("identity.key");
        put(&path, self.key.text.as_bytes());
        path.display().to_string()
    }

    /// A line that holds this value, sealed on this day.
    fn on(&self, key: &str, value: &str, day: &str) -> String {
        format!("{key}: {}", self.key.seal(key, value, day))
    }

    fn resolve(&self, arguments: &[&str]) -> crate::harness::Run {
        let run = self.checkout.bulla(&[&["git", "resolve", FILE], arguments].concat());
        assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}{}", run.out, run.err);
        run
    }
}

fn version(lines: &[&str]) -> String {
    manifest("prod/db", &joined(lines))
}

#[test]
fn what_was_only_sealed_again_gives_way_to_what_was_changed() {
    for swapped in [false, true] {
        let story = Story::new();
        let (base, rotated) = (story.on("a", CANARY, "2026-01-01"), story.on("a", CANARY, "2026-11-21"));
        let changed = story.on("a", "canary-of-same", "2026-06-01");
        let (ours, theirs) = if swapped { (&changed, &rotated) } else { (&rotated, &changed) };
        story.tell(&version(&[&base]), &version(&[ours]), &version(&[theirs]));
        story.merge().exits(1);
        let said = if swapped { "taken from ours: theirs was only" } else { "taken from theirs: ours was only" };
        story.resolve(&["--identity", &story.identity()]).exits(0).says(said).says("git add db.yaml");
        assert_eq!(story.result(), version(&[&changed]));
    }
}

#[test]
fn the_same_value_sealed_twice_is_taken_from_the_later_seal() {
    let story = Story::new();
    let [base, early, late] = ["2026-01-01", "2026-11-20", "2026-11-21"].map(|day| story.on("a", CANARY, day));
    story.tell(&version(&[&base]), &version(&[&early]), &version(&[&late]));
    story.merge().exits(1);
    story.resolve(&["--identity", &story.identity()]).exits(0).says("both hold the same value");
    assert_eq!(story.result(), version(&[&late]));
}

#[test]
fn values_that_both_sides_changed_stay_in_conflict_and_a_choice_settles_them_key_by_key() {
    let story = Story::new();
    let [a, a2, a3] = ["canary-1", "canary-2", "canary-3"].map(|value| story.on("a", value, "2026-11-01"));
    let [b, b2, b3] = ["canary-1", "canary-2", "canary-3"].map(|value| story.on("b", value, "2026-11-01"));
    story.tell(&version(&[&a, &b]), &version(&[&a2, &b2]), &version(&[&a3, &b3]));
    story.merge().exits(1);
    let before = story.result();
    story
        .resolve(&["--identity", &story.identity()])
        .exits(1)
        .says("both sides changed the value")
        .says("2 conflict(s) left");
    assert_eq!(story.result(), before);
    story.resolve(&["--newest"]).exits(1).says("sealed on the same day");
    story.resolve(&["--ours", "--key", "a"]).exits(1).says("1 conflict(s) left");
    story.resolve(&["--theirs"]).exits(0);
    assert_eq!(story.result(), version(&[&a2, &b3]));
    story.resolve(&["--theirs"]).exits(1).says("no sealed value is in conflict");
    story.checkout.git(&["commit", "-qam", "merged"]).exits(0);
}

#[test]
fn the_newest_is_by_the_day_of_the_seal() {
    let story = Story::new();
    let [a, a2, a3] = ["2026-01-01", "2026-11-21", "2026-11-20"].map(|day| story.on("a", day, day));
    story.tell(&version(&[&a]), &version(&[&a2]), &version(&[&a3]));
    story.merge().exits(1);
    story.resolve(&["--newest"]).exits(0).says("taken from ours: it was sealed later");
    assert_eq!(story.result(), version(&[&a2]));
}

#[test]
fn a_key_taken_out_there_and_only_sealed_again_here_is_taken_out() {
    let story = Story::new();
    let [a, b, b2] =
        [("a", "2026-01-01"), ("b", "2026-01-01"), ("b", "2026-11-21")].map(|(key, day)| story.on(key, CANARY, day));
    story.tell(&version(&[&a, &b]), &version(&[&a]), &version(&[&a, &b2]));
    story.merge().exits(1);
    story.resolve(&["--identity", &story.identity()]).exits(0).says("taken out, as in ours");
    assert_eq!(story.result(), version(&[&a]));
}

#[test]
fn the_last_entry_of_json_can_be_taken_out() {
    let story = Story::new();
    let value = |key: &str, day: &str| format!("      \"{key}\": \"{}\"", story.key.seal(key, CANARY, day));
    let json = |entries: &[&str]| {
        format!(
            "{{\n  \"apiVersion\": \"bitnami.com/v1alpha1\",\n  \"kind\": \"SealedSecret\",\n  \"metadata\": {{\"name\": \
             \"db\", \"namespace\": \"prod\"}},\n  \"spec\": {{\n    \"encryptedData\": {{\n{}\n    }}\n  }}\n}}\n",
            entries.join(",\n")
        )
    };
    let [a, b, b2] = [("a", "2026-01-01"), ("b", "2026-01-01"), ("b", "2026-11-21")].map(|(key, day)| value(key, day));
    story.checkout.commit(".gitattributes", "*.json merge=bulla\n");
    story.tell_of("db.json", &json(&[&a, &b]), &json(&[&a, &b2]), &json(&[&a]));
    story.merge().exits(1);
    story.checkout.bulla(&["git", "resolve", "db.json", "--theirs"]).exits(0);
    assert_eq!(story.checkout.read("db.json"), json(&[&a]));
}

#[test]
fn a_value_for_a_renamed_object_is_sealed_again_for_its_new_place() {
    let story = Story::new();
    let seal = |object: &str, key: &str, value: &str| {
        format!("{key}: {}", story.key.seal_for(Scope::Strict, object, key, value, "2026-11-01"))
    };
    let [a, new, renamed] = [seal("prod/db", "a", "1"), seal("prod/db", "b", CANARY), seal("prod/db2", "a", "1")];
    story.tell(&manifest("prod/db", &a), &manifest("prod/db2", &renamed), &manifest("prod/db", &joined(&[&a, &new])));
    story.merge().exits(1);
    let recipient = story.key.recipient().to_string();
    story.checkout.write(".bulla.yaml", &format!("version: 1\nrules:\n- path: '**'\n  recipients: [{recipient}]\n"));
    story.resolve(&["--identity", &story.identity()]).exits(0).says("sealed again for prod/db2");
    let value = story.checkout.bulla(&["open", FILE, "-i", &story.identity(), "--key", "b"]).exits(0).out;
    assert_eq!(value, CANARY);
    story.checkout.bulla(&["verify", FILE]).exits(0);
}

#[test]
fn keys_that_do_not_open_decide_nothing_and_other_conflicts_stay() {
    let story = Story::new();
    let [a, a2, a3] = ["canary-1", "canary-2", "canary-3"].map(|value| story.on("a", value, "2026-11-01"));
    let of = |line: &str, team: &str| version(&[line]).replace("payments", team);
    story.tell(&of(&a, "payments"), &of(&a2, "red"), &of(&a3, "blue"));
    story.merge().exits(1);
    story.checkout.bench.write("stranger.key", &Key::new().text);
    let stranger = story.checkout.bench.path("stranger.key").display().to_string();
    let before = story.result();
    story.resolve(&["--identity", &stranger]).exits(1).says("does not open with these keys");
    assert_eq!(story.result(), before);
    story.resolve(&["--ours"]).exits(1).says("1 conflict(s) left");
    assert!(story.result().contains(&a2) && story.result().contains("# of the red team"), "{}", story.result());
    story.resolve(&[]).exits(2).says("say how to choose");
}
