use bulla::secret::Plaintext;
use proptest::prelude::*;

use super::read::Mistake;
use super::{read, write};

fn values(pairs: &[(&str, &[u8])]) -> Vec<(String, Plaintext)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::copy_of(value))).collect()
}

fn written(pairs: &[(&str, &[u8])]) -> String {
    let values = values(pairs);
    write("a comment", values.iter().map(|(key, value)| (key.as_str(), value))).to_string()
}

fn told(text: &str) -> Vec<(String, Vec<u8>)> {
    let values = read(text).unwrap_or_else(|mistake| panic!("{mistake}:\n{text}"));
    values.into_iter().map(|(key, value)| (key, value.expose().to_vec())).collect()
}

fn mistake(text: &str) -> Mistake {
    match read(text) {
        Err(mistake) => mistake,
        Ok(_) => panic!("no mistake in {text:?}"),
    }
}

#[test]
fn values_stand_there_as_a_person_would_write_them() {
    let text = written(&[
        ("user", b"app"),
        ("port", b"5432"),
        ("url", b"postgres://app@db:5432/x?ssl=on"),
        ("password", b"it's #1: yes"),
        ("tls.key", b"-----BEGIN KEY-----\nabc\n-----END KEY-----\n"),
        ("cut", b"a\nb"),
        ("empty", b""),
        ("dos", b"a\r\nb\r\n"),
        ("bytes", &[0, 1, 255]),
    ]);
    let expected = "# a comment
user: app
port: 5432
url: postgres://app@db:5432/x?ssl=on
password: 'it''s #1: yes'
tls.key: |
  -----BEGIN KEY-----
  abc
  -----END KEY-----
cut: |-
  a
  b
empty: ''
dos: \"a\\r\\nb\\r\\n\"
bytes: !!binary \"AAH/\"
";
    assert_eq!(text, expected);
}

#[test]
fn what_is_typed_is_taken_as_it_is_written() {
    let text = "\u{feff}# c\n---\nport: 5432\noct: 0o17\nyes: no\nnothing: ~\n\"quoted\": \"a\\tb\"   # said\nfloat: 1e3\nbin: !!binary |\n  AAEC\n  /w==\nstr: !!str 12\n";
    let expected: [(&str, &[u8]); 8] = [
        ("port", b"5432"),
        ("oct", b"0o17"),
        ("yes", b"no"),
        ("nothing", b"~"),
        ("quoted", b"a\tb"),
        ("float", b"1e3"),
        ("bin", &[0, 1, 2, 255]),
        ("str", b"12"),
    ];
    assert_eq!(told(text), expected.map(|(key, value)| (key.to_owned(), value.to_vec())));
    assert!(told("").is_empty() && told("# nothing\n\n").is_empty() && told("{}\n").is_empty());
}

#[test]
fn what_yaml_would_take_away_is_a_mistake_and_nothing_is_repeated() {
    for (text, line, word) in [
        ("a: x\npassword: canary #1\n", 2, "begins a comment"),
        ("password: canary: 1\n", 1, "quotes"),
        ("password: canary\n  canary\n", 1, "several lines"),
        ("password: 'canary\n  canary'\n", 1, "several lines"),
        ("password: [canary]\n", 1, "list or a map"),
        ("password:\n  canary: canary\n", 2, "list or a map"),
        ("password: *canary\n", 1, "quotes"),
        ("password: &canary x\n", 1, "quotes"),
        ("password: !canary x\n", 1, "quotes"),
        ("password: !canary\n", 1, "quotes"),
        ("password: %canary\n", 1, "quotes"),
        ("password: @canary\n", 1, "quotes"),
        ("password: \"canary\n", 1, "quotes"),
        ("password:\nb: x\n", 1, "no value"),
        ("a: x\na: canary\n", 2, "twice"),
        ("canary=canary: x\n", 1, "not a data key"),
        ("canary\n", 1, "one `key: value`"),
        ("- canary\n", 1, "one `key: value`"),
        ("a: x\n---\nb: canary\n", 2, "nothing else"),
        ("a: !!binary canary!\n", 1, "base64"),
        ("<<: canary\n", 1, "makes no sense"),
        ("a:\n\tcanary\n", 2, "not readable"),
        ("a: 'x'\n'b\n", 2, "not readable"),
        ("-----BEGIN canary-----\nMII=\n-----END-----\n", 1, "one `key: value`"),
    ] {
        let found = mistake(text);
        let said = found.to_string();
        assert!(said.contains(word) && !said.contains("canary"), "{text:?}: {said}");
        assert!(found.line.abs_diff(line) <= 1, "{text:?}: {said}");
    }
}

#[test]
fn long_bytes_are_broken_into_lines() {
    let bytes: Vec<u8> = (0..=255).collect();
    let text = written(&[("bytes", &bytes)]);
    assert!(text.contains("bytes: !!binary |\n  AAEC") && text.lines().all(|line| line.len() <= 78), "{text}");
    assert_eq!(told(&text)[0].1, bytes);
}

proptest! {
    #[test]
    fn any_bytes_read_back_as_themselves(value in proptest::collection::vec(any::<u8>(), 0..200), key in "[a-z0-9._-]{1,20}") {
        prop_assume!(key != "." && !key.starts_with(".."));
        prop_assert_eq!(told(&written(&[(&key, &value), ("z-z", b"z")])), vec![(key, value), ("z-z".to_owned(), b"z".to_vec())]);
    }

    #[test]
    fn any_text_reads_back_as_itself(value in "[ \t\n\r#:'\"|>&*!{}\\[\\]%@`\\\\a-z\u{85}\u{2028}\u{feff}é-]{0,40}") {
        prop_assert_eq!(told(&written(&[("k", value.as_bytes()), ("z", b"z")])), vec![("k".to_owned(), value.into_bytes()), ("z".to_owned(), b"z".to_vec())]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(k: ?)?[ \t\n\r#:'\"|>&*!{}\\[\\]%@`\\\\a-z0-9=.?-]{0,60}") {
        drop(read(&text));
    }
}
