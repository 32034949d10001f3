//! Files without sealed values: to the byte what Git makes of them without a driver.

use std::collections::BTreeMap;

use crate::checkout::{Checkout, put};
use crate::support::dice::Dice;

const FILES: usize = 60;
/// Few different lines, so that there is more than one way to match them.
const LINES: [&str; 10] =
    ["a: b", "- x", "  name: c", "", "}", "---", "# kind: SealedSecret", "- y: [1]", "  z: |", "===="];

fn text(dice: &mut Dice) -> Vec<String> {
    (0..dice.below(25)).map(|_| LINES[dice.below(LINES.len())].to_owned()).collect()
}

/// Some lines changed, put in, or taken out.
fn edited(lines: &[String], dice: &mut Dice) -> Vec<String> {
    let mut lines = lines.to_vec();
    for _ in 0..1 + dice.below(3) {
        let at = dice.below(lines.len() + 1);
        match dice.below(3) {
            0 if at < lines.len() => drop(lines.remove(at)),
            1 if at < lines.len() => lines[at] = format!("new: {}", dice.below(4)),
            _ => lines.insert(at, LINES[dice.below(LINES.len())].to_owned()),
        }
    }
    lines
}

fn file(lines: &[String], style: usize) -> Vec<u8> {
    let mut text = lines.join(if style == 0 { "\r\n" } else { "\n" });
    if style != 1 && !text.is_empty() {
        text.push_str(if style == 0 { "\r\n" } else { "\n" });
    }
    let mut bytes = text.into_bytes();
    if style == 2 && bytes.len() % 7 == 0 {
        // Not text.
        bytes.extend_from_slice(b"\0\xff");
    }
    bytes
}

/// Status and content of every file after a merge; the name of the base, which only Git knows, aside.
fn after_merge(checkout: &Checkout) -> (i32, BTreeMap<String, (String, Vec<u8>)>) {
    let run = checkout.git(&["merge", "--no-edit", "other"]);
    let status = checkout.git(&["status", "--porcelain"]).exits(0).out;
    let state = |name: &str| {
        let line = status.lines().find(|line| line.ends_with(&format!(" {name}")));
        line.map(|line| line[..2].to_owned()).unwrap_or_default()
    };
    let files = (0..FILES).filter_map(|index| {
        let name = format!("{index}.yaml");
        let text = std::fs::read(checkout.path(&name)).ok()?;
        let lines: Vec<Vec<u8>> = text
            .split(|byte| *byte == b'\n')
            .map(|line| {
                let is_base = line.starts_with(b"||||||| ");
                if is_base {
                    [&b"||||||| "[..], if line.ends_with(b"\r") { b"\r" } else { b"" }].concat()
                } else {
                    line.to_vec()
                }
            })
            .collect();
        Some((name.clone(), (state(&name), lines.join(&b'\n'))))
    });
    let files = files.collect();
    checkout.git(&["reset", "-q", "--hard", "start"]).exits(0);
    (run.code, files)
}

#[test]
fn hundreds_of_random_merges_are_gits_own() {
    let mut conflicts = 0;
    for (seed, style) in [(1, "merge"), (2, "diff3"), (3, "zdiff3"), (4, "merge")] {
        let checkout = Checkout::installed();
        checkout.git(&["config", "merge.conflictStyle", style]).exits(0);
        let mut dice = Dice(seed);
        let base: Vec<(Vec<String>, usize)> = (0..FILES).map(|_| (text(&mut dice), dice.below(8))).collect();
        let commit = |versions: Vec<Vec<u8>>| {
            for (index, bytes) in versions.into_iter().enumerate() {
                put(&checkout.path(&format!("{index}.yaml")), &bytes);
            }
            checkout.git(&["add", "-A"]).exits(0);
            checkout.git(&["commit", "-qm", "x", "--no-verify", "--allow-empty"]).exits(0);
        };
        commit(base.iter().map(|(lines, style)| file(lines, *style)).collect());
        checkout.git(&["checkout", "-q", "-b", "other"]).exits(0);
        commit(base.iter().map(|(lines, style)| file(&edited(lines, &mut dice), *style)).collect());
        checkout.git(&["checkout", "-q", "main"]).exits(0);
        commit(base.iter().map(|(lines, style)| file(&edited(lines, &mut dice), *style)).collect());
        checkout.git(&["tag", "start"]).exits(0);

        let with = after_merge(&checkout);
        std::fs::create_dir_all(checkout.path(".git/info")).unwrap();
        checkout.write(".git/info/attributes", "* !merge\n");
        let without = after_merge(&checkout);
        for (name, bytes) in &without.1 {
            assert_eq!(with.1.get(name), Some(bytes), "{name} of {style}, seed {seed}");
        }
        assert_eq!(with, without);
        conflicts += without.1.values().filter(|(status, _)| status == "UU").count();
    }
    assert!((20..200).contains(&conflicts), "{conflicts} conflicts: the inputs are of both kinds");
}
