//! What goes wrong with one value or file does not stop the others; killed, every file is whole.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use bulla::seal::{Place, Scope};

use super::{in_file, json, object, opens, value, x25519};
use crate::checkout::Checkout;

const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "a" };

#[test]
fn what_cannot_be_sealed_again_is_named_and_the_rest_is_done() {
    let (old, new, stranger) = (x25519(), x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let good = |key: &str| value(&[old.recipient()], key);
    let mut damaged = good("damaged");
    damaged.replace_range(damaged.len() - 12..damaged.len() - 8, "AAAA");
    let mixed = object(&[
        ("a", good("a")),
        ("foreign", value(&[stranger.recipient()], "foreign")),
        ("damaged", damaged),
        ("nonsense", "hunter2".to_owned()),
        ("number", "12".to_owned()),
        ("z", good("z")),
    ]);
    checkout.write("mixed.yaml", &mixed);
    checkout.write("twice.yaml", &object(&[("a", good("a")), ("a", good("a"))]));
    checkout.write("broken.yaml", "kind: SealedSecret\n  spec: [\n");
    checkout.write("chart/templates/db.yaml", &format!("{{{{ if .x }}}}\n{}", object(&[("a", good("a"))])));
    checkout.write("not-text.yaml", "kind: SealedSecret \u{0}");
    let mut latin = std::fs::File::create(checkout.path("latin.yaml")).unwrap();
    std::io::Write::write_all(&mut latin, b"kind: SealedSecret # \xe9").unwrap();
    checkout.write("good.yaml", &object(&[("a", good("a"))]));
    let report = json(
        &checkout
            .reseal(&["-i", &keys[0], "-i", &keys[1], "--output", "json"])
            .exits(1)
            .says("could not be sealed again"),
    );
    let file = |name: &str| report["files"].as_array().unwrap().iter().find(|file| file["file"] == name).cloned();
    let failed = file("mixed.yaml").unwrap()["failed"].clone();
    let failed: Vec<(&str, u64)> = failed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["key"].as_str().unwrap(), one["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(failed, [("foreign", 10), ("damaged", 11), ("nonsense", 12), ("number", 13)]);
    assert_eq!((&report["resealed"], &report["written"]), (&6.into(), &true.into()), "{report:#}");
    for name in ["twice.yaml", "broken.yaml"] {
        assert_eq!(file(name).unwrap_or_else(|| panic!("{name}: {report:#}"))["failed"].as_array().unwrap().len(), 1);
    }
    for (name, key) in [("mixed.yaml", "a"), ("mixed.yaml", "z"), ("good.yaml", "a")] {
        assert!(
            opens(&in_file(&checkout.read(name), key), Scope::Strict, Place { key, ..PLACE }, &[&new]),
            "{name} {key}"
        );
    }
    let kept = checkout.read("mixed.yaml");
    assert!(kept.contains("    nonsense: hunter2\n    number: 12\n"), "{kept}");
    // For people: file, line, object, key and reason.
    let run = checkout.reseal(&["-i", &keys[0], "-i", &keys[1], "mixed.yaml"]).exits(1);
    assert!(run.out.contains("mixed.yaml:10: prod/db foreign is sealed to"), "{}", run.out);
    checkout.reseal(&["-i", &keys[0], "gone.yaml"]).exits(2).says("gone.yaml does not exist");
    checkout.reseal(&["-i", "gone.key", "good.yaml"]).exits(2).says("gone.key");
}

#[test]
fn a_folder_that_cannot_be_written_is_reported_and_modes_and_links_stay() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let text = object(&[("a", value(&[old.recipient()], "a"))]);
    for name in ["real/a.yaml", "mode.yaml"] {
        checkout.write(name, &text);
    }
    std::fs::set_permissions(checkout.path("mode.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real/a.yaml", checkout.path("link.yaml")).unwrap();
    checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(0);
    let mode = std::fs::metadata(checkout.path("mode.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(std::fs::symlink_metadata(checkout.path("link.yaml")).unwrap().is_symlink());
    assert!(opens(&in_file(&checkout.read("real/a.yaml"), "a"), Scope::Strict, PLACE, &[&new]));
    // Nothing is left beside the files.
    let left = checkout.git(&["status", "--porcelain", "-uall"]).exits(0).out;
    assert_eq!(left.lines().count(), 3, "{left}");
}

#[test]
fn a_link_in_a_folder_is_not_followed_out_of_the_repository() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let text = object(&[("a", value(&[old.recipient()], "a"))]);
    checkout.bench.write("victim.yaml", &text);
    checkout.write("ours.yaml", &text);
    checkout.write("plain/a.yaml", &text);
    let link = |from: &str, to: &std::path::Path| std::os::unix::fs::symlink(to, checkout.path(from)).unwrap();
    let victim = checkout.bench.path("victim.yaml");
    link("l.yaml", &victim);
    std::os::unix::fs::symlink("l.yaml", checkout.path("twice.yaml")).unwrap();
    link("plain/up.yaml", &checkout.path("ours.yaml"));
    // From a folder of the repository, its root is the border.
    let run = checkout.bulla(&["reseal", "-i", &keys[0], "-i", &keys[1], "."]).exits(0);
    assert!(run.err.contains("passed over: ./l.yaml is a link that leads out of"), "{}", run.err);
    assert!(run.err.contains("./twice.yaml") && !run.err.contains("up.yaml"), "{}", run.err);
    assert_eq!(checkout.bench.read("victim.yaml"), text);
    assert_ne!(checkout.read("ours.yaml"), text);
    checkout.bulla(&["verify"]).says("passed over: ./l.yaml is a link");
    // Without a repository the folder is.
    std::fs::remove_dir_all(checkout.path(".git")).unwrap();
    checkout.write("ours.yaml", &text);
    let run = checkout.bulla(&["reseal", "-i", &keys[0], "-i", &keys[1], "plain"]).exits(0);
    assert!(run.err.contains("passed over: plain/up.yaml is a link"), "{}", run.err);
    assert_eq!(checkout.read("ours.yaml"), text);
    // What is named is followed.
    checkout.bulla(&["reseal", "-i", &keys[0], "-i", &keys[1], "l.yaml"]).exits(0);
    assert_ne!(checkout.bench.read("victim.yaml"), text);
}

#[test]
fn killed_in_the_middle_every_file_is_whole_and_the_next_run_goes_on() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let texts: Vec<String> =
        (0..6).map(|_| object(&["a", "b", "c"].map(|key| (key, value(&[old.recipient()], key))))).collect();
    let files: Vec<String> = (0..600).map(|number| format!("d{}/f{number}.yaml", number % 9)).collect();
    for (at, name) in files.iter().enumerate() {
        checkout.write(name, &texts[at % texts.len()]);
    }
    let (mut partly, mut pause) = (0, 60);
    for _ in 0..12 {
        let mut command = checkout.command("bulla");
        command.args(["reseal", "-i", &keys[0], "-i", &keys[1]]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut done = 0;
        for (at, name) in files.iter().enumerate() {
            let text = checkout.read(name);
            if text != texts[at % texts.len()] {
                done += 1;
                // All of it, or nothing.
                for key in ["a", "b", "c"] {
                    assert!(opens(&in_file(&text, key), Scope::Strict, Place { key, ..PLACE }, &[&new]), "{name}");
                }
            }
        }
        partly += usize::from((1..files.len()).contains(&done));
        if done == files.len() {
            break;
        }
        pause += 40;
    }
    assert!(partly > 0, "it was never killed in the middle");
    let run = checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(0);
    let left = checkout.git(&["status", "--porcelain", "-uall"]).exits(0).out;
    let odd: Vec<&str> = left.lines().filter(|line| !line.ends_with(".yaml")).collect();
    assert!(odd.iter().all(|line| line.contains("/.bulla-")), "only temporary files of killed runs: {odd:?}");
    assert!(run.out.contains("sealed again") || run.out.contains("as they should be"), "{}", run.out);
    checkout.reseal(&["--check", "--to", &new.recipient().to_string()]).exits(0);
}
