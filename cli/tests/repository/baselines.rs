//! Findings that are known already: `--write-baseline` and `--baseline`.

use serde_json::Value;

use crate::harness::Bench;

const CANARY: &str = "canary-hunter2";

fn secret(name: &str, key: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  {key}: {CANARY}\n")
}

fn repository() -> Bench {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path(".git")).unwrap();
    bench.write("old/a.yaml", &secret("a", "password"));
    bench.write("old/b.yaml", &secret("b", "password"));
    bench
}

#[test]
fn what_is_known_is_passed_over_and_what_is_new_is_not() {
    let bench = repository();
    bench.run(&["verify"]).exits(1);
    bench.run(&["verify", "--write-baseline", "known.json"]).exits(0).says("2 finding(s) written to known.json");
    let baseline = bench.read("known.json");
    assert!(!baseline.contains(CANARY) && !baseline.contains("line"), "{baseline}");
    let run = bench.run(&["verify", "--baseline", "known.json"]).exits(0);
    assert!(run.out.ends_with("nothing wrong, 2 known already\n"), "{}", run.out);

    // Lines move; another key, another file and another object are new.
    bench.write("old/a.yaml", &format!("# moved\n\n{}", secret("a", "password")));
    bench.run(&["verify", "--baseline", "known.json"]).exits(0);
    bench.write("old/a.yaml", &secret("a", "token"));
    let run = bench.run(&["verify", "--baseline", "known.json"]).exits(1);
    assert!(run.out.contains("stringData.token: in the clear") && !run.out.contains("old/b.yaml"), "{}", run.out);
    assert!(
        run.err.contains("known.json: no longer occurs, take it out of the baseline: plain-secret in old/a.yaml"),
        "{}",
        run.err
    );
    bench.write("old/a.yaml", &secret("a", "password"));
    bench.write("new/c.yaml", &secret("a", "password"));
    let run = bench.run(&["verify", "--baseline", "known.json"]).exits(1);
    assert_eq!(run.out.matches("[plain-secret]").count(), 1, "{}", run.out);
    // The same one twice in a file is one too many.
    std::fs::remove_file(bench.path("new/c.yaml")).unwrap();
    bench.write("old/a.yaml", &format!("{}---\n{}", secret("a", "password"), secret("a", "password")));
    let run = bench.run(&["verify", "--baseline", "known.json"]).exits(1);
    assert!(run.out.contains("✗ old/a.yaml:11:3") && !run.out.contains("old/a.yaml:5:3"), "{}", run.out);
}

#[test]
fn entries_that_are_gone_are_told_only_where_somebody_looked_and_reasons_stay() {
    let bench = repository();
    bench.run(&["verify", "--write-baseline", "known.json"]).exits(0);
    let baseline = bench.read("known.json").replacen(
        "\"path\": \"stringData.password\"",
        "\"path\": \"stringData.password\",\n      \"reason\": \"moves in May\"",
        1,
    );
    bench.write("known.json", &baseline);
    bench.write("old/b.yaml", "");
    assert_eq!(bench.run(&["verify", "--baseline", "known.json", "old/a.yaml"]).exits(0).err, "");
    bench.run(&["verify", "--baseline", "known.json"]).exits(0).says("no longer occurs");
    std::fs::remove_file(bench.path("old/b.yaml")).unwrap();
    bench.run(&["verify", "--baseline", "known.json", "old/a.yaml"]).exits(0).says("plain-secret in old/b.yaml");
    let json = bench.run(&["verify", "--baseline", "known.json", "--output", "json"]).exits(0).out;
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((report["known"].as_u64(), report["notes"].as_array().unwrap().len()), (Some(1), 1));

    // Written again: what is gone goes, the reason stays, and what was not looked at stays too.
    bench.write("old/c.yaml", &secret("c", "password"));
    bench.run(&["verify", "--write-baseline", "known.json", "old/c.yaml"]).exits(0);
    let known: Value = serde_json::from_str(&bench.read("known.json")).unwrap();
    let files: Vec<&str> =
        known["findings"].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["old/a.yaml", "old/c.yaml"]);
    assert_eq!(known["findings"][0]["reason"], "moves in May");
}

#[test]
fn a_baseline_means_the_same_from_every_folder_and_nothing_else_is_taken_for_one() {
    let bench = repository();
    bench.run(&["verify", "--write-baseline", "known.json"]).exits(0);
    for path in ["old", "./old", "old/../old"] {
        bench.run(&["verify", path, "--baseline", "known.json"]).exits(0);
    }
    let absolute = bench.path("old").canonicalize().unwrap();
    bench.run(&["verify", absolute.to_str().unwrap(), "--baseline", "known.json"]).exits(0);
    for (text, says) in [
        ("{}", "missing field"),
        ("[]", "reading the baseline"),
        ("{\"version\": 2, \"findings\": []}", "version 2 is not known"),
    ] {
        bench.write("odd.json", text);
        assert_ne!(bench.run(&["verify", "--baseline", "odd.json"]).says(says).code, 0);
        assert_ne!(bench.run(&["verify", "--write-baseline", "odd.json"]).code, 0);
        assert_eq!(bench.read("odd.json"), text);
    }
    bench.run(&["verify", "--baseline", "none.json"]).exits(2).says("none.json");
    bench.run(&["verify", "--baseline", "known.json", "--write-baseline", "known.json"]).exits(2);
}
