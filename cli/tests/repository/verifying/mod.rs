//! `bulla verify` over whole repositories: where values land, which keys open them, how findings are told.

mod changes;
mod example;
mod keys;
mod kustomize;
mod random;
mod reports;
mod templates;

use bulla::seal::{Binding, Place, Recipient, Scope};
use bulla::secret::Plaintext;
use serde_json::Value;

use crate::harness::{Bench, Run};

/// What no output may ever contain.
const CANARY: &str = "canary-hunter2";

/// A value that the library seals for a place.
fn sealed(recipients: &[&str], scope: Scope, namespace: &str, name: &str, key: &str) -> String {
    let recipients: Vec<Recipient> = recipients.iter().map(|recipient| recipient.trim().parse().unwrap()).collect();
    let binding = Binding::new(scope, Place { namespace, name, key }, "2026-01-01".parse().unwrap());
    bulla::seal::seal(&recipients, &Plaintext::copy_of(CANARY.as_bytes()), &binding).unwrap()
}

/// A SealedSecret with values under their keys; further metadata goes into `metadata`.
fn manifest(name: &str, metadata: &str, values: &[(&str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\n{metadata}spec:\n  encryptedData:\n"
    );
    values.iter().for_each(|(key, value)| text.push_str(&format!("    {key}: {value}\n")));
    text
}

/// A finding as the JSON report has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    rule: String,
    /// File, line and column.
    at: String,
    object: String,
    path: String,
    message: String,
}

/// What a run with `--output json` found.
fn found(run: &Run) -> Vec<Found> {
    assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{}{}", run.out, run.err);
    let report: Value =
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |one: &Value| Found {
        rule: text(&one["rule"]),
        at: format!("{}:{}:{}", text(&one["file"]), one["line"], one["column"]),
        object: text(&one["object"]),
        path: text(&one["path"]),
        message: text(&one["message"]),
    };
    report["findings"].as_array().unwrap().iter().map(one).collect()
}

/// What `bulla verify` with these arguments finds.
fn verify(bench: &Bench, arguments: &[&str]) -> Vec<Found> {
    found(&bench.run(&[&["verify", "--output", "json"], arguments].concat()))
}

/// File, line and column of the first line of a file that contains `text`, as findings have it.
fn at(bench: &Bench, file: &str, text: &str) -> String {
    let read = bench.read(file);
    let (line, column) =
        read.lines().enumerate().find_map(|(line, one)| Some((line + 1, one.find(text)? + 1))).unwrap_or_default();
    format!("{file}:{line}:{column}")
}

/// Runs git in a bench.
fn git(bench: &Bench, arguments: &[&str]) {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(bench.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with a key: the bench and its recipient.
fn repository() -> (Bench, String) {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path(".git")).unwrap();
    let recipient = bench.run(&["keys", "generate", "--type", "x25519", "-o", ".git/key"]).exits(0).out;
    (bench, recipient)
}
