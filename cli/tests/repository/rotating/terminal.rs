//! A person at a terminal: asked before anything happens, and shown how far it has got.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::team::{CANARY, Team};

/// Gives a program a terminal, and types standard input there.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// The whole run at a terminal on which `typed` is typed: exit code, and what was to be seen.
fn at_a_terminal(team: &Team, typed: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL, env!("CARGO_BIN_EXE_bulla"), "rotate", "repo"]);
    command.args(["--identity", "old.key", "--new-identity", "new.key"]).current_dir(team.bench.path(""));
    let path = std::env::var_os("PATH").unwrap();
    command.env_clear().env("PATH", path).env("HOME", team.bench.path("")).env("TERM", "xterm-256color");
    command.envs(variables.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(!seen.contains(CANARY) && !seen.contains("AGE-SECRET-KEY"), "{seen}");
    (done.status.code().unwrap(), seen)
}

#[test]
fn a_person_sees_the_plan_and_is_asked() {
    let team = Team::new(30);
    let before = team.git(&["status", "--porcelain"]);
    let (code, seen) = at_a_terminal(&team, "no\n", &[]);
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("60 values in 30 files") && seen.contains("Do it? Type yes:"), "{seen}");
    assert!(seen.contains("nothing was changed"), "{seen}");
    assert_eq!(team.git(&["status", "--porcelain"]), before);
    assert!(!team.bench.path("new.key").exists() && !team.state().exists());

    let (code, seen) = at_a_terminal(&team, "yes\n", &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("files sealed again") && seen.contains("\u{1b}["), "no bar: {seen:?}");
    team.assert_rotated(30);
}

#[test]
fn no_color_is_respected_and_a_dumb_terminal_gets_no_bar() {
    let team = Team::new(30);
    let (code, seen) = at_a_terminal(&team, "yes\n", &[("NO_COLOR", "1"), ("TERM", "dumb")]);
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains('\u{1b}') && !seen.contains("files sealed again"), "{seen:?}");
    let (code, seen) = at_a_terminal(&Team::new(30), "yes\n", &[("NO_COLOR", "1")]);
    assert_eq!(code, 0, "{seen}");
    // Movements of the cursor only.
    assert!(seen.contains("files sealed again") && !seen.contains("[32m") && !seen.contains("[1m"), "{seen:?}");
}
