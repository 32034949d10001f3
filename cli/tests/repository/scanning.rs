//! `bulla scan`: what it finds, what it leaves alone, and that it never repeats what it found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::{Bench, Run, SECRET};
use crate::specimens::{Specimen, fill, innocent, leaky, password};
use crate::support::dice::Dice;
use crate::support::tools;

/// Every output of a scan, which must end as told and hold none of the secrets.
fn scan(bench: &Bench, arguments: &[&str], code: i32, secrets: &[String]) -> Run {
    for format in ["text", "sarif", "github"] {
        let run = bench.run(&[&["scan", "--output", format], arguments].concat()).exits(code);
        silent(&run, secrets);
    }
    let run = bench.run(&[&["scan", "--output", "json"], arguments].concat()).exits(code);
    silent(&run, secrets);
    run
}

fn silent(run: &Run, secrets: &[String]) {
    for secret in secrets {
        assert!(!run.out.contains(secret.as_str()) && !run.err.contains(secret.as_str()), "{secret} was printed");
    }
}

/// Rule, file and line of every finding.
fn found(run: &Run) -> Vec<(String, String, u64)> {
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|one| (text(one, "rule"), text(one, "file"), one["line"].as_u64().unwrap())).collect()
}

fn rules(run: &Run) -> Vec<String> {
    found(run).into_iter().map(|(rule, ..)| rule).collect()
}

/// SealedSecrets of both formats, made by `bulla seal` and the real kubeseal.
fn sealed(bench: &Bench) -> Vec<String> {
    let secret = format!("{SECRET}  apiToken: {}\n", "x".repeat(60));
    let by_us = ["cluster.pub", "small.pub"].map(|key| bench.pipe(&["seal", "--to", key], &secret).exits(0).out);
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_4096).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["sealed".to_owned()]).unwrap().self_signed(&key).unwrap();
    bench.write("cert.pem", &certificate.pem());
    let path = bench.path("cert.pem");
    let by_kubeseal = tools::kubeseal(&["--cert", path.to_str().unwrap(), "--format", "yaml"], secret.as_bytes());
    let by_kubeseal = String::from_utf8(tools::stdout_of(by_kubeseal)).unwrap();
    by_us.into_iter().chain([by_kubeseal]).collect()
}

#[test]
fn recall_and_precision_on_a_thousand_files_are_at_least_99_percent_and_no_secret_is_printed() {
    let bench = Bench::with_keys();
    let mut dice = Dice(0x5eed_2026);
    let files: Vec<Specimen> = leaky(&mut dice).into_iter().chain(innocent(&mut dice, &sealed(&bench))).collect();
    for file in &files {
        bench.write(&format!("all/{}", file.file), &file.text);
    }
    let secrets: Vec<String> = files.iter().flat_map(|file| file.secrets.clone()).collect();
    let run = scan(&bench, &["all"], 1, &secrets);
    let mut left: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for (rule, file, line) in found(&run) {
        left.entry(file).or_default().push((rule, line));
    }
    let (mut caught, mut missed) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for (rule, file) in files.iter().filter_map(|file| Some((file.rule?, format!("all/{}", file.file)))) {
        let there = left.entry(file.clone()).or_default();
        let (right, wrong): (Vec<_>, Vec<_>) = there.drain(..).partition(|(found, _)| found == rule);
        *there = wrong;
        if right.is_empty() { missed.push((rule, file)) } else { *caught.entry(rule).or_default() += 1 }
    }
    let wrong: Vec<_> = left.into_iter().filter(|(_, found)| !found.is_empty()).collect();
    let (right, wrong_count) =
        (caught.values().sum::<usize>(), wrong.iter().map(|(_, found)| found.len()).sum::<usize>());
    let leaks = right + missed.len();
    let (recall, precision) = (right as f64 / leaks as f64, right as f64 / (right + wrong_count) as f64);
    println!("{leaks} leaks in {} files: recall {recall:.4}, precision {precision:.4}", files.len());
    println!("missed: {missed:#?}\nwrong: {wrong:#?}");
    assert!(leaks > 700 && files.len() - leaks > 300, "{leaks} of {}", files.len());
    assert!(recall >= 0.99 && precision >= 0.99, "recall {recall:.4}, precision {precision:.4}");
    // No rule is so seldom that it does not count.
    let listed: Value =
        serde_json::from_str(&bench.run(&["scan", "--rules", "--output", "json"]).exits(0).out).unwrap();
    let listed: BTreeSet<&str> = listed.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(caught.keys().copied().collect::<BTreeSet<_>>(), listed);
    assert!(caught.values().all(|count| *count >= 8), "{caught:?}");
}
