//! Values that are replaced and entries that are added, in every style.

use super::*;

#[test]
fn a_value_is_replaced_in_its_own_style() {
    let table = [
        ("plain", "    a: OLD\n", "    a: NEW\n"),
        ("trailing comment", "    a: OLD   # why\t tabs\n    b: x\n", "    a: NEW   # why\t tabs\n    b: x\n"),
        ("single quotes", "    a: 'it''s'\n", "    a: 'NEW'\n"),
        ("double quotes", "    \"a\": \"O\\tLD\" # c\n", "    \"a\": \"NEW\" # c\n"),
        ("over several lines", "    a: one\n      two\n\n      three\n    b: x\n", "    a: NEW\n    b: x\n"),
        ("double quotes over lines", "    a: \"one\\\n      two\"\n    b: x\n", "    a: \"NEW\"\n    b: x\n"),
        (
            "literal",
            "    a: |\n      one\n      two\n\n    # c\n    b: x\n",
            "    a: |-\n      NEW\n\n    # c\n    b: x\n",
        ),
        ("folded", "    a: >-  # c\n       one\n       two\n    b: x\n", "    a: >-  # c\n       NEW\n    b: x\n"),
        ("indicated", "    a: |2+\n      one\n\n    b: x\n", "    a: |-\n      NEW\n\n    b: x\n"),
        ("empty literal", "    a: |\n    b: x\n", "    a: |-\n      NEW\n    b: x\n"),
        ("literal with a hash", "    a: |\n      # one\n      two\n", "    a: |-\n      NEW\n"),
        ("nothing", "    a:\n    b: x\n", "    a: NEW\n    b: x\n"),
        ("nothing but a comment", "    a: # todo\n", "    a: NEW # todo\n"),
        ("null", "    a: ~ # todo\n", "    a: NEW # todo\n"),
        ("a number", "    a: 12\n", "    a: NEW\n"),
        ("tagged as a string", "    a: !!str 12\n", "    a: !!str NEW\n"),
        ("deep and unicode", "        a: OLD # é 🔑\n", "        a: NEW # é 🔑\n"),
        ("space before the colon", "    a : OLD\n", "    a : NEW\n"),
    ];
    for (name, before, after) in table {
        for newline in ["\n", "\r\n"] {
            let file = |entries: &str| {
                format!("spec:\n  encryptedData:\n{entries}  template: {{}} # t\n").replace('\n', newline)
            };
            assert_eq!(after_set(&file(before), "a", "NEW").as_deref(), Ok(&*file(after)), "{name}");
        }
        let (before, after) = (before.trim_end_matches('\n'), after.trim_end_matches('\n'));
        let file = |entries: &str| format!("spec:\n  encryptedData:\n{entries}");
        assert_eq!(after_set(&file(before), "a", "NEW").as_deref(), Ok(&*file(after)), "{name} at the end");
    }
}

#[test]
fn odd_values_are_quoted_where_the_style_cannot_hold_them() {
    let table = [
        ("    a: x\n", "12", "    a: \"12\"\n"),
        ("    a: x\n", "yes", "    a: \"yes\"\n"),
        ("    a: x\n", "a: #b", "    a: \"a: #b\"\n"),
        ("    a: 'x'\n", "it's", "    a: 'it''s'\n"),
        ("    a: 'x'\n", "a\nb", "    a: \"a\\nb\"\n"),
        ("    a: |\n      x\n", "a\nb\n", "    a: \"a\\nb\\n\"\n"),
        ("    a: | # c\n      x\n    b: y\n", " x", "    a: \" x\" # c\n    b: y\n"),
        ("    a: x\n", "", "    a: \"\"\n"),
    ];
    for (before, value, after) in table {
        let file = |entries: &str| format!("spec:\n  encryptedData:\n{entries}");
        assert_eq!(after_set(&file(before), "a", value).as_deref(), Ok(&*file(after)), "{value:?}");
    }
}

#[test]
fn a_new_entry_follows_the_last_one() {
    let table = [
        (
            "plain",
            "spec:\n  encryptedData:\n    a: x\n  template: {}\n",
            "spec:\n  encryptedData:\n    a: x\n    new: NEW\n  template: {}\n",
        ),
        (
            "comments",
            "spec:\n  encryptedData:\n    a: x # c\n    # d\n# e\n",
            "spec:\n  encryptedData:\n    a: x # c\n    new: NEW\n    # d\n# e\n",
        ),
        ("no last line break", "spec:\n  encryptedData:\n    a: x", "spec:\n  encryptedData:\n    a: x\n    new: NEW"),
        (
            "CRLF",
            "spec:\r\n  encryptedData:\r\n    a: x\r\n",
            "spec:\r\n  encryptedData:\r\n    a: x\r\n    new: NEW\r\n",
        ),
        (
            "quoted",
            "spec:\n  encryptedData:\n    'a': \"x\"\n",
            "spec:\n  encryptedData:\n    'a': \"x\"\n    'new': \"NEW\"\n",
        ),
        (
            "after a literal",
            "spec:\n  encryptedData:\n    a: |\n      x\n\n  template: {}\n",
            "spec:\n  encryptedData:\n    a: |\n      x\n    new: NEW\n\n  template: {}\n",
        ),
        (
            "after a literal that keeps",
            "spec:\n  encryptedData:\n    # c\n    a: |+\n      x\n\n",
            "spec:\n  encryptedData:\n    new: NEW\n    # c\n    a: |+\n      x\n\n",
        ),
        (
            "after a literal without a last line break",
            "spec:\n  encryptedData:\n    a: |\n      x",
            "spec:\n  encryptedData:\n    new: NEW\n    a: |\n      x",
        ),
        ("after nothing", "spec:\n  encryptedData:\n    a:\n", "spec:\n  encryptedData:\n    a:\n    new: NEW\n"),
        (
            "four spaces",
            "spec:\n    encryptedData:\n        a: x\n",
            "spec:\n    encryptedData:\n        a: x\n        new: NEW\n",
        ),
        ("one space", "spec:\n encryptedData:\n  a: x\n", "spec:\n encryptedData:\n  a: x\n  new: NEW\n"),
        ("empty", "spec:\n  encryptedData: {}\n", "spec:\n  encryptedData:\n    new: NEW\n"),
        (
            "empty, comment, four spaces",
            "spec:\n    encryptedData: {} # none yet\n    template: {}\n",
            "spec:\n    encryptedData: # none yet\n        new: NEW\n    template: {}\n",
        ),
        ("null", "spec:\n  encryptedData: null\n", "spec:\n  encryptedData:\n    new: NEW\n"),
        (
            "nothing",
            "spec:\n  encryptedData:\n  template: {}\n",
            "spec:\n  encryptedData:\n    new: NEW\n  template: {}\n",
        ),
        ("nothing at the end", "spec:\n  encryptedData:", "spec:\n  encryptedData:\n    new: NEW"),
        ("empty over lines", "spec:\n  encryptedData: {\n  }\n", "spec:\n  encryptedData: {new: NEW}\n"),
        (
            "empty with a comment inside",
            "spec:\n  encryptedData: { # c\n  }\n",
            "spec:\n  encryptedData: { # c\n      new: NEW\n  }\n",
        ),
        (
            "absent",
            "spec: # s\n  # t\n  template: {}\n",
            "spec: # s\n  encryptedData:\n    new: NEW\n  # t\n  template: {}\n",
        ),
        ("absent, spec empty", "spec: {}\n", "spec:\n  encryptedData:\n    new: NEW\n"),
        ("absent, spec in flow", "spec: {template: {}}\n", "spec: {template: {}, encryptedData: {new: NEW}}\n"),
        ("flow", "spec: {encryptedData: {a: x}}\n", "spec: {encryptedData: {a: x, new: NEW}}\n"),
        ("flow with a comma", "spec:\n  encryptedData: {a: x, }\n", "spec:\n  encryptedData: {a: x, new: NEW, }\n"),
        (
            "flow over lines",
            "spec:\n  encryptedData: {\n    a: x, # c\n    b: 'y' # d\n  }\n",
            "spec:\n  encryptedData: {\n    a: x, # c\n    b: 'y', # d\n    new: 'NEW'\n  }\n",
        ),
    ];
    for (name, before, after) in table {
        assert_eq!(after_set(before, "new", "NEW").as_deref(), Ok(after), "{name}");
    }
}

#[test]
fn keys_are_found_and_written_as_they_are() {
    let file =
        "spec:\n  encryptedData:\n    .dockerconfigjson: a\n    \"a b\": c\n    'tls.crt': d\n    1: e\n    é: f\n";
    let document = document(&format!("{HEAD}{file}"));
    let keys: Vec<_> =
        document.manifests()[0].entries.iter().map(|entry| (entry.key.as_str(), entry.line, entry.column)).collect();
    assert_eq!(keys, [(".dockerconfigjson", 7, 5), ("a b", 8, 5), ("tls.crt", 9, 5), ("1", 10, 5), ("é", 11, 5)]);
    assert!(after_set(file, "1", "NEW").unwrap().contains("    1: NEW\n"));
    assert!(after_set(file, "a b", "NEW").unwrap().contains("    \"a b\": NEW\n"));
    assert!(after_set(file, "b c", "NEW").unwrap().ends_with("    é: f\n    \"b c\": NEW\n"));
    assert!(after_set(file, ".x", "NEW").unwrap().ends_with("    .x: NEW\n"));
    assert!(after_set(file, "on", "NEW").unwrap().ends_with("    \"on\": NEW\n"));
}

#[test]
fn many_keys_in_one_go() {
    let spec = "spec:\n  encryptedData:\n    a: x\n    b: |\n      y\n";
    let mut document = document(&format!("{HEAD}{spec}"));
    document.set_all(0, &[("z", "1"), ("a", "AgA"), ("c", "AgC"), ("b", "AgB"), ("z", "AgZ")]).unwrap();
    assert_eq!(
        document.text(),
        format!("{HEAD}spec:\n  encryptedData:\n    a: AgA\n    b: |-\n      AgB\n    z: AgZ\n    c: AgC\n")
    );
}
