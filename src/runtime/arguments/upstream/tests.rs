use std::collections::BTreeMap;

use super::flags::FLAGS;
use super::*;
use crate::runtime::RunArguments;

const NOTHING: &[(&str, &str)] = &[];

fn wish(words: &[&str], variables: &[(&str, &str)]) -> Result<Wish, String> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let words = std::iter::once("controller").chain(words.iter().copied()).map(OsString::from).collect();
    translate(words, |name| variables.get(name).map(OsString::from))
}

fn words(words: &[&str], variables: &[(&str, &str)]) -> (Vec<String>, Vec<Notice>) {
    match wish(words, variables).unwrap() {
        Wish::Version => panic!("a version"),
        Wish::Read(words, notices) => {
            let words = words.into_iter().skip(1).map(|word| word.into_string().unwrap());
            // What is added for whoever comes from upstream has a test of its own.
            (words.filter(|word| word != "--kubeseal-certificates=true").collect(), notices)
        }
    }
}

/// What is run in the end.
fn run(given: &[&str], variables: &[(&str, &str)]) -> Box<RunArguments> {
    let Wish::Read(words, notices) = wish(given, variables).unwrap() else { panic!("a version") };
    let read = Arguments::read(words, notices).unwrap_or_else(|error| panic!("{given:?}: {error}"));
    let Verb::Run(run) = read.command else { panic!("{given:?} does not run the controller") };
    run
}

#[test]
fn whoever_starts_it_as_upstreams_program_gets_certificates_for_kubeseal() {
    let made = |given: &[&str], variables: &[(&str, &str)]| run(given, variables).keys.kubeseal_certificates;
    assert_eq!(made(&["--update-status"], NOTHING), Some(true));
    assert_eq!(made(&["--update-status", "--kubeseal-certificates=false"], NOTHING), Some(false));
    assert_eq!(made(&["run", "--update-status"], NOTHING), None);
    assert_eq!(made(&["run"], NOTHING), None);
}

/// Every flag with its default, in all forms: nothing is an error, and each has exactly one of: an effect, a notice.
#[test]
fn every_flag_of_upstream_is_taken_in_every_form() {
    let ours = Arguments::command();
    let ours = ours.find_subcommand("run").unwrap();
    for flag in FLAGS {
        let (name, default) = (flag.name, flag.default);
        let joined = [format!("--{name}={default}"), format!("-{name}={default}")];
        let mut forms: Vec<Vec<&str>> = joined.iter().map(|word| vec![word.as_str()]).collect();
        let dashed = format!("--{name}");
        forms.push(if flag.kind == Kind::Switch { vec![&dashed] } else { vec![&dashed, default] });
        for form in forms {
            let notices = run(&form, NOTHING).notices;
            let is_ours = argument(ours, name).is_some();
            assert_eq!(notices.len(), usize::from(!is_ours), "{form:?}: {notices:?}");
            assert!(notices.iter().all(|notice| notice.answer.starts_with(&notice.given)), "{notices:?}");
        }
        if !default.is_empty() {
            let variable = flags::variable(flag);
            let notices = run(&["--log-level=info"], &[(&variable, default)]).notices;
            assert!(notices.iter().all(|notice| notice.given == format!("{variable}={default}")), "{notices:?}");
        }
    }
}

#[test]
fn bad_values_are_errors_that_name_the_setting() {
    // A log level may be any filter: it is judged when logging starts.
    for flag in FLAGS.iter().filter(|flag| flag.kind != Kind::Text && flag.name != "log-level") {
        let (word, variable) = (format!("--{}=?", flag.name), flags::variable(flag));
        let variables = [(variable.as_str(), "?")];
        for (words, variables, named) in [([word.as_str()], NOTHING, &word), (["run"], &variables, &variable)] {
            let problem = match wish(words.as_slice(), variables) {
                Err(problem) => problem,
                // Ours to judge: it is then known by our flag.
                Ok(Wish::Read(words, notices)) => {
                    let problem = Arguments::read(words, notices).map(drop).unwrap_err().to_string();
                    assert!(problem.contains(&format!("--{}", flag.name)), "{problem}");
                    continue;
                }
                Ok(Wish::Version) => panic!("a version"),
            };
            assert!(problem.contains(named), "{problem}");
        }
    }
    assert!(wish(&["--key-size"], NOTHING).unwrap_err().contains("needs a value"));
}

#[test]
fn without_the_word_run_it_runs_all_the_same() {
    assert_eq!(words(&["--update-status"], NOTHING).0[..1], ["run"]);
    assert_eq!(words(&["run", "--update-status"], NOTHING).0[..1], ["run"]);
    // Nothing at all: in a pod it is upstream's manifest, elsewhere somebody who wants to know what this is.
    assert_eq!(words(&[], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]).0, ["run"]);
    assert_eq!(words(&[], NOTHING).0, Vec::<String>::new());
    assert_eq!(words(&["--help"], NOTHING).0, ["--help"]);
    assert_eq!(words(&["frobnicate", "--v=1"], NOTHING).0, ["frobnicate", "--v=1"]);
}

#[test]
fn the_version_is_printed_as_upstream_prints_it() {
    for word in ["--version", "-version", "--version=true", "-V"] {
        assert!(matches!(wish(&[word], NOTHING), Ok(Wish::Version)), "{word}");
    }
    assert!(matches!(wish(&["--update-status", "--version"], NOTHING), Ok(Wish::Version)));
    assert!(matches!(wish(&["--version=false"], NOTHING), Ok(Wish::Read(..))));
    assert!(wish(&["--version=perhaps"], NOTHING).is_err());
    let text = version();
    let number = text.lines().next().unwrap().strip_prefix("controller version: ").unwrap();
    assert_eq!(number.split('.').count(), 3, "{text}");
}

#[test]
fn ours_wins_where_both_are_said() {
    let (line, notices) = words(&["--listen", "127.0.0.1:1", "--listen-addr=127.0.0.1:2"], NOTHING);
    assert_eq!(line, ["run", "--listen", "127.0.0.1:1"]);
    assert!(notices[0].answer.contains("gives way to --listen"), "{notices:?}");

    let both = [("SEALED_SECRETS_LISTEN_ADDR", "127.0.0.1:2"), ("BULLA_LISTEN", "127.0.0.1:1")];
    let (line, notices) = words(&["run"], &both);
    assert_eq!(line, ["run"]);
    assert!(notices[0].answer.contains("gives way to BULLA_LISTEN"), "{notices:?}");
    // But not over what was typed.
    assert_eq!(words(&["--listen-addr=127.0.0.1:3"], &both).0, ["run", "--listen=127.0.0.1:3"]);
    assert_eq!(words(&["run"], &both[..1]).0, ["run", "--listen=127.0.0.1:2"]);
}

#[test]
fn the_last_of_several_counts_and_the_command_line_before_the_environment() {
    let (line, notices) = words(&["--listen-addr=127.0.0.1:1", "-listen-addr", "127.0.0.1:2"], NOTHING);
    assert_eq!((line, notices.len()), (vec!["run".to_owned(), "--listen=127.0.0.1:2".to_owned()], 1));
    let environment = [("SEALED_SECRETS_LISTEN_ADDR", "127.0.0.1:9"), ("SEALED_SECRETS_PORT", "tcp://10.0.0.1:8080")];
    assert_eq!(words(&["--listen-addr=127.0.0.1:1"], &environment).0, ["run", "--listen=127.0.0.1:1"]);
}

#[test]
fn switches_follow_the_form_that_ours_have() {
    for (given, expected) in [("--update-status", true), ("--update-status=1", true), ("--update-status=F", false)] {
        assert_eq!(run(&[given], NOTHING).sealed.update_status, expected, "{given}");
    }
    assert!(!run(&["--update-status", "false"], NOTHING).sealed.update_status);
    assert!(run(&["-skip-recreate"], NOTHING).sealed.skip_recreate);
    assert!(!run(&["--skip-recreate=false"], NOTHING).sealed.skip_recreate);
}

#[test]
fn go_writes_ours_with_one_dash_too() {
    assert_eq!(words(&["-controller-namespace=x", "-h"], NOTHING).0, ["run", "--controller-namespace=x", "-h"]);
}

#[test]
fn the_pods_namespace_is_the_controllers() {
    let pod = [("POD_NAMESPACE", "kube-system")];
    assert_eq!(run(&["run"], &pod).controller_namespace.as_deref(), Some("kube-system"));
    assert_eq!(run(&["--controller-namespace=x"], &pod).controller_namespace.as_deref(), Some("x"));
}

/// As the chart and the manifest of upstream start it.
#[test]
fn upstreams_helm_values_carry_over() {
    let chart = [
        "--update-status",
        "--key-prefix",
        "sealed-secrets-key",
        "--listen-addr",
        ":8080",
        "--listen-metrics-addr",
        ":8081",
        "--additional-namespaces",
        "b,a",
        "--key-renew-period",
        "720h",
        "--rate-limit",
        "2",
        "--privatekey-labels",
        "a=b",
        "--log-info-stdout",
        "--log-level",
        "INFO",
        "--log-format",
        "text",
        "--max-unseal-retries",
        "7",
        "--watch-for-secrets",
        "--kubeclient-qps",
        "50",
        "--kubeclient-burst",
        "100",
    ];
    let run = run(&chart, &[("POD_NAMESPACE", "kube-system")]);
    assert_eq!(run.server.listen.port(), 8080);
    let config = run.controller("other");
    assert_eq!(config.namespace, "kube-system");
    let served: Vec<_> = ["a", "b", "kube-system"].map(str::to_owned).into();
    assert_eq!(config.namespaces, crate::controllers::Namespaces::These(served));
}
