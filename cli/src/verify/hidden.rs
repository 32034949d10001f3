//! Secrets in the clear in spellings that a reader may miss and kubectl does not.

use std::fs;

use super::{Check, Options, check};
use crate::leaks::KINDS_OF_SECRET;

const REST: &str = "metadata: {name: a}\nstringData: {p: canary}\n";

fn look(files: &[(&str, &[u8])]) -> Check {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut fs::File::create(path).unwrap(), bytes).unwrap();
    }
    check(&[folder.path().to_path_buf()], &Options::default()).ok().unwrap()
}

fn rules(bytes: &[u8]) -> Vec<&'static str> {
    look(&[("a.yaml", bytes)]).findings.into_iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn a_secret_is_found_however_its_kind_is_written() {
    for kind in KINDS_OF_SECRET {
        let text = format!("apiVersion: v1\n{kind}\n{REST}");
        assert_eq!(rules(text.as_bytes()), ["plain-secret"], "{text}");
        let inner: String = text.lines().map(|line| format!("    {line}\n")).collect();
        let within = format!("kind: ConfigMap\ndata:\n  a.yaml: |\n{inner}");
        assert_eq!(rules(within.as_bytes()), ["plain-secret"], "{within}");
    }
    let list = "kind: SecretList\nitems: [{stringData: {p: canary}}]\n";
    assert_eq!(rules(list.as_bytes()), ["plain-secret"]);
    assert_eq!(rules("kind: Secret\nstringData: {p: \"\\ue000canary\"}\n".as_bytes()), ["plain-secret"]);
    assert_eq!(rules("kind: ConfigMap\ndata: {p: \"S\\u0065cret\"}\n".as_bytes()), [""; 0]);
}

#[test]
fn many_documents_of_a_file_that_is_no_yaml_take_no_more_time_than_their_length() {
    let many = 60_000;
    let text = format!("kind: Secret\n{{{{ x\n{}---\nkind: Secret\n{REST}", "---\na: 1\n".repeat(many));
    let begun = std::time::Instant::now();
    let found = look(&[("a.yaml", text.as_bytes())]).findings;
    // It takes two seconds of a processor, of which a busy machine has few; copies of all lines before each took minutes.
    assert!(begun.elapsed().as_secs() < 90, "{:?}", begun.elapsed());
    assert_eq!(found.last().map(|one| (one.rule.id, one.line)), Some(("plain-secret", Some(2 * many + 6))));
}

#[test]
fn places_in_documents_apart_are_those_in_the_file() {
    let text = "a: [ x\n---\nkind: ConfigMap\ndata:\n  a: |\n    kind: Secret\n    stringData:\n      p: canary\n---\nb: {{ x }}\n";
    let found = look(&[("a.yaml", text.as_bytes())]).findings;
    let places: Vec<_> =
        found.iter().filter(|one| one.rule.id == "plain-secret").map(|one| (one.line, one.column)).collect();
    assert_eq!(places, [(Some(8), Some(7))]);
}

#[test]
fn no_encoding_hides_a_secret_and_what_was_not_looked_at_is_a_finding() {
    let text = format!("kind: Secret\n{REST}");
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rules(&[&[0xff, 0xfe], utf16.as_slice()].concat()), ["plain-secret"]);
    for bytes in [[b"# \xff\n", text.as_bytes()].concat(), [b"# \0\n", text.as_bytes()].concat(), utf16] {
        assert_eq!(rules(&bytes), ["not-looked-at", "plain-secret"]);
    }
    let large = format!("#{}\n{text}", "x".repeat(16 << 20));
    assert_eq!(rules(large.as_bytes()), ["not-looked-at"]);
}
