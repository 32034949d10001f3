//! `paths.json` holds what version 1.18 of the Go library gjson makes of paths.

use proptest::{collection::vec, prelude::*, sample::select};

use crate::sync::projection::path::find;

fn found(json: &str, path: &str) -> Option<String> {
    find(json, path).unwrap().map(|found| String::from_utf8_lossy(&found).into_owned())
}

#[test]
fn paths_lead_where_the_go_library_goes() {
    let documents: Vec<serde_json::Value> = serde_json::from_str(include_str!("paths.json")).unwrap();
    let mut count = 0;
    for document in &documents {
        let json = document["document"].as_str().unwrap();
        for (path, wanted) in document["paths"].as_object().unwrap() {
            assert_eq!(found(json, path).as_deref(), wanted.as_str(), "{path} in {json}");
            count += 1;
        }
    }
    assert!(count > 500, "{count}");
}

/// Where the Go library would lose digits, or stops at a number of steps.
#[test]
fn differences_from_the_go_library() {
    let json =
        r#"{"long":123456789.123456789,"huge":1E9999,"a*b":1,"axb":2,"s":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"}"#;
    assert_eq!(found(json, "long").unwrap(), "123456789.123456789");
    assert_eq!(found(json, "huge").unwrap(), "1E9999");
    assert_eq!(found(json, r"?\*b").unwrap(), "1");
    let stars = "[s].#(%\"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*c\")";
    assert_eq!(found(json, stars).unwrap(), "a".repeat(40) + "c");
    // A bracket that is never closed leads nowhere.
    assert_eq!(found(json, "[long"), None);
}

#[test]
fn hostile_paths_end() {
    let json = format!(r#"{{"{}":{}1{}}}"#, "a".repeat(5000), "[".repeat(20_000), "]".repeat(20_000));
    let refused = |path: &str| find(&json, path).unwrap_err().to_string();
    assert!(refused(&"a".repeat(4097)).contains("longer"));
    for path in [
        format!("{}{}", "[".repeat(2000), "]".repeat(2000)),
        "*.".repeat(2000),
        "@this|".repeat(600),
        "@dig:a".to_owned(),
        "*|@flatten:{\"deep\":true}".to_owned(),
        "*|@pretty".to_owned(),
        format!("*.{}", "0.".repeat(2000)),
        format!("#({}", "#(".repeat(1000)),
    ] {
        let _ended = find(&json, &path).is_ok();
    }
    assert!(refused(&format!("{}{}", "[".repeat(2000), "]".repeat(2000))).contains("deeply"));
    assert!(refused("@dig:a").contains("deeply"));
    // Each level doubles the result.
    let doubling = (0..90).fold("@this".to_owned(), |path, _| format!("{path}|[@this,@this]"));
    assert!(refused(&doubling).contains("work"), "{}", refused(&doubling));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the path and the document are made of, the search ends and does not panic.
    #[test]
    fn no_path_panics(
        path in vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat()),
        json in vec(select(TOKENS), 0..16).prop_map(|tokens| tokens.concat()),
    ) {
        let _outcome = find(&json, &path);
        let _outcome = find(r#"{"a":[{"é":"x\u00e9","b":[1,2.5e3,null]},"t\"",true],"b":{"a":"ü"}}"#, &path);
    }

    #[test]
    fn any_text_is_a_path(path in ".*", json in ".*") {
        let _outcome = find(&json, &path);
        let _outcome = find(r#"{"a":[{"b":"x"}]}"#, &path);
    }
}

const PIECES: &[&str] = &[
    "a",
    "b",
    "é",
    ".",
    "..",
    "|",
    "#",
    "#(",
    ")",
    ")#",
    "(",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "*",
    "?",
    "!",
    "@",
    "@this",
    "@dig:",
    "@join",
    "@group",
    "@keys",
    "@values",
    "@pretty:",
    "@flatten:",
    "@fromstr",
    "@tostr",
    "@reverse",
    "0",
    "1",
    "=",
    "!=",
    "%",
    "~",
    "~true",
    "<",
    ">=",
    " ",
    "\u{1}",
    "\u{1F600}",
    "true",
    "null",
    "\"x\"",
    "{\"deep\":true}",
];

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"a\"",
    "\"b\":",
    ":",
    ",",
    "1",
    "-",
    "2.5e3",
    "true",
    "nul",
    "null",
    "\"\\u00e9\"",
    "\"\\ud83d",
    "\"",
    "\\",
    "é",
    " ",
    "\n",
    "\u{0}",
    "\"\\\"\"",
];
