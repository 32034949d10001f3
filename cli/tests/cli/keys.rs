//! `bulla keys`.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::Bench;

#[test]
fn generate_writes_a_private_file_and_prints_the_recipient() {
    let bench = Bench::new();
    for (kind, public, private) in
        [("hybrid", "age1pq1", "AGE-SECRET-KEY-PQ-1"), ("x25519", "age1", "AGE-SECRET-KEY-1")]
    {
        let file = format!("{kind}.key");
        let run = bench.run(&["keys", "generate", "--type", kind, "-o", &file]).exits(0).says("keep it out of Git");
        assert!(run.out.starts_with(public), "{}", run.out);
        assert!(!run.err.contains("AGE-SECRET-KEY") && !run.out.contains("AGE-SECRET-KEY"));
        let text = bench.read(&file);
        assert!(text.contains(private) && text.contains(&format!("# public key: {}", run.out.trim())), "{text}");
        assert_eq!(std::fs::metadata(bench.path(&file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn generate_warns_of_a_key_that_git_would_take() {
    let bench = Bench::new();
    let git = std::process::Command::new("git").args(["init", "-q"]).current_dir(bench.path("")).status().unwrap();
    assert!(git.success());
    bench.run(&["keys", "generate", "-o", "recovery.key"]).exits(0).says("`git add -A` would take it");
    bench.write(".gitignore", "*.key\n");
    for file in ["other.key", ".git/third"] {
        let run = bench.run(&["keys", "generate", "-o", file]).exits(0);
        assert!(!run.err.contains("git add"), "{}", run.err);
    }
}

#[test]
fn generate_never_overwrites_a_key() {
    let bench = Bench::with_keys();
    let before = bench.read("cluster.key");
    bench.run(&["keys", "generate", "-o", "cluster.key"]).exits(2).says("never overwritten");
    assert_eq!(bench.read("cluster.key"), before);
}

#[test]
fn show_reads_the_rule_of_a_file() {
    let bench = Bench::with_keys();
    let public = bench.read("cluster.pub");
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: '**'\n  recipientFiles: [cluster.pub]\n");
    let run = bench.run(&["keys", "show", "--for", "a/db.yaml"]).exits(0);
    assert!(run.out.contains(public.trim()) && run.out.contains("hybrid"), "{}", run.out);
    let json = bench.run(&["keys", "show", "--for", "a/db.yaml", "--output", "json"]).exits(0).out;
    let keys: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(keys[0]["recipient"], public.trim());
}

#[test]
fn without_a_cluster_the_message_says_what_was_looked_for() {
    let bench = Bench::new();
    bench.run(&["keys", "show"]).exits(2).says("no kubeconfig");
    bench.run(&["keys", "show", "--kubeconfig", "nowhere"]).exits(2).says("nowhere");
    let secret = crate::harness::SECRET;
    bench.pipe(&["seal"], secret).exits(2).says("no --to, no rule in .bulla.yaml");
}
