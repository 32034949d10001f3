//! The peers' command-line tools, run once: standard input in, output out.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

use super::servers;

/// Runs the real `age` (1.3, which knows the hybrid keys).
pub(crate) fn age(arguments: &[&str], stdin: &[u8]) -> Output {
    run("age", arguments, stdin)
}

/// Runs the real `age-keygen`; `-pq` makes a hybrid key.
pub(crate) fn age_keygen(arguments: &[&str], stdin: &[u8]) -> Output {
    run("age-keygen", arguments, stdin)
}

/// Runs the real `kubeseal`. With `--cert FILE` it needs no cluster; a kubeconfig of the user
/// who runs the tests is never looked at: pass `--kubeconfig` to mean one.
pub(crate) fn kubeseal(arguments: &[&str], stdin: &[u8]) -> Output {
    run("kubeseal", arguments, stdin)
}

/// Runs the real `kustomize`.
pub(crate) fn kustomize(arguments: &[&str]) -> Output {
    run("kustomize", arguments, &[])
}

/// Runs the real `helm`.
pub(crate) fn helm(arguments: &[&str]) -> Output {
    run("helm", arguments, &[])
}

/// Runs the real `gitleaks`, which searches for secrets.
pub(crate) fn gitleaks(arguments: &[&str], stdin: &[u8]) -> Output {
    run("gitleaks", arguments, stdin)
}

/// The folder of the C2SP test vectors for age, one file a vector.
pub(crate) fn age_vectors() -> PathBuf {
    servers::path("cctv-age")
}

/// The output of a tool that was to succeed; panics with what it said where it did not.
pub(crate) fn stdout_of(output: Output) -> Vec<u8> {
    assert!(
        output.status.success(),
        "the tool failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn run(name: &str, arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(servers::path(name))
        .args(arguments)
        .env("KUBECONFIG", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    let mut pipe = child.stdin.take().expect("standard input is a pipe");
    thread::scope(|scope| {
        // A tool that refuses its arguments ends without reading: not an error of the test bed.
        scope.spawn(move || pipe.write_all(stdin).ok());
        child.wait_with_output().unwrap_or_else(|error| panic!("waiting for {name}: {error}"))
    })
}
