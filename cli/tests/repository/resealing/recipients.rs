//! To whom: what `.bulla.yaml` names, what is typed, who is added and who is taken away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Identity, Recipient, Scope};

use super::{CANARY, hybrid, in_file, json, keys_of, object, rsa, sealed, value, x25519};
use crate::checkout::Checkout;
use crate::support::tools;

fn rules(to: &[&Recipient]) -> String {
    let to: Vec<String> = to.iter().map(|one| format!("\"{one}\"")).collect();
    format!("version: 1\nrules:\n- path: '**'\n  recipients: [{}]\n", to.join(", "))
}

fn sorted(ids: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().collect();
    ids.sort();
    ids
}

fn ids(of: &[&Identity]) -> Vec<String> {
    sorted(of.iter().map(|one| one.key_id().to_string()))
}

#[test]
fn a_change_in_the_rules_is_rolled_out() {
    let [cluster, recovery, person, next] = [(); 4].map(|()| x25519());
    let checkout = Checkout::plain();
    checkout.write(".bulla.yaml", &rules(&[cluster.recipient()]));
    checkout.write(
        "db.yaml",
        &object(&[("a", value(&[cluster.recipient()], "a")), ("b", value(&[recovery.recipient()], "b"))]),
    );
    let (key, other) = (checkout.key_file("cluster.key", &cluster), checkout.key_file("recovery.key", &recovery));
    let sets: [&[&Identity]; 4] =
        [&[&cluster, &recovery], &[&cluster, &recovery, &person], &[&next, &recovery], &[&cluster, &recovery]];
    for set in sets {
        checkout.write(".bulla.yaml", &rules(&set.iter().map(|one| one.recipient()).collect::<Vec<_>>()));
        // No private key is needed to see that something is to be done.
        checkout.reseal(&["--check"]).exits(1).says("2 value(s) are to be sealed again");
        checkout.reseal(&["-i", &other, "-i", &key]).exits(0);
        for key in ["a", "b"] {
            assert_eq!(sorted(keys_of(&in_file(&checkout.read("db.yaml"), key))), ids(set));
        }
        checkout.reseal(&["--check"]).exits(0);
        let before = checkout.read("db.yaml");
        checkout.reseal(&["-i", &other, "-i", &key]).exits(0);
        assert_eq!(checkout.read("db.yaml"), before);
    }
    // Who has none of the keys sees it too: nothing is opened that is as it should be.
    let stranger = checkout.key_file("stranger.key", &x25519());
    checkout.reseal(&["-i", &stranger]).exits(0);
    checkout.write(".bulla.yaml", &rules(&[next.recipient()]));
    let run = checkout.reseal(&["-i", &stranger]).exits(1);
    assert!(run.out.contains("which this keyring does not hold"), "{}", run.out);
}

#[test]
fn recipients_are_added_and_removed_and_the_others_stay() {
    let [old, new, person, recovery] = [(); 4].map(|()| hybrid());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    checkout.write("db.yaml", &object(&[("a", value(&[old.recipient(), recovery.recipient()], "a"))]));
    let a = || sorted(keys_of(&in_file(&checkout.read("db.yaml"), "a")));
    // Of the recovery key only the id is known.
    checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(0);
    assert_eq!(a(), ids(&[&new, &recovery]));
    let added = person.recipient().to_string();
    checkout.reseal(&["-i", &keys[1], "--add", &added]).exits(0);
    assert_eq!(a(), ids(&[&new, &recovery, &person]));
    // All of them open it, with a tool that knows nothing of this.
    let sealed = STANDARD.decode(in_file(&checkout.read("db.yaml"), "a")).unwrap();
    for (name, identity) in [("recovery.key", &recovery), ("person.key", &person), ("new.key", &new)] {
        let key = checkout.key_file(name, identity);
        let opened = tools::stdout_of(tools::age(&["-d", "-i", &key], &sealed));
        assert_eq!(String::from_utf8(opened).unwrap(), format!("{CANARY}-a"), "{name}");
    }
    assert!(!tools::age(&["-d", "-i", &keys[0]], &sealed).status.success());
    let before = checkout.read("db.yaml");
    checkout.reseal(&["-i", &keys[1], "--add", &added]).exits(0);
    assert_eq!(checkout.read("db.yaml"), before, "it has them all");
    let run = checkout.reseal(&["-i", &keys[1], "--remove", &recovery.key_id().to_string()]).exits(0);
    assert!(run.out.contains(&format!("{} opens 1 of them no more", recovery.key_id())), "{}", run.out);
    assert_eq!(a(), ids(&[&new, &person]));
    checkout.reseal(&["-i", &keys[1], "--remove", &added]).exits(0);
    assert_eq!(a(), ids(&[&new]));
    // The one that everything is sealed to cannot be taken away, nor can somebody unheard of be named.
    let run = checkout.reseal(&["-i", &keys[1], "--remove", &new.key_id().to_string()]).exits(1);
    assert!(run.out.contains("cannot be removed"), "{}", run.out);
    checkout.reseal(&["-i", &keys[1], "--remove", "nobody"]).exits(2);
    assert_eq!(a(), ids(&[&new]));
}

#[test]
fn whoever_could_not_open_a_value_before_is_told_with_the_rules_that_name_them() {
    let [old, new, stranger] = [(); 3].map(|()| x25519());
    let checkout = Checkout::plain();
    let key = checkout.key_file("old.key", &old);
    checkout.write(".bulla.yaml", &rules(&[new.recipient()]));
    checkout.write("sub/.bulla.yaml", &rules(&[stranger.recipient()]));
    for name in ["a.yaml", "sub/b.yaml"] {
        checkout.write(name, &object(&[("a", value(&[old.recipient()], "a"))]));
    }
    let run = checkout.reseal(&["-i", &key, "--dry-run"]).exits(0);
    let line =
        |id: &Identity, by: &str| format!("{} opens 1 of them now, and could not before: named by {by}\n", id.key_id());
    assert!(run.out.contains(&line(&stranger, "sub/.bulla.yaml")), "{}", run.out);
    assert!(run.out.contains(&line(&new, ".bulla.yaml")), "{}", run.out);
    // What is typed is by nobody's rules.
    let run = checkout.reseal(&["-i", &key, "--dry-run", "--to", &new.recipient().to_string()]).exits(0);
    assert!(run.out.contains("opens 2 of them now, and could not before\n"), "{}", run.out);
}

#[test]
fn what_is_typed_goes_before_the_rules_and_is_exact() {
    let [old, new, person] = [(); 3].map(|()| x25519());
    let checkout = Checkout::plain();
    let key = checkout.key_file("old.key", &old);
    checkout.write(".bulla.yaml", &rules(&[old.recipient()]));
    checkout.write("db.yaml", &object(&[("a", value(&[old.recipient(), person.recipient()], "a"))]));
    checkout.write("to.txt", &format!("# the new one\n{}\n", new.recipient()));
    let report = json(&checkout.reseal(&["-i", &key, "--to", "to.txt", "--output", "json"]).exits(0));
    assert_eq!(keys_of(&in_file(&checkout.read("db.yaml"), "a")), ids(&[&new]));
    for lost in [&old, &person] {
        assert_eq!(report["lost"][lost.key_id().to_string()], 1, "{report}");
    }
    assert_eq!(report["gained"][new.key_id().to_string()], 1, "{report}");
}

#[test]
fn kinds_that_do_not_go_together_are_refused_with_the_reason() {
    let (old, person, new) = (x25519(), x25519(), hybrid());
    let checkout = Checkout::plain();
    let keys = [
        checkout.key_file("old.key", &old),
        checkout.key_file("person.key", &person),
        checkout.key_file("new.key", &new),
    ];
    let before =
        object(&[("a", value(&[old.recipient(), person.recipient()], "a")), ("b", value(&[old.recipient()], "b"))]);
    checkout.write("db.yaml", &before);
    let mixed = "recipients of different kinds (hybrid and x25519) cannot share one value: age forbids mixing";
    let (to_new, to_old) = (new.recipient().to_string(), old.recipient().to_string());
    let run = checkout.reseal(&["-i", &keys[0], "--to", &to_new, "--to", &to_old]).exits(1).says(mixed);
    assert_eq!(run.out, "");
    let run = checkout.reseal(&["-i", &keys[2], "--add", &to_old]).exits(1);
    assert!(run.out.contains(mixed), "{}", run.out);
    assert_eq!(checkout.read("db.yaml"), before);
    // Of one value only the other recipient is of another kind: the rest goes on.
    let run = checkout.reseal(&["-i", &keys[0], "-i", &keys[1], "-i", &keys[2]]).exits(1);
    assert!(
        run.out.contains("db.yaml:9: prod/db a opens, but cannot be sealed again") && run.out.contains(mixed),
        "{}",
        run.out
    );
    assert_eq!(keys_of(&in_file(&checkout.read("db.yaml"), "b")), ids(&[&new]));
    // Without the person it can go.
    checkout.reseal(&["-i", &keys[0], "-i", &keys[2], "--remove", &person.key_id().to_string()]).exits(0);
    assert_eq!(keys_of(&in_file(&checkout.read("db.yaml"), "a")), ids(&[&new]));
    // Nor does a native value become one of kubeseal's, nor get one of kubeseal's a second recipient.
    checkout.write("cert.pem", &rsa(0).certificate);
    let run = checkout.reseal(&["-i", &keys[2], "--to", "cert.pem"]).exits(1);
    assert!(run.out.contains("would lose its binding to the data key"), "{}", run.out);
    let place = bulla::seal::Place { namespace: "prod", name: "db", key: "a" };
    checkout.write("db.yaml", &object(&[("a", sealed(&[&rsa(0).recipient()], Scope::Strict, place))]));
    let pem = checkout.key_file("0.pem", &rsa(0).identity());
    let run = checkout.reseal(&["-i", &pem, "--add", &to_new]).exits(1);
    assert!(run.out.contains("has one recipient: move it to the native format"), "{}", run.out);
}

#[test]
fn a_rule_that_cannot_be_read_stops_its_files_and_nothing_else_happens() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let before = object(&[("a", value(&[old.recipient()], "a"))]);
    checkout.write("db.yaml", &before);
    for (rules, said) in [
        ("version: 1\nrules: [{path: '**', recipients: [age1nonsense]}]\n", "not a recipient"),
        ("version: 1\nrules: [{path: '**', recipientFiles: [gone.txt]}]\n", "gone.txt"),
        ("version: 2\n", "version 2 is not known"),
    ] {
        checkout.write(".bulla.yaml", rules);
        let run = checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(1);
        assert!(run.out.contains(said), "{rules}: {}", run.out);
        assert_eq!(checkout.read("db.yaml"), before);
    }
}
