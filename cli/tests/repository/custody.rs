//! `bulla keys backup`, `restore`, `export` and `import`, and what reads their files.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::harness::{Bench, Run, SECRET};
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

#[test]
fn a_recovery_key_behind_a_passphrase_is_piped_in() {
    let bench = people();
    bench.run(&[&BACKUP[..], &["--to", "recovery.pub"]].concat()).exits(0);
    let passphrase = age::secrecy::SecretString::from("correct horse".to_owned());
    let mut recipient = age::scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(4);
    let sealed = age::encrypt(&recipient, bench.read("recovery.key").as_bytes()).unwrap();
    std::fs::File::create(bench.path("recovery.age")).and_then(|mut file| file.write_all(&sealed)).unwrap();
    let check = ["keys", "backup", "--check", "keys.age", "--identity"];
    let run = quiet(&bench, &[&check[..], &["recovery.age"]].concat()).exits(1);
    run.says("`age -d recovery.age` asks for it").says("`--identity -`");
    is_silent(bench.pipe(&[&check[..], &["-"]].concat(), &bench.read("recovery.key"))).exits(0);
}

/// Private keys do not show, in the clear or as base64; a message may say what one begins with.
pub(crate) fn is_silent(run: Run) -> Run {
    for text in [&run.out, &run.err] {
        let of_key = |rest: &&str| rest.trim_start_matches("PQ-1").bytes().take(12).all(|b| b.is_ascii_alphanumeric());
        assert!(!text.split("AGE-SECRET-KEY-").skip(1).any(|rest| of_key(&rest)), "{text}");
        for trace in ["QUdFLVNFQ1JFVC1LRVkt", "PRIVATE KEY-----", "LS0tLS1CRUdJTiBQUklWQVRF", "canary"] {
            assert!(!text.contains(trace), "{text}");
        }
    }
    run
}

fn quiet(bench: &Bench, arguments: &[&str]) -> Run {
    is_silent(bench.run(arguments))
}

fn mode(bench: &Bench, name: &str) -> u32 {
    std::fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o777
}

/// What the real age makes of a file.
fn opened(bench: &Bench, key: &str, file: &str) -> String {
    let (key, file) = (bench.path(key).display().to_string(), bench.path(file).display().to_string());
    String::from_utf8(tools::stdout_of(tools::age(&["-d", "-i", &key, &file], b""))).unwrap()
}

/// A bench with a recovery key, three custodians, and one who restores.
fn people() -> Bench {
    let bench = Bench::with_keys();
    for name in ["recovery", "ann", "ben", "eva", "restorer"] {
        let public = bench.run(&["keys", "generate", "-o", &format!("{name}.key")]).exits(0).out;
        bench.write(&format!("{name}.pub"), &public);
    }
    bench
}

const BACKUP: [&str; 8] = ["keys", "backup", "--identity", "small.key", "--identity", "cluster.key", "-o", "keys.age"];
const TWO_OF_THREE: [&str; 8] = ["--to", "ann.pub", "--to", "ben.pub", "--to", "eva.pub", "--threshold", "2"];

#[test]
fn without_a_cluster_identity_files_are_backed_up_and_plain_age_reads_them() {
    let bench = people();
    let run = quiet(&bench, &[&BACKUP[..], &["--to", "recovery.pub"]].concat()).exits(0);
    assert!(run.out.contains("2 key(s) are in keys.age") && run.out.contains("SHA-256"), "{}", run.out);
    assert_eq!(mode(&bench, "keys.age"), 0o600);
    let text = opened(&bench, "recovery.key", "keys.age");
    assert!(text.starts_with("# Sealing keys for a controller in namespace bulla-system"), "{text}");
    let list: Value = serde_saphyr::from_str(&text).unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!((list["kind"].as_str(), items.len()), (Some("List"), 2));
    // Files have no state: the last one is sealed to.
    let state = |item: &Value| item["metadata"]["labels"]["bulla.dev/sealing-key"].as_str().unwrap().to_owned();
    assert_eq!(items.iter().map(state).collect::<Vec<_>>(), ["opening", "active"]);
    let identity = STANDARD.decode(items[0]["data"]["identity"].as_str().unwrap()).unwrap();
    assert!(bench.read("small.key").contains(std::str::from_utf8(&identity).unwrap().trim()));

    // An older backup stays, unless that is said.
    let before = std::fs::read(bench.path("keys.age")).unwrap();
    bench.run(&[&BACKUP[..], &["--to", "recovery.pub"]].concat()).exits(1).says("keys.age is there already");
    assert_eq!(std::fs::read(bench.path("keys.age")).unwrap(), before);
    bench.run(&[&BACKUP[..], &["--to", "recovery.pub", "--overwrite"]].concat()).exits(0);
    assert_ne!(std::fs::read(bench.path("keys.age")).unwrap(), before);
    assert_eq!(mode(&bench, "keys.age"), 0o600);
    // Nothing half done lies about, and nothing in the clear.
    for entry in std::fs::read_dir(bench.path("")).unwrap() {
        let path = entry.unwrap().path();
        assert!(!path.file_name().unwrap().to_string_lossy().starts_with(".bulla-"));
        let is_key = path.extension().is_some_and(|extension| extension == "key");
        if path.is_file() && !is_key {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("AGE-SECRET-KEY") && !text.contains("QUdFLVNFQ1JFVC1LRVkt"), "{}", path.display());
        }
    }

    bench.run(&["keys", "backup", "--check", "keys.age"]).exits(1).says("give the private key that opens it");
    let run = quiet(&bench, &["keys", "backup", "--check", "keys.age", "-i", "recovery.key", "--output", "json"]);
    let checked: Value = serde_json::from_str(&run.exits(0).out).unwrap();
    assert_eq!(checked["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(checked["missing"], Value::Null);
    // What only the keys themselves could open is no backup, and kubeseal's certificates open no file.
    let own = [&BACKUP[..], &["--to", "cluster.pub", "--overwrite"]].concat();
    bench.run(&own).exits(1).says("is one of the keys that are backed up");
    let certificate = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    bench.write(
        "cert.pem",
        &rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&certificate).unwrap().pem(),
    );
    bench.run(&[&BACKUP[..], &["--to", "cert.pem", "--overwrite"]].concat()).exits(1).says("is a certificate");
    // A backup opens values.
    bench.pipe(&["seal", "--to", "small.pub", "-o", "db.yaml"], SECRET).exits(0);
    let run = bench.run(&["open", "db.yaml", "-i", "keys.age", "-i", "recovery.key", "--key", "password"]).exits(0);
    assert_eq!(run.out, "canary-hunter2");
}

#[test]
fn any_two_of_three_custodians_open_a_backup_and_one_does_not() {
    let bench = people();
    let run = quiet(&bench, &[&BACKUP[..], &TWO_OF_THREE].concat()).exits(0);
    assert!(run.out.contains("Any 2 of 3 open it") && run.out.contains("keys.age.share-3 for eva.pub"), "{}", run.out);
    bench.pipe(&["seal", "--to", "small.pub", "-o", "db.yaml"], SECRET).exits(0);
    let names = ["ann", "ben", "eva"];
    let (share, key) = (|n: usize| format!("keys.age.share-{}", n + 1), |n: usize| format!("{}.key", names[n]));
    assert_eq!(mode(&bench, &share(0)), 0o600);
    let with = |people: &[usize]| {
        let mut arguments = ["keys", "backup", "--check", "keys.age"].map(str::to_owned).to_vec();
        for n in people {
            arguments.extend(["--share".to_owned(), share(*n), "--identity".to_owned(), key(*n)]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        quiet(&bench, &arguments)
    };
    for pair in [[0, 1], [0, 2], [1, 2], [2, 0]] {
        with(&pair).exits(0);
    }
    with(&[0, 1, 2]).exits(0);
    for one in 0..3 {
        let missing: Vec<String> = (1..=3).filter(|n| *n != one + 1).map(|n| n.to_string()).collect();
        let run = with(&[one]).exits(1).says("2 shares of the backup of").says("1 is here");
        run.says(&format!("give 1 more of the shares {}", missing.join(", ")));
    }
    // The same share twice is one.
    with(&[1, 1]).exits(1).says("2 shares of the backup of");
    // A custodian's key without the share, and a share without its key.
    bench
        .run(&["keys", "backup", "--check", "keys.age", "-i", "ann.key"])
        .exits(1)
        .says("none of the 1 private key(s)");
    let lone = ["keys", "backup", "--check", "keys.age", "--share", "keys.age.share-1", "--share", "keys.age.share-2"];
    bench.run(&[&lone[..], &["-i", "ann.key"]].concat()).exits(1).says("keys.age.share-2");
    // Every verb that takes private keys takes them so.
    let run = bench.run(&[
        "open",
        "db.yaml",
        "-i",
        "keys.age",
        "-i",
        "keys.age.share-2",
        "-i",
        "ben.key",
        "-i",
        "keys.age.share-3",
        "-i",
        "eva.key",
        "--key",
        "password",
    ]);
    assert_eq!(run.exits(0).out, "canary-hunter2");

    // Shares of another backup are named.
    let other: Vec<&str> = BACKUP.iter().map(|word| if *word == "keys.age" { "other.age" } else { word }).collect();
    bench.run(&[&other[..], &TWO_OF_THREE].concat()).exits(0);
    let mixed =
        ["keys", "backup", "--check", "keys.age", "--share", "keys.age.share-1", "--share", "other.age.share-2"];
    let run = quiet(&bench, &[&mixed[..], &["-i", "ann.key", "-i", "ben.key"]].concat()).exits(1);
    run.says("other.age.share-2 is a share of another backup");
    // One that was changed is not taken for a key.
    let spoilt = opened(&bench, "ben.key", "keys.age.share-2");
    let line = spoilt.lines().last().unwrap();
    let bytes = line.trim_start_matches("share: \"").trim_end_matches('"');
    let mut points = STANDARD.decode(bytes).unwrap();
    *points.last_mut().unwrap() ^= 1;
    bench.write("spoilt", &spoilt.replace(bytes, &STANDARD.encode(points)));
    let run = quiet(
        &bench,
        &["keys", "backup", "--check", "keys.age", "--share", "keys.age.share-1", "--share", "spoilt", "-i", "ann.key"],
    );
    run.exits(1).says("do not come to the key");
    for (threshold, custodians, said) in
        [("4", None, "--threshold 4 of 3"), ("2", Some("4"), "--custodians 4, but 3 --to"), ("1", None, "1 is not in")]
    {
        let mut arguments = [&BACKUP[..], &TWO_OF_THREE[..7], &[threshold, "--overwrite"]].concat();
        arguments.extend(custodians.iter().flat_map(|number| ["--custodians", number]));
        bench.run(&arguments).exits(2).says(said);
    }
    let twice = [&BACKUP[..], &["--to", "ann.pub", "--to", "ann.pub", "--threshold", "2", "--overwrite"]].concat();
    bench.run(&twice).exits(2).says("one person would hold two shares");
}

#[test]
fn custodians_need_not_meet_each_sends_a_share_to_who_restores() {
    let bench = people();
    bench.run(&[&BACKUP[..], &TWO_OF_THREE].concat()).exits(0);
    let run = quiet(&bench, &["keys", "share", "show", "keys.age.share-2", "-i", "ben.key"]).exits(0);
    assert!(run.out.contains("share 2 of 3"), "{}", run.out);
    let run = quiet(&bench, &["keys", "share", "show", "keys.age.share-2", "-i", "ben.key", "--output", "json"]);
    let shown: Value = serde_json::from_str(&run.exits(0).out).unwrap();
    let sum = Sha256::digest(std::fs::read(bench.path("keys.age")).unwrap());
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((shown["threshold"].as_u64(), shown["backup"].as_str()), (Some(2), Some(sum.as_str())));
    bench.run(&["keys", "share", "show", "keys.age.share-2", "-i", "ann.key"]).exits(1).says("is opened by none");
    bench.run(&["keys", "share", "show", "keys.age", "-i", "ann.key"]).exits(1);

    for (file, key, out) in [("keys.age.share-1", "ann.key", "one.age"), ("keys.age.share-3", "eva.key", "three.age")] {
        let run = quiet(&bench, &["keys", "share", "open", file, "-i", key, "--to", "restorer.pub", "-o", out]);
        run.exits(0).says("encrypted to post-quantum key");
        assert!(bench.read(out).starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    }
    bench.write("mail.age", &bench.read("one.age").replace('\n', "\r\n"));
    let check = ["keys", "backup", "--check", "keys.age", "--share", "mail.age", "--share", "three.age", "-i"];
    quiet(&bench, &[&check[..], &["restorer.key"]].concat()).exits(0);
    quiet(&bench, &[&check[..], &["ann.key"]].concat()).exits(1);
}

#[test]
fn shares_come_together_without_this_program() {
    let bench = people();
    bench.run(&[&BACKUP[..], &TWO_OF_THREE].concat()).exits(0);
    let guide = include_str!("../../../docs/recovery.md");
    let (_, script) = guide.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    bench.write("combine.py", script);
    bench.write("one.txt", &opened(&bench, "ann.key", "keys.age.share-1"));
    bench.write("three.txt", &opened(&bench, "eva.key", "keys.age.share-3"));
    let output = std::process::Command::new("python3")
        .args(["combine.py", "three.txt", "one.txt"])
        .current_dir(bench.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bench.write("combined.key", std::str::from_utf8(&output.stdout).unwrap());
    assert!(opened(&bench, "combined.key", "keys.age").contains("kind: List"));
}
