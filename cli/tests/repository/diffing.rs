//! What `git diff`, `git log -p`, `git show` and `bulla git diff` tell of sealed values: enough to review, no plaintext.

use bulla::seal::{Binding, Place, Scope};
use bulla::secret::Plaintext;
use serde_json::Value;

use crate::checkout::{Checkout, Key, manifest};
use crate::harness::Run;

const CANARY: &str = "canary-hunter2";

/// A repository with `db.yaml`: `same`, `changed`, `longer`, `rotated`, `removed`.
struct Review {
    checkout: Checkout,
    old: Key,
    new: Key,
}

fn file(lines: &[String]) -> String {
    manifest("prod/db", &lines.join("\n"))
}

impl Review {
    fn new() -> Self {
        let review = Self { checkout: Checkout::installed(), old: Key::new(), new: Key::new() };
        let old = |key: &str, value: &str| format!("{key}: {}", review.old.seal(key, value, "2026-01-01"));
        let same = old("same", CANARY);
        let base = [
            same.clone(),
            old("changed", CANARY),
            old("longer", CANARY),
            old("rotated", CANARY),
            old("removed", CANARY),
        ];
        review.checkout.commit("db.yaml", &file(&base));
        let new = |key: &str, value: &str| format!("{key}: {}", review.new.seal(key, value, "2026-11-21"));
        let changed = format!("changed: {}", review.old.seal("changed", "canary-hunter3", "2026-11-21"));
        let after = [same, changed, new("longer", "canary-hunter-two"), new("rotated", CANARY), new("added", CANARY)];
        review.checkout.write("db.yaml", &file(&after));
        review
    }

    fn identities(&self) -> Vec<String> {
        let keys = [("old.key", &self.old), ("new.key", &self.new)];
        keys.iter()
            .flat_map(|(name, key)| {
                self.checkout.bench.write(name, &key.text);
                ["--identity".to_owned(), self.checkout.bench.path(name).display().to_string()]
            })
            .collect()
    }

    fn diff(&self, arguments: &[&str]) -> Run {
        let run = self.checkout.bulla(&[&["git", "diff"], arguments].concat());
        assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}{}", run.out, run.err);
        run
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let run = self.diff(&[&["--output", "json"], arguments].concat()).exits(0);
        serde_json::from_str(&run.out).unwrap()
    }
}

/// `key: change, same value` of each value of the first object.
fn told(found: &Value) -> Vec<String> {
    let values = found["files"][0]["objects"][0]["values"].as_array().unwrap();
    let one = |value: &Value| format!("{} {} {}", value["key"], value["change"], value["sameValue"]).replace('"', "");
    values.iter().map(one).collect()
}

#[test]
fn git_itself_shows_a_line_a_value() {
    let review = Review::new();
    let id = |key: &Key| key.recipient().key_id().to_string()[..8].to_owned();
    let (old, new) = (id(&review.old), id(&review.new));
    let diff = review.checkout.git(&["diff"]).exits(0).out;
    let line = |start: &str| {
        let found: Vec<&str> = diff.lines().filter(|line| line.starts_with(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {diff}");
        found[0].to_owned()
    };
    assert!(line("-    rotated: ").contains(&format!("to {old}, strict prod/db/rotated, sealed 2026-01-01, 14 bytes")));
    assert!(line("+    rotated: ").contains(&format!("to {new}, strict prod/db/rotated, sealed 2026-11-21, 14 bytes")));
    assert!(line("+    added: ").contains("ciphertext") && line("-    removed: ").contains("ciphertext"), "{diff}");
    assert!(line("+    changed: ").contains(&format!("to {old}, strict prod/db/changed, sealed 2026-11-21")));
    assert!(line("     same: ").contains("<native x25519"), "{diff}");
    assert!(!diff.contains("YWdl") && !diff.contains(CANARY), "{diff}");
    review.checkout.git(&["commit", "-qam", "x"]).exits(0);
    // From the cache too.
    for _ in 0..2 {
        for arguments in [&["show"][..], &["log", "-p", "-1"], &["diff", "HEAD~1"]] {
            let said = review.checkout.git(arguments).exits(0).out;
            assert!(said.contains("+    added: <native"), "{said}");
        }
    }
    // A patch is still a patch.
    let patch = review.checkout.git(&["format-patch", "-1", "--stdout"]).exits(0).out;
    assert!(patch.contains("+    added: YWdl"), "{patch}");
}

#[test]
fn without_a_key_it_says_what_can_be_known() {
    let review = Review::new();
    let found = review.json(&[]);
    let expected = [
        "changed changed null",
        "longer changed false",
        "rotated resealed null",
        "added added null",
        "removed removed null",
    ];
    assert_eq!(told(&found), expected);
    assert_eq!(found["summary"]["unproven"], 2);
    let values = &found["files"][0]["objects"][0]["values"];
    assert_eq!(values[2]["keysAdded"][0], review.new.recipient().key_id().to_string());
    assert_eq!(values[2]["keysRemoved"][0], review.old.recipient().key_id().to_string());
    assert_eq!(values[1]["after"]["bytes"], 17);

    let text = review.diff(&[]).exits(0).out;
    for part in [
        "db.yaml\n  SealedSecret prod/db\n",
        "~ changed  changed, or sealed again to the same keys",
        "~ longer   changed: 14 -> 17 bytes",
        "= rotated  sealed again; whether the value is the same takes a key to tell, to ",
        "+ added    added: native x25519, 14 bytes, strict, to ",
        "- removed  removed",
        "1 file(s): 1 added, 1 removed, 2 changed, 1 sealed again; 2 of them may hold the same value or another: --identity tells",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn with_keys_it_tells_a_new_value_from_a_new_seal() {
    let review = Review::new();
    let identities = review.identities();
    let arguments: Vec<&str> = identities.iter().map(String::as_str).collect();
    let found = review.json(&arguments);
    assert_eq!(told(&found)[..3], ["changed changed false", "longer changed false", "rotated resealed true"]);
    assert_eq!(found["summary"]["unproven"], 0);
    assert!(review.diff(&arguments).exits(0).out.contains("= rotated  sealed again, the same value"));
}

#[test]
fn revisions_ranges_the_index_and_paths_are_those_of_git() {
    let review = Review::new();
    review.checkout.write("sub/other.yaml", &file(&[format!("a: {}", review.old.seal("a", "1", "2026-01-01"))]));
    review.checkout.write("plain.yaml", "a: b\n");
    let files = |arguments: &[&str]| -> Vec<String> {
        let found = review.json(arguments);
        found["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(files(&[]), ["db.yaml"]);
    assert_eq!(files(&["--staged"]), [""; 0]);
    review.checkout.git(&["add", "-A"]).exits(0);
    assert_eq!(files(&[]), [""; 0]);
    assert_eq!(files(&["--staged"]), ["db.yaml", "sub/other.yaml"]);
    assert_eq!(files(&["--staged", "--", "sub"]), ["sub/other.yaml"]);
    review.checkout.git(&["commit", "-qm", "x"]).exits(0);
    assert_eq!(files(&["HEAD~1", "HEAD"]), ["db.yaml", "sub/other.yaml"]);
    assert_eq!(files(&["HEAD~1..HEAD", "--", "db.yaml"]), ["db.yaml"]);
    assert_eq!(files(&["HEAD~1", "sub"]), ["sub/other.yaml"]);
    review.diff(&["--exit-code"]).exits(0);
    review.diff(&["--exit-code", "HEAD~1"]).exits(1);
    review.diff(&["nonsense"]).exits(2).says("nonsense");
    // From a folder below, names are still those from the root.
    let below = review.checkout.within(review.checkout.path("sub"));
    assert!(below.bulla(&["git", "diff", "HEAD~1", "--", "other.yaml"]).exits(0).out.starts_with("sub/other.yaml\n"));
    // A file that moved is compared with itself.
    review.checkout.git(&["mv", "db.yaml", "moved.yaml"]).exits(0);
    assert_eq!(review.json(&["--staged"])["files"].as_array().unwrap().len(), 0);
}

#[test]
fn renamed_objects_scopes_recipients_and_what_is_not_sealed_are_told() {
    let checkout = Checkout::installed();
    let (one, two) = (Key::new(), Key::new());
    let seal = |keys: &[&Key], scope: Scope, name: &str, key: &str| {
        let binding = Binding::new(scope, Place { namespace: "prod", name, key }, "2026-11-01".parse().unwrap());
        let recipients: Vec<_> = keys.iter().map(|key| key.recipient()).collect();
        bulla::seal::seal(&recipients, &Plaintext::copy_of(CANARY.as_bytes()), &binding).unwrap()
    };
    let before = manifest(
        "prod/db",
        &format!("a: {}\nb: {}", seal(&[&one], Scope::Strict, "db", "a"), seal(&[&one], Scope::Strict, "db", "b")),
    );
    checkout.commit("db.yaml", &before);
    let after =
        manifest("prod/db2", &format!("a: {}\nb: {CANARY}", seal(&[&one, &two], Scope::NamespaceWide, "db2", "a")))
            .replace("metadata:\n", "metadata:\n  annotations: {sealedsecrets.bitnami.com/namespace-wide: \"true\"}\n");
    checkout.write("db.yaml", &after);
    let run = checkout.bulla(&["git", "diff"]).exits(0);
    for part in [
        "SealedSecret prod/db2: renamed from prod/db, scope strict -> namespace-wide",
        "scope strict -> namespace-wide, now also to ",
        "NOT SEALED: is not base64",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(!run.out.contains("canary"), "{}", run.out);
}

#[test]
fn markdown_is_a_table_that_names_cannot_break_out_of() {
    let review = Review::new();
    let text = review.checkout.read("db.yaml").replace("name: db", "name: \"d`b|<b>\\n# x\"");
    review.checkout.write("db.yaml", &text);
    let markdown = review.diff(&["--output", "markdown"]).exits(0).out;
    assert!(markdown.starts_with("### Sealed values\n\n1 file(s): "), "{markdown}");
    assert!(
        markdown.contains("\n**`db.yaml`**\n\n| object | key | what changed |\n| --- | --- | --- |\n"),
        "{markdown}"
    );
    assert!(markdown.contains("| `prod/d'b\\|<b> # x` | `added` | added: native "), "{markdown}");
    assert!(!markdown.contains("\n# x") && !markdown.contains('\u{1b}'), "{markdown}");
    let rows = markdown.lines().filter(|line| line.starts_with("| `"));
    assert!(rows.clone().count() >= 5 && rows.clone().all(|row| row.ends_with(" |")), "{markdown}");
}

#[test]
fn a_version_that_cannot_be_read_is_said_and_does_not_hide_the_others() {
    let review = Review::new();
    review.checkout.write("broken.yaml", "kind: SealedSecret\na: [\n");
    review.checkout.git(&["add", "-N", "broken.yaml"]).exits(0);
    let text = review.diff(&[]).exits(0).out;
    assert!(text.contains("broken.yaml\n  not compared: after: line ") && text.contains("db.yaml\n"), "{text}");
}
