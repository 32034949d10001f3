//! Every case that the real text/template, Sprig and External Secrets have answered; `tests/servers/sprig/main.go` says how.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::secret::{
    Plaintext, Values,
    template::{Delimiters, Environment, MissingKey, render},
};

#[derive(serde::Deserialize)]
struct Case {
    template: String,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    binary: BTreeMap<String, String>,
    /// Values that are files of the folder `files`.
    #[serde(default)]
    files: BTreeMap<String, String>,
    default: Expected,
    strict: Option<Expected>,
}

#[derive(serde::Deserialize)]
struct Expected {
    output: Option<String>,
    binary: Option<String>,
    #[serde(default)]
    failed: bool,
}

impl Expected {
    fn bytes(&self) -> Option<Vec<u8>> {
        let binary = self.binary.as_ref().map(|binary| STANDARD.decode(binary).unwrap());
        let bytes = self.output.as_ref().map(|text| text.as_bytes().to_vec()).or(binary);
        assert_eq!(bytes.is_none(), self.failed);
        bytes
    }
}

/// Where Go renders something else: a part of the templates concerned, and how many cases of the table differ.
/// Decision 0004 says why they stay.
const KNOWN: &[(&str, usize)] = &[
    // Space after a comment that trims to its left only.
    ("{{- /* c */}} x", 1),
    // `%+v` puts a sign before the numbers in a map.
    ("printf \"%+v\" (dict", 1),
    // A pipe that leads nowhere is an error here.
    ("{{ .a | }}", 1),
    // Hexadecimal floating point.
    ("float64 \"0x1p4\"", 1),
    // Fails in Go.
    ("deepCopy nil", 1),
    // Where exactly illegal base64 with padding in the middle is illegal.
    ("b64dec .s | b64enc", 2),
    // Classes by Unicode name that the two engines bound differently.
    ("regexMatch \"\\\\Qa.b\\\\E\"", 1),
    // What `.` makes of bytes that are no text.
    ("regexReplaceAll \".\" .x", 1),
    // Offsets within an abbreviation of a zone, and fractions of a second before the year 1.
    ("(toDate .l .v).Unix", 4),
];

/// The same for the functions that External Secrets adds.
const KNOWN_OF_EXTERNAL: &[(&str, usize)] = &[
    // Other quotes and other folds around the same values.
    ("toYaml (", 15),
    // A private RSA key without the numbers that follow from its primes.
    ("jwkPrivateKeyPem .j", 1),
];

#[test]
fn every_template_renders_as_go_renders_it() {
    compare(include_str!("cases.json"), KNOWN, 1000);
}

#[test]
fn every_function_of_external_secrets_gives_what_go_gives() {
    compare(include_str!("external.json"), KNOWN_OF_EXTERNAL, 300);
}

fn compare(table: &str, known_differences: &[(&str, usize)], least: usize) {
    let cases: Vec<Case> = serde_json::from_str(table).unwrap();
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
    let (mut wrong, mut known) = (Vec::new(), vec![0; known_differences.len()]);
    for case in &cases {
        let mut values: Values = case.values.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        for (key, value) in &case.binary {
            values.insert(key.clone(), Plaintext::new(STANDARD.decode(value).unwrap()));
        }
        for (key, name) in &case.files {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/secret/template/tests/files").join(name);
            values.insert(key.clone(), Plaintext::new(fs::read(path).unwrap()));
        }
        let strict = case.strict.as_ref().unwrap_or(&case.default);
        for (missing_key, expected) in [(MissingKey::NoValue, &case.default), (MissingKey::Error, strict)] {
            let environment = Environment {
                now: jiff::Timestamp::now(),
                random: &random,
                missing_key,
                delimiters: Delimiters::default(),
            };
            let rendered = render(&case.template, &values, &environment);
            let same = rendered.as_ref().ok().map(|text| text.expose().to_vec()) == expected.bytes();
            if let (false, Some(at)) =
                (same, known_differences.iter().position(|(part, _)| case.template.contains(part)))
            {
                known[at] += 1;
                break;
            }
            if !same {
                let rendered = rendered.map(|text| String::from_utf8_lossy(text.expose()).into_owned());
                let expected = expected.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                wrong.push(format!(
                    "{}\n  values   {:?} {:?}\n  go       {expected:?}\n  rendered {rendered:?}\n",
                    case.template, case.values, case.files
                ));
                break;
            }
        }
    }
    let expected: Vec<usize> = known_differences.iter().map(|(_, count)| *count).collect();
    assert_eq!(known, expected, "known differences that are none any more, or more than are known");
    assert!(cases.len() >= least, "the table has shrunk");
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
