//! `bulla demo`, which checks itself.

use std::fs;
use std::path::Path;

use crate::harness::Bench;

/// So many things are checked without a cluster.
pub(crate) const CHECKS: usize = 20;

/// What must not be seen: values, and private keys.
const HIDDEN: [&str; 4] = ["correct-horse", "tr0ub4dor", "sk-live", "AGE-SECRET-KEY"];

/// How many things it says that it checked; verbs that it runs have such marks too, further in.
pub(crate) fn checks(out: &str) -> usize {
    out.lines().filter(|line| line.starts_with("   ✓ ")).count()
}

/// Where it says that all of it happens.
fn place(out: &str) -> Option<String> {
    let (_, rest) = out.split_once("All of it happens in ")?;
    rest.split_once(".\n").map(|(folder, _)| folder.to_owned())
}

#[test]
fn the_demo_checks_out_and_leaves_nothing() {
    let bench = Bench::new();
    let run = bench.run(&["demo"]).exits(0);
    assert_eq!(checks(&run.out), CHECKS, "{}", run.out);
    assert!(run.out.contains("Every step checked out"));
    for value in HIDDEN {
        assert!(!run.out.contains(value) && !run.err.contains(value), "{value}");
    }
    assert!(!bench.path("state").exists(), "the demo keeps its memory in its own folder");
    assert!(!Path::new(&place(&run.out).unwrap()).exists());
}

#[test]
fn what_the_demo_leaves_for_a_look_has_no_plaintext_on_the_disk() {
    let bench = Bench::new();
    let run = bench.run(&["demo", "--keep"]).exits(0);
    let (_, kept) = run.err.trim().rsplit_once("left for a look: ").unwrap();
    let folders: Vec<&str> = kept.split(" and ").collect();
    assert_eq!(place(&run.out).as_deref(), Some(folders[0]));
    let app = Path::new(folders[0]).join("frodo/root").join("etc/app/app.conf");
    let configuration = fs::read_to_string(&app).unwrap();
    assert!(configuration.contains("tr0ub4dor") && configuration.contains("sk-live"), "{configuration}");
    if let Some(memory) = folders.get(1) {
        assert!(app.canonicalize().unwrap().starts_with(memory), "the file is in memory");
    }
    for folder in folders {
        fs::remove_dir_all(folder).unwrap();
    }
}
