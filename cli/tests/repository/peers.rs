//! What gitleaks says of sealed values and of plain ones, beside `bulla scan`.

use serde_json::Value;

use crate::harness::{Bench, SECRET};
use crate::support::tools;

/// The files in which gitleaks finds something, each once.
fn by_gitleaks(bench: &Bench) -> Vec<String> {
    let folder = bench.path(".").canonicalize().unwrap();
    let reports = tempfile::tempdir().unwrap();
    let report = reports.path().join("gitleaks.json");
    let to = format!("--report-path={}", report.display());
    tools::stdout_of(tools::gitleaks(&["dir", folder.to_str().unwrap(), &to, "--exit-code=0", "--no-banner"], b""));
    let findings: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let prefix = format!("{}/", folder.display());
    let name = |file: &str| file.strip_prefix(&prefix).unwrap_or(file).to_owned();
    files(findings.as_array().unwrap().iter().map(|one| name(one["File"].as_str().unwrap())))
}

/// The files in which `bulla scan` finds something, each once.
fn by_bulla(bench: &Bench) -> Vec<String> {
    let found: Value = serde_json::from_str(&bench.run(&["scan", "--output", "json"]).out).unwrap();
    files(found["findings"].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap().to_owned()))
}

fn files(found: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = found.collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn gitleaks_reports_sealed_values_and_misses_string_data_and_bulla_does_the_opposite() {
    let bench = Bench::with_keys();
    std::fs::remove_file(bench.path("cluster.key")).unwrap();
    std::fs::remove_file(bench.path("small.key")).unwrap();
    // A sealed value is random characters beside a word like "password": that is all gitleaks goes by.
    // A few of each, since ciphertext that holds one of its stop words by chance is let off.
    for (recipient, number) in
        ["cluster", "small"].iter().flat_map(|recipient| (0..6).map(move |number| (recipient, number)))
    {
        let (to, out) = (format!("{recipient}.pub"), format!("sealed/{recipient}-{number}.yaml"));
        bench.write(&out, "");
        std::fs::remove_file(bench.path(&out)).unwrap();
        bench.pipe(&["seal", "--to", &to, "-o", &out], SECRET).exits(0);
    }
    // And a password in `stringData` is a word beside a word.
    bench.write("plain/string-data.yaml", SECRET);
    let reported = by_gitleaks(&bench);
    assert!(reported.len() > 2 && reported.iter().all(|file| file.starts_with("sealed/")), "{reported:?}");
    assert_eq!(by_bulla(&bench), ["plain/string-data.yaml"]);
}
