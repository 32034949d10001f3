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
        let path = bench.path(&format!("all/{}", file.file));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, &file.bytes);
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
    let mut listed: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    // It is about files, not about what is in them.
    assert!(listed.remove("not-looked-at"));
    assert_eq!(caught.keys().copied().collect::<BTreeSet<_>>(), listed);
    assert!(caught.values().all(|count| *count >= 8), "{caught:?}");
}

fn write(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write as _;
    std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// A secret that is made up for one test, and a line that sets it.
fn made_up(seed: u64) -> (String, String) {
    let mut dice = Dice(seed);
    let secret = fill(&mut dice, "glpat-{20:a}");
    (format!("SERVICE={secret}\n"), secret)
}

#[test]
fn errors_fail_the_scan_warnings_only_when_strict_and_nothing_at_all_passes() {
    let bench = Bench::new();
    bench.write("clean/a.yaml", "a: b\n");
    assert!(bench.run(&["scan", "clean"]).exits(0).out.contains("1 file(s); nothing wrong"));
    let password = password(&mut Dice(7));
    bench.write("warned/a.yaml", &format!("db:\n  password: \"{password}\"\n"));
    let run = bench.run(&["scan", "warned"]).exits(0);
    assert!(run.out.contains("warned/a.yaml:2:14: something that looks random"), "{}", run.out);
    bench.run(&["scan", "warned", "--strict"]).exits(1);
    let (line, secret) = made_up(8);
    bench.write("leaky/deep/app.env", &format!("# a\n{line}"));
    let run = scan(&bench, &["leaky"], 1, std::slice::from_ref(&secret));
    assert_eq!(found(&run), [("gitlab-token".to_owned(), "leaky/deep/app.env".to_owned(), 2)]);
    bench.run(&["scan", "nowhere"]).exits(2).says("nowhere does not exist");
    let piped = bench.pipe(&["scan", "-"], &line).exits(1);
    silent(&piped, &[secret]);
    assert!(piped.out.contains("standard input:1:9: a GitLab token, 26 characters"), "{}", piped.out);
    for id in ["plain-secret", "generic-secret"] {
        assert!(bench.run(&["scan", "--explain", id]).exits(0).out.contains("Mend"));
    }
    bench.run(&["scan", "--explain", "nonsense"]).exits(2);
}

#[test]
fn what_is_said_to_be_meant_is_left_out_if_a_reason_is_given() {
    let bench = Bench::new();
    let (line, secret) = made_up(9);
    let allowed = [
        ("same.env", format!("{} # bulla:allow a token of the sandbox\n", line.trim_end())),
        ("above.env", format!("# bulla:allow a token of the sandbox\n{line}")),
        ("code.go", format!("// bulla:allow a token of the sandbox\nvar a = \"{secret}\"\n")),
        ("page.html", format!("<a t=\"{secret}\"></a> <!-- bulla:allow a token of the sandbox -->\n")),
        (
            "object.yaml",
            format!(
                "# bulla:allow nobody serves it\n# and more\nkind: Secret\nmetadata: {{name: a}}\nstringData:\n  b: hunter2x\n  c: {secret}\n"
            ),
        ),
        (
            "value.yaml",
            "kind: Secret\nmetadata: {name: a}\nstringData:\n  b: hunter2x # bulla:allow of the tests\n".to_owned(),
        ),
    ];
    for (file, text) in &allowed {
        bench.write(&format!("allowed/{file}"), text);
    }
    let run = scan(&bench, &["allowed"], 0, std::slice::from_ref(&secret));
    assert!(run.out.contains("\"allowed\": 7"), "{}", run.out);
    bench.write("not/unreasoned.env", &format!("{} # bulla:allow\n", line.trim_end()));
    bench.write("not/elsewhere.env", &format!("# bulla:allow a token of the sandbox\nA=b\n{line}"));
    let run = bench.run(&["scan", "not"]).exits(1).says("line 1: bulla:allow without a reason allows nothing");
    assert_eq!(run.out.matches("[gitlab-token]").count(), 2);
}

#[test]
fn an_allowlist_names_places_with_a_reason_for_a_time_and_tells_what_it_is_no_longer_for() {
    let bench = Bench::new();
    let ((line, secret), (other, _)) = (made_up(10), made_up(11));
    bench.write("work/.git/HEAD", "");
    bench.write("work/tests/deep/a.env", &line);
    bench.write("work/b.env", &format!("{line}{other}"));
    let list = |entries: &str| bench.write("work/.bulla-allow.yaml", &format!("version: 1\nallow:\n{entries}"));
    let here = |arguments: &[&str]| bench.run(&[&["scan", "work", "--output", "json"], arguments].concat());
    list("- {path: 'tests/**', rule: gitlab-token, reason: of the tests}\n");
    let run = here(&[]).exits(1);
    assert_eq!(rules(&run).len(), 2);
    // The second line only, by its fingerprint.
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let print = report["findings"][1]["fingerprint"].as_str().unwrap();
    list(&format!(
        "- {{path: 'tests/**', reason: of the tests}}\n- {{path: b.env, fingerprint: {print}, reason: revoked}}\n"
    ));
    let run = here(&[]).exits(1);
    assert_eq!(found(&run), [("gitlab-token".to_owned(), "work/b.env".to_owned(), 1)]);
    assert!(run.out.contains("\"allowed\": 2"));
    list("- {path: '**', reason: we are moving, until: 2020-01-01}\n- {path: gone/**, reason: was there}\n");
    let run = here(&[]).exits(1);
    assert_eq!(rules(&run).len(), 3);
    assert!(
        run.out.contains("allowed until 2020-01-01, counts again: **")
            && run.out.contains("fits nothing any more, take it out: gone/**")
    );
    list("- {path: '**'}\n");
    here(&[]).exits(1).says("missing field `reason`");
    bench.write("mine.yaml", "version: 1\nallow: [{path: 'work/**', reason: all of it}]\n");
    here(&["--allow", "mine.yaml"]).exits(0);
    silent(&bench.run(&["scan", "work"]), &[secret]);
}

#[test]
fn a_baseline_lets_old_findings_be_worked_off_while_nothing_new_comes_in() {
    let bench = Bench::new();
    bench.write("a/one.env", &made_up(12).0);
    bench.run(&["scan", "a", "--write-baseline", "known.json"]).exits(0);
    assert!(bench.run(&["scan", "a", "--baseline", "known.json"]).exits(0).out.contains("1 known already"));
    bench.write("a/two.env", &made_up(13).0);
    let run = bench.run(&["scan", "a", "--baseline", "known.json", "--output", "json"]).exits(1);
    assert_eq!(found(&run).len(), 1);
}

#[test]
fn what_git_ignores_is_left_out_unless_it_is_tracked_or_asked_for() {
    let checkout = crate::checkout::Checkout::plain();
    let (line, secret) = made_up(14);
    checkout.write(".gitignore", "*.env\nbuild/\n");
    checkout.write("tracked.env", &line);
    checkout.git(&["add", "-f", "tracked.env"]).exits(0);
    for file in ["ignored.env", "build/out.txt", "plain.txt", "deep/plain.txt"] {
        checkout.write(file, &line);
    }
    let files = |arguments: &[&str]| {
        let run = checkout.bulla(&[&["scan", "--output", "json"], arguments].concat()).exits(1);
        silent(&run, std::slice::from_ref(&secret));
        found(&run).into_iter().map(|(_, file, _)| file).collect::<Vec<_>>()
    };
    assert_eq!(files(&[]), ["deep/plain.txt", "plain.txt", "tracked.env"]);
    assert_eq!(files(&["--ignored"]), ["build/out.txt", "deep/plain.txt", "ignored.env", "plain.txt", "tracked.env"]);
    assert_eq!(files(&["deep"]), ["deep/plain.txt"]);
    assert_eq!(files(&["ignored.env"]), ["ignored.env"]);
    assert_eq!(files(&["--exclude", "deep", "--exclude", "*.txt"]), ["tracked.env"]);
}

#[test]
fn files_of_powershell_of_other_encodings_and_of_no_text_at_all_are_read_or_counted() {
    let bench = Bench::new();
    let secret = password(&mut Dice(15));
    let text = format!(
        "apiVersion: v1\r\nkind: Secret\r\nmetadata:\r\n  name: über\r\nstringData:\r\n  password: \"{secret}\"\r\n"
    );
    std::fs::create_dir(bench.path("a")).unwrap();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin1: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect();
    for (name, bytes) in
        [("utf16.yaml", utf16), ("latin1.yaml", latin1), ("bom.yaml", [b"\xef\xbb\xbf", text.as_bytes()].concat())]
    {
        write(&bench.path("a").join(name), &bytes);
    }
    // One byte that no text has, before a key, and a key amid bytes that are no text at all.
    write(&bench.path("a/zero"), &[&b"# \0\n"[..], text.as_bytes()].concat());
    write(&bench.path("a/binary"), &[&[0; 500][..], text.as_bytes()].concat());
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    write(&bench.path("a/firmware"), &[&[0; 500][..], key.as_bytes(), &[1; 500][..]].concat());
    let run = scan(&bench, &["a"], 1, &[secret]);
    let place = |file: &str| ("plain-secret".to_owned(), format!("a/{file}"), 6);
    assert_eq!(
        found(&run),
        [
            place("bom.yaml"),
            ("private-key".to_owned(), "a/firmware".to_owned(), 1),
            place("latin1.yaml"),
            place("utf16.yaml"),
            ("plain-secret".to_owned(), "a/zero".to_owned(), 7)
        ]
    );
    assert!(run.out.contains("1 file(s) that are not text: not looked at"), "{}", run.out);
}

#[test]
fn a_manifest_that_is_not_looked_at_is_a_finding() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("a")).unwrap();
    std::io::Write::write_all(
        &mut std::fs::File::create(bench.path("a/zero.yaml")).unwrap(),
        b"\0\0\0\0\nkind: Secret\n",
    )
    .unwrap();
    std::io::Write::write_all(
        &mut std::fs::File::create(bench.path("a/large.json")).unwrap(),
        &vec![b' '; (16 << 20) + 1],
    )
    .unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(bench.path("a/image.png")).unwrap(), b"\0").unwrap();
    let run = bench.run(&["scan", "a", "--strict"]).exits(1);
    assert!(
        run.out.contains("a/zero.yaml: is no text") && run.out.contains("a/large.json: has too many"),
        "{}",
        run.out
    );
    assert_eq!(run.out.matches("[not-looked-at]").count(), 2, "{}", run.out);
}

#[test]
fn the_documentation_lists_the_rules_as_they_are() {
    let bench = Bench::new();
    let listed: Value =
        serde_json::from_str(&bench.run(&["scan", "--rules", "--output", "json"]).exits(0).out).unwrap();
    let row = |rule: &Value| {
        let field = |name: &str| rule[name].as_str().unwrap().to_owned();
        format!("| `{}` | {} | {} |", field("id"), field("level"), field("summary"))
    };
    let rows: Vec<String> = listed.as_array().unwrap().iter().map(row).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scan.md")).unwrap();
    let there: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `") && (line.contains("| error |") || line.contains("| warning |")))
        .collect();
    assert_eq!(there, rows, "docs/scan.md should have:\n{}", rows.join("\n"));
}

#[test]
fn gitleaks_leaves_sealed_values_alone_with_our_configuration_and_still_finds_tokens() {
    let bench = Bench::with_keys();
    for (number, text) in sealed(&bench).iter().enumerate() {
        bench.write(&format!("repo/{number}.yaml"), text);
        let folded = text.replace("    password: ", "    password: >-\n      ");
        bench.write(&format!("repo/folded/{number}.yaml"), &folded);
    }
    let (line, secret) = made_up(16);
    bench.write("repo/app.env", &line);
    bench.write(".gitleaks.toml", &bench.run(&["scan", "--gitleaks-allowlist"]).exits(0).out);
    let (repo, config) = (bench.path("repo"), bench.path(".gitleaks.toml"));
    let files = |more: &[&str]| {
        let arguments = [
            &[
                "dir",
                repo.to_str().unwrap(),
                "--no-banner",
                "--redact",
                "--exit-code",
                "0",
                "--report-format",
                "json",
                "--report-path",
                "-",
            ],
            more,
        ]
        .concat();
        let report: Value = serde_json::from_slice(&tools::stdout_of(tools::gitleaks(&arguments, b""))).unwrap();
        let names = report
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["File"].as_str().unwrap().rsplit_once("repo/").unwrap().1.to_owned());
        names.collect::<BTreeSet<_>>()
    };
    let before = files(&[]);
    assert!(before.contains("app.env") && before.iter().any(|file| file.ends_with(".yaml")), "{before:?}");
    assert_eq!(files(&["--config", config.to_str().unwrap()]), BTreeSet::from(["app.env".to_owned()]));
    silent(&scan(&bench, &["repo"], 1, &[secret]), &[]);
}

#[test]
fn our_own_repository_has_nothing_in_the_clear_but_what_its_allowlist_gives_a_reason_for() {
    let bench = Bench::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let run = bench.run(&["scan", "--strict", "--output", "json", root]);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(run.code, 0, "{:#}", report["findings"]);
    assert!(report["checked"]["allowed"].as_u64().unwrap() > 20 && report["checked"]["texts"].as_u64().unwrap() > 500);
    let notes: Vec<&str> =
        report["notes"].as_array().unwrap().iter().map(|note| note["message"].as_str().unwrap()).collect();
    assert!(!notes.iter().any(|note| note.contains("fits nothing any more")), "{notes:?}");
}
