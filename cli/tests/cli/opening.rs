//! `bulla open`: offline, with every form of key that people have.

use base64::Engine as _;

use crate::harness::{Bench, SECRET};

#[test]
fn a_backup_of_upstreams_keys_opens_what_was_sealed_to_them() {
    let bench = Bench::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    bench.write("cert.pem", &rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem());
    let encoded = base64::engine::general_purpose::STANDARD.encode(key.serialize_pem());
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: sealed-secrets-keyabcde}}\ntype: kubernetes.io/tls\ndata:\n  tls.crt: aWdub3JlZA==\n  tls.key: {encoded}\n"
    );
    bench.write("backup.yaml", &secret);
    bench.write(
        "list.json",
        &format!(r#"{{"kind":"List","items":[{{"kind":"Secret","data":{{"tls.key":"{encoded}"}}}}]}}"#),
    );
    bench.write("key.pem", &key.serialize_pem());
    bench.pipe(&["seal", "--to", "cert.pem", "-o", "db.yaml"], SECRET).exits(0);
    for identity in ["backup.yaml", "list.json", "key.pem"] {
        let value = bench.run(&["open", "db.yaml", "-i", identity, "--key", "password"]).exits(0).out;
        assert_eq!(value, "canary-hunter2", "{identity}");
    }
}

#[test]
fn what_does_not_open_says_why_and_the_rest_is_opened() {
    let bench = Bench::with_keys();
    bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], SECRET).exits(0);
    bench.run(&["open", "db.yaml", "-i", "small.key"]).exits(1).says("which this keyring does not hold");
    let renamed = bench.read("db.yaml").replace("name: db", "name: other");
    bench
        .pipe(&["open", "-i", "cluster.key"], &renamed)
        .exits(1)
        .says("was sealed for key \"password\" of \"prod/db\"");
    let both = format!("{}---\n{renamed}", bench.read("db.yaml"));
    let run = bench.pipe(&["open", "-i", "cluster.key"], &both).exits(1);
    assert_eq!(run.out.matches("kind: Secret").count(), 1);
    assert!(!run.err.contains("canary"));
}

#[test]
fn a_template_is_rendered_as_the_controller_renders_it() {
    let bench = Bench::with_keys();
    let sealed = bench.pipe(&["seal", "--to", "small.pub"], SECRET).exits(0).out;
    let sealed = sealed.replace("  template:\n", "  template:\n    data:\n      url: 'postgres://{{ .username }}:{{ .password | urlquery }}@db/{{ upper \"app\" }}'\n");
    let url = bench.pipe(&["open", "-i", "small.key", "--key", "url"], &sealed).exits(0).out;
    assert_eq!(url, "postgres://app:canary-hunter2@db/APP");
}

#[test]
fn a_broken_key_file_is_named_and_never_quoted() {
    let bench = Bench::with_keys();
    bench.pipe(&["seal", "--to", "small.pub", "-o", "db.yaml"], SECRET).exits(0);
    let key = bench.read("small.key");
    bench.write("broken.key", &key.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1Q"));
    let run =
        bench.run(&["open", "db.yaml", "-i", "broken.key"]).exits(1).says("broken.key: line 3 is not an identity");
    assert!(!run.err.contains("AGE-SECRET-KEY-1Q"));
    bench.run(&["open", "db.yaml", "-i", "nowhere.key"]).exits(2).says("nowhere.key");
}
