//! `bulla keys backup`, `restore`, `export` and `import`, and what reads their files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Bench, SECRET};
use crate::support::tools;

/// A Secret of a cluster with the key in this file.
fn key_secret(bench: &Bench, name: &str, file: &str, state: &str) -> String {
    let identity = STANDARD.encode(bench.read(file));
    format!(
        "- apiVersion: v1\n  kind: Secret\n  metadata: {{name: {name}, labels: {{bulla.dev/sealing-key: {state}}}}}\n  data: {{identity: {identity}}}\n"
    )
}

/// Encrypts with the real age.
fn age(bench: &Bench, recipients: &str, text: &str, out: &str, armored: bool) {
    let (recipients, out) = (bench.path(recipients).display().to_string(), bench.path(out).display().to_string());
    let mut arguments = vec!["-R", &recipients, "-o", &out];
    arguments.extend(armored.then_some("-a"));
    tools::stdout_of(tools::age(&arguments, text.as_bytes()));
}

#[test]
fn an_age_file_of_keys_opens_values_with_the_key_that_opens_it() {
    let bench = Bench::with_keys();
    bench.run(&["keys", "generate", "-o", "recovery.key"]).exits(0);
    let public = bench.run(&["keys", "generate", "-o", "other.key"]).exits(0).out;
    bench.write("other.pub", &public);
    bench.pipe(&["seal", "--to", "small.pub", "-o", "db.yaml"], SECRET).exits(0);
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}", key_secret(&bench, "old", "small.key", "retired"));
    for armored in [false, true] {
        age(&bench, "cluster.pub", &list, "backup.age", armored);
        for order in [["backup.age", "cluster.key"], ["cluster.key", "backup.age"]] {
            let run = bench.run(&["open", "db.yaml", "-i", order[0], "-i", order[1], "--key", "password"]);
            assert_eq!(run.exits(0).out, "canary-hunter2");
        }
    }
    // A chain: the key of the backup is itself in an age file.
    age(&bench, "other.pub", &bench.read("cluster.key"), "cluster.age", false);
    let chain = ["open", "db.yaml", "-i", "backup.age", "-i", "cluster.age", "-i", "other.key", "--key", "password"];
    assert_eq!(bench.run(&chain).exits(0).out, "canary-hunter2");

    bench.run(&["open", "db.yaml", "-i", "backup.age"]).exits(1).says("backup.age is encrypted: give the private key");
    let run = bench.run(&["open", "db.yaml", "-i", "backup.age", "-i", "small.key"]).exits(1);
    run.says("backup.age is encrypted, and none of the 1 private key(s) given opens it");
    bench.write("cut.age", &bench.read("backup.age")[..400]);
    bench.run(&["open", "db.yaml", "-i", "cut.age", "-i", "cluster.key"]).exits(1).says("cut.age is damaged");
}
