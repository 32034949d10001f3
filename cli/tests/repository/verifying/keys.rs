//! Which keys values are sealed to: what a keyring knows of them, and what `.bulla.yaml` allows.

use bulla::seal::{Binding, Place, Recipient, Scope};
use bulla::secret::Plaintext;
use serde_json::json;

use super::{Found, manifest, repository, sealed, verify};
use crate::harness::Bench;

fn key(bench: &Bench, name: &str, kind: &str) -> String {
    bench.run(&["keys", "generate", "--type", kind, "-o", &format!(".git/{name}")]).exits(0).out.trim().to_owned()
}

fn id(recipient: &str) -> String {
    recipient.parse::<Recipient>().unwrap().key_id().to_string()
}

fn value(to: &[&str]) -> String {
    sealed(to, Scope::Strict, "prod", "db", "password")
}

fn write(bench: &Bench, file: &str, value: &str) {
    bench.write(file, &manifest("db", "  namespace: prod\n", &[("password", value)]));
}

fn rules(found: &[Found]) -> Vec<&str> {
    found.iter().map(|one| one.rule.as_str()).collect()
}

#[test]
fn the_states_of_a_keyring_say_what_will_not_open() {
    let (bench, _) = repository();
    let keys = ["active", "opening", "retired", "compromised"].map(|state| (state, key(&bench, state, "x25519")));
    let of = |state: &str| keys.iter().find(|(known, _)| *known == state).map(|(_, key)| key.as_str()).unwrap();
    let offline = key(&bench, "offline", "x25519");
    let list: Vec<_> =
        keys.iter().map(|(state, key)| json!({"id": id(key), "type": "x25519", "state": state})).collect();
    // As `bulla keys list`, `bulla keys show` and kubectl print it.
    let listings = [
        json!({"keys": &list, "unopenedObjects": 0}),
        json!(&list),
        json!({"kind": "ConfigMap", "data": {"keys.json": json!({"keys": &list}).to_string()}}),
    ];
    for listing in listings {
        bench.write("keys.json", &listing.to_string());
        let found = |to: &[&str]| {
            write(&bench, "db.yaml", &value(to));
            verify(&bench, &["db.yaml", "--keyring", "keys.json"])
        };
        assert_eq!(found(&[of("active")]), []);
        assert_eq!(found(&[of("opening")]), []);
        assert_eq!(rules(&found(&[of("retired")])), ["retired-key"]);
        assert_eq!(rules(&found(&[of("compromised")])), ["compromised-key"]);
        assert_eq!(rules(&found(&[of("active"), of("compromised")])), ["compromised-key"]);
        assert_eq!(rules(&found(&[&offline])), ["unknown-key"]);
        // One key that opens is enough; another one is nobody's, unless .bulla.yaml names it.
        assert_eq!(found(&[of("active"), of("retired")]), []);
        let both = found(&[of("active"), &offline]);
        assert_eq!(rules(&both), ["unknown-key"]);
        assert!(both[0].message.contains(&id(&offline)) && !both[0].message.contains(&id(of("active"))), "{both:?}");
    }
    let rules_file = format!("version: 1\nrules:\n- path: '*.yaml'\n  recipients: [{}, {offline}]\n", of("active"));
    bench.write(".bulla.yaml", &rules_file);
    write(&bench, "db.yaml", &value(&[of("active"), &offline]));
    assert_eq!(verify(&bench, &["--keyring", "keys.json"]), []);
    // The offline key alone: allowed, but the cluster will not open it.
    write(&bench, "db.yaml", &value(&[&offline]));
    assert_eq!(rules(&verify(&bench, &["--keyring", "keys.json"])), ["missing-recipient", "unknown-key"]);
}

#[test]
fn a_reverted_commit_that_will_not_open_is_found_before_it_is_merged() {
    let (bench, _) = repository();
    let (old, new) = (key(&bench, "old", "x25519"), key(&bench, "new", "x25519"));
    let git = |arguments: &[&str]| super::git(&bench, arguments);
    std::fs::remove_dir_all(bench.path(".git")).unwrap();
    git(&["init", "-q"]);
    write(&bench, "db.yaml", &value(&[&old]));
    git(&["add", "."]);
    git(&["commit", "-qm", "old"]);
    write(&bench, "db.yaml", &value(&[&new]));
    git(&["commit", "-qam", "sealed again"]);
    let list = [(&old, "retired"), (&new, "active")].map(|(key, state)| json!({"id": id(key), "state": state}));
    bench.write("keys.json", &json!(list).to_string());
    assert_eq!(verify(&bench, &["--keyring", "keys.json"]), []);
    git(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(rules(&verify(&bench, &["--keyring", "keys.json"])), ["retired-key"]);
}

#[test]
fn what_a_rule_does_not_allow_is_found_where_it_lies() {
    let (bench, _) = repository();
    let (prod, dev) = (key(&bench, "prod", "x25519"), key(&bench, "dev", "x25519"));
    bench.write(
        ".bulla.yaml",
        &format!("version: 1\nrules:\n- {{path: 'prod/**', recipients: [{prod}]}}\n- {{path: 'dev/**', recipients: [{dev}, {prod}]}}\n"),
    );
    write(&bench, "prod/db.yaml", &value(&[&prod]));
    write(&bench, "dev/db.yaml", &value(&[&dev, &prod]));
    write(&bench, "other/db.yaml", &value(&[&dev]));
    assert_eq!(verify(&bench, &[]), []);
    write(&bench, "prod/db.yaml", &value(&[&prod, &dev]));
    let found = verify(&bench, &[]);
    assert_eq!((rules(&found), found[0].at.as_str()), (vec!["recipient"], "prod/db.yaml:8:5"));
    assert!(found[0].message.contains(&id(&dev)) && !found[0].message.contains(&id(&prod)), "{found:?}");
    write(&bench, "prod/db.yaml", &value(&[&prod]));
    write(&bench, "dev/db.yaml", &value(&[&dev]));
    assert_eq!(rules(&verify(&bench, &[])), ["missing-recipient"]);

    // A .bulla.yaml that cannot be followed is a finding where it is wrong, and the rest is checked.
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: 'prod/**'\n  recipients: [age1nonsense]\n");
    write(&bench, "prod/db.yaml", "hunter2");
    let found = verify(&bench, &[]);
    assert_eq!(rules(&found), ["bulla-yaml", "sealed-value"]);
    assert_eq!(found[0].at, ".bulla.yaml:3:3");
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: 'prod/**'\n  recipient: x\n");
    let found = verify(&bench, &[]);
    assert_eq!((rules(&found), found[0].at.as_str()), (vec!["bulla-yaml", "sealed-value"], ".bulla.yaml:4:3"));
}

#[test]
fn values_of_several_kinds_and_kubeseals_where_no_certificate_is_known_are_found() {
    let (bench, _) = repository();
    let (small, hybrid) = (key(&bench, "small", "x25519"), key(&bench, "hybrid", "hybrid"));
    let user = sealed(&[&hybrid], Scope::Strict, "prod", "db", "user");
    bench.write("db.yaml", &manifest("db", "  namespace: prod\n", &[("password", &value(&[&small])), ("user", &user)]));
    let found = verify(&bench, &[]);
    assert_eq!((rules(&found), found[0].at.as_str()), (vec!["mixed-kinds"], "db.yaml:7:3"));
    assert!(found[0].message.contains("user to hybrid keys; password to x25519 keys"), "{found:?}");

    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap().pem();
    bench.write("cert.pem", &certificate);
    bench.write("small.pub", &small);
    let secret = crate::harness::SECRET;
    bench.pipe(&["seal", "--to", "cert.pem", "-o", "rsa.yaml"], secret).exits(0);
    assert_eq!(verify(&bench, &["rsa.yaml"]), []);
    assert_eq!(verify(&bench, &["rsa.yaml", "--keyring", "cert.pem"]), []);
    assert_eq!(rules(&verify(&bench, &["rsa.yaml", "--keyring", "small.pub"])), ["unknown-key", "unknown-key"]);
    // Who migrates has such values: they open, and are worth a word.
    bench.write(".bulla.yaml", "version: 1\nrules:\n- {path: '**', recipientFiles: [small.pub]}\n");
    assert_eq!(rules(&verify(&bench, &["rsa.yaml"])), ["recipient", "recipient"]);
    bench.run(&["verify", "rsa.yaml"]).exits(0);
    bench.write(".bulla.yaml", "version: 1\nrules:\n- {path: '**', recipientFiles: [small.pub, cert.pem]}\n");
    let found = verify(&bench, &["rsa.yaml"]);
    assert_eq!((rules(&found), found[0].at.as_str()), (vec!["mixed-kinds"], ".bulla.yaml:3:3"));
}

#[test]
fn values_near_their_end_are_a_warning_and_those_past_it_an_error() {
    let (bench, to) = repository();
    let today = jiff_today();
    let dated = |days: i64| {
        let place = Place { namespace: "prod", name: "db", key: "password" };
        let mut binding = Binding::new(Scope::Strict, place, today);
        binding.not_after = Some(today.checked_add(jiff::Span::new().days(days)).unwrap());
        let to = [to.trim().parse::<Recipient>().unwrap()];
        write(&bench, "db.yaml", &bulla::seal::seal(&to, &Plaintext::copy_of(b"canary"), &binding).unwrap());
    };
    for (days, within, expected, code) in [
        (31, "30", None, 0),
        (30, "30", Some("expires-soon"), 0),
        (0, "0", Some("expires-soon"), 0),
        (-1, "0", Some("not-after"), 1),
        (5, "4", None, 0),
    ] {
        dated(days);
        let arguments = ["verify", "--output", "json", "--expires-within", within];
        let found = super::found(&bench.run(&arguments).exits(code));
        assert_eq!(rules(&found), expected.into_iter().collect::<Vec<_>>(), "{days} {within}");
    }
}

fn jiff_today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}
