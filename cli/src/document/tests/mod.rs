//! Tricky files, edited: what comes out, byte for byte.

mod setting;

use super::*;

const HEAD: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n";

fn document(text: &str) -> Document {
    Document::parse(text.to_owned()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `spec` is what follows [`HEAD`]; so is the result.
fn after_set(spec: &str, key: &str, value: &str) -> Result<String, DocumentError> {
    let mut document = document(&format!("{HEAD}{spec}"));
    document.set(0, key, value)?;
    Ok(document.text().strip_prefix(HEAD).expect("the head is untouched").to_owned())
}

fn after_unset(spec: &str, key: &str) -> Result<String, DocumentError> {
    let mut document = document(&format!("{HEAD}{spec}"));
    document.unset(0, key)?;
    Ok(document.text().strip_prefix(HEAD).expect("the head is untouched").to_owned())
}

#[test]
fn json_stays_json() {
    let object = |data: &str| {
        format!(
            "{{\"apiVersion\":\"bitnami.com/v1alpha1\",\"kind\":\"SealedSecret\",\"spec\":{{\"encryptedData\":{data}}}}}"
        )
    };
    let table = [
        (r#"{"a":"x"}"#, "a", r#"{"a":"NEW"}"#),
        (r#"{"a":"x"}"#, "b", r#"{"a":"x","b":"NEW"}"#),
        (r#"{ "a": "x" }"#, "b", r#"{ "a": "x", "b": "NEW" }"#),
        (r#"{}"#, "b", r#"{"b": "NEW"}"#),
        (r#"null"#, "b", r#"{"b": "NEW"}"#),
        ("{\n\t\"a\": \"x\",\n\t\"c\": \"y\"\n}", "b", "{\n\t\"a\": \"x\",\n\t\"c\": \"y\",\n\t\"b\": \"NEW\"\n}"),
    ];
    for (before, key, after) in table {
        let mut document = document(&object(before));
        document.set(0, key, "NEW").unwrap();
        assert_eq!(document.text(), object(after), "{before}");
        serde_json::from_str::<serde_json::Value>(document.text()).unwrap();
        if document.manifests()[0].entries.len() > 1 {
            document.unset(0, key).unwrap();
            assert_eq!(document.text(), object(before));
        }
    }
    let pretty = "{\n  \"apiVersion\": \"bitnami.com/v1alpha1\",\n  \"kind\": \"SealedSecret\",\n  \"spec\": {\n    \"encryptedData\": {}\n  }\n}\n";
    let mut document = document(pretty);
    document.set_all(0, &[("x", "1"), ("y", "2")]).unwrap();
    let filled = "{\n      \"x\": \"1\",\n      \"y\": \"2\"\n    }";
    assert_eq!(document.text(), pretty.replace("{}", filled));
    let mut document = self::document(&pretty.replace("\"encryptedData\"", "\"template\""));
    document.set(0, "x", "1").unwrap();
    serde_json::from_str::<serde_json::Value>(document.text()).unwrap();
}

#[test]
fn an_entry_goes_with_what_belongs_to_it() {
    let table = [
        ("first", "    a: x\n    b: y\n", "    b: y\n"),
        (
            "comment above",
            "    b: y\n\n    # about a\n    # more\n    a: x # c\n    # about c\n    c: z\n",
            "    b: y\n\n    # about c\n    c: z\n",
        ),
        ("comment apart", "    # all\n\n    a: x\n    b: y\n", "    # all\n\n    b: y\n"),
        ("comment of another indentation", "    b: y\n  # odd\n    a: x\n", "    b: y\n  # odd\n"),
        ("literal", "    a: |\n      # x\n      y\n\n    b: y\n", "\n    b: y\n"),
        (
            "after a literal that ends in a hash",
            "    b: |\n     x\n     # y\n    a: x\n",
            "    b: |\n     x\n     # y\n",
        ),
        ("nothing", "    a:\n    b: y\n", "    b: y\n"),
        ("a list", "    a:\n    - x\n    b: y\n", "    b: y\n"),
        ("a map", "    a:\n      x: |\n        y\n    b: y\n", "    b: y\n"),
    ];
    for (name, before, after) in table {
        for newline in ["\n", "\r\n"] {
            let file =
                |entries: &str| format!("spec:\n  encryptedData:\n{entries}  template: {{}}\n").replace('\n', newline);
            assert_eq!(after_unset(&file(before), "a").as_deref(), Ok(&*file(after)), "{name}");
        }
    }
    let table = [
        ("spec:\n  encryptedData:\n    b: y\n    a: x", "spec:\n  encryptedData:\n    b: y"),
        ("spec:\n  encryptedData: # c\n    a: x\n  template: {}\n", "spec:\n  encryptedData: {} # c\n  template: {}\n"),
        ("spec:\n  encryptedData:\n    a: x", "spec:\n  encryptedData: {}"),
        ("spec:\n  encryptedData: {a: x}\n", "spec:\n  encryptedData: {}\n"),
        ("spec:\n  encryptedData: {a: x, b: y}\n", "spec:\n  encryptedData: {b: y}\n"),
        ("spec:\n  encryptedData: {b: y, a: x}\n", "spec:\n  encryptedData: {b: y}\n"),
        ("spec:\n  encryptedData: {b: y, a: x, c: z}\n", "spec:\n  encryptedData: {b: y, c: z}\n"),
        ("spec:\n  encryptedData: {b: y, a: x, }\n", "spec:\n  encryptedData: {b: y, }\n"),
        (
            "spec:\n  encryptedData: {\n    b: y, # b\n    a: x # a\n  }\n",
            "spec:\n  encryptedData: {\n    b: y # b\n  }\n",
        ),
        (
            "spec:\n  encryptedData: {\n    a: x, # a\n    # b\n    b: y\n  }\n",
            "spec:\n  encryptedData: {\n    # b\n    b: y\n  }\n",
        ),
    ];
    for (before, after) in table {
        assert_eq!(after_unset(before, "a").as_deref(), Ok(after), "{before}");
    }
    assert_eq!(after_unset("spec:\n  encryptedData: {}\n", "a"), Err(DocumentError::NoKey { key: "a".to_owned() }));
    assert_eq!(after_unset("spec: {}\n", "a"), Err(DocumentError::NoKey { key: "a".to_owned() }));
}

#[test]
fn many_documents_lists_and_a_byte_order_mark() {
    let object = |name: &str, value: &str| {
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: n}}\nspec:\n  encryptedData:\n    a: {value}\n"
        )
    };
    let indented = object("three", "x").replace('\n', "\n  ");
    let file = |second: &str, third: &str| {
        format!(
            "\u{feff}# first\n---\n{}...\n# between\n---\nkind: ConfigMap\napiVersion: v1\nmetadata:\n  annotations: {{x: \"true\", y: 1}}\n---\n--- # x\napiVersion: v1\nkind: List\nitems:\n- {}\n- kind: Secret\n  apiVersion: v1\n---\n{}",
            object("one", "x"),
            indented.trim_end().replace("a: x", &format!("a: {third}")),
            object("two", second),
        )
    };
    let mut document = document(&file("x", "x"));
    let names: Vec<_> = document.manifests().iter().map(|m| (m.kind.as_str(), m.name.as_deref())).collect();
    assert_eq!(
        names,
        [
            ("SealedSecret", Some("one")),
            ("ConfigMap", None),
            ("SealedSecret", Some("three")),
            ("Secret", None),
            ("SealedSecret", Some("two"))
        ]
    );
    assert_eq!(document.manifests()[1].annotations, BTreeMap::from([("x".to_owned(), "true".to_owned())]));
    assert_eq!(document.manifests()[2].namespace.as_deref(), Some("n"));
    assert_eq!(document.manifests()[0].line, 3);
    document.set(4, "a", "NEW").unwrap();
    assert_eq!(document.text(), file("NEW", "x"));
    document.set(2, "a", "NEW3").unwrap();
    assert_eq!(document.text(), file("NEW", "NEW3"));
    document.set(2, "b", "NEW4").unwrap();
    assert_eq!(document.text(), file("NEW", "NEW3\n      b: NEW4"));
    for not_sealed in [1, 3, 5] {
        assert_eq!(document.set(not_sealed, "a", "x"), Err(DocumentError::NoManifest { manifest: not_sealed }));
    }
}

#[test]
fn what_others_share_is_refused_and_left_alone() {
    let table = [
        "spec:\n  encryptedData:\n    b: &x y\n    a: *x\n",
        "spec:\n  encryptedData:\n    a: &x y\n    b: *x\n",
        "spec:\n  encryptedData: &x\n    a: y\n  template: *x\n",
        "x: &x {b: c}\nspec:\n  encryptedData:\n    <<: *x\n    a: y\n",
        "x: &x {b: c}\nspec:\n  <<: *x\n  encryptedData:\n    a: y\n",
        "x: &x {a: c}\nspec:\n  encryptedData: *x\n",
        "spec:\n  encryptedData:\n    a: !!binary y\n",
        "spec:\n  encryptedData: [a]\n",
        "spec:\n  encryptedData: text\n",
        "spec:\n  encryptedData:\n    a: {b: c}\n",
        "spec:\n  encryptedData:\n    a: !!str\n",
        "spec: &x\n  encryptedData:\n    a: y\n",
    ];
    for spec in table {
        let text = format!("{HEAD}{spec}");
        let mut document = document(&text);
        let error = document.set(0, "a", "NEW").unwrap_err();
        assert!(matches!(error, DocumentError::Unsupported { line, .. } if line > 4), "{spec}: {error}");
        assert_eq!(document.text(), text);
    }
    let fine = "labels: &l {x: y}\nmore: *l\nspec:\n  encryptedData:\n    a: x\n";
    assert_eq!(after_set(fine, "a", "NEW"), Ok(fine.replace("a: x", "a: NEW")));
    let removed_anchor = "spec:\n  encryptedData:\n    a: &x y\n    b: *x\n";
    assert!(matches!(after_unset(removed_anchor, "a"), Err(DocumentError::Unsupported { .. })));
    assert_eq!(after_unset(removed_anchor, "b").as_deref(), Ok("spec:\n  encryptedData:\n    a: &x y\n"));
    assert_eq!(after_set("x: y\n", "a", "NEW"), Err(DocumentError::NoSpec { line: 1 }));
}

#[test]
fn bad_files_are_errors_with_a_place() {
    let error = |text: &str| Document::parse(text.to_owned()).map(|_| ()).unwrap_err();
    assert!(matches!(error("a: b\n c: d\n"), DocumentError::Syntax { line: 2, .. }));
    assert!(matches!(error("{\"a\": \n"), DocumentError::Syntax { .. }));
    let twice = format!("{HEAD}spec:\n  encryptedData:\n    a: x\n    \"a\": y\n");
    assert_eq!(error(&twice), DocumentError::Duplicate { line: 8, column: 5, key: "a".to_owned() });
    assert!(matches!(error(&" ".repeat(MAX_BYTES + 1)), DocumentError::TooLarge { .. }));
    assert!(matches!(error(&format!("[{}]", "a,".repeat(MAX_NODES + 1))), DocumentError::TooMany { .. }));
    assert!(matches!(error(&"[".repeat(100_000)), DocumentError::Syntax { .. }));
    assert_eq!(Document::parse(String::new()).unwrap().manifests(), []);
    assert_eq!(Document::parse("# nothing\n---\n".to_owned()).unwrap().manifests(), []);
    assert_eq!(Document::parse("just text".to_owned()).unwrap().manifests(), []);
}

#[test]
fn values_that_are_not_strings_are_told_apart() {
    let spec = "spec:\n  encryptedData: {a: 1, b: , c: 'x', d: [e], f: true, g: \"1\", h: AgB}\n";
    let document = document(&format!("{HEAD}{spec}"));
    let values: Vec<_> = document.manifests()[0].entries.iter().map(|entry| entry.value.as_deref()).collect();
    assert_eq!(values, [None, None, Some("x"), None, None, Some("1"), Some("AgB")]);
    let entry = document.manifests()[0].entry("c").unwrap();
    assert_eq!(&document.text()[entry.span.clone()], "'x'");
}

#[test]
fn big_files_take_time_in_proportion() {
    let started = std::time::Instant::now();
    let value = "A".repeat(2500);
    let lines: String = (0..1000).map(|index| format!("    key-{index}: {value}\n")).collect();
    let mut document = document(&format!("{HEAD}spec:\n  encryptedData:\n{lines}"));
    let keys: Vec<_> = (0..1000).map(|index| format!("key-{index}")).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), "AgB")).collect();
    document.set_all(0, &entries).unwrap();
    assert!(document.text().len() < 30_000);
    let pairs: Vec<_> = keys.iter().map(|key| format!("\"{key}\":\"{value}\"")).collect();
    let mut document = self::document(&format!(
        "{{\"apiVersion\":\"bitnami.com/v1alpha1\",\"kind\":\"SealedSecret\",\"spec\":{{\"encryptedData\":{{{}}}}}}}",
        pairs.join(",")
    ));
    document.set_all(0, &entries).unwrap();
    assert!(document.text().len() < 30_000);
    let huge = "A".repeat(1 << 20);
    for style in ["    a: V\n", "    a: 'V'\n", "    a: \"V\"\n", "    a: |-\n      V\n", "    a: >-\n      V\n"] {
        let spec = format!("spec:\n  encryptedData:\n{style}");
        let text = after_set(&spec.replace('V', &huge), "a", "V").unwrap();
        assert_eq!(text, spec);
        assert_eq!(after_set(&spec, "a", &huge).unwrap(), spec.replace('V', &huge));
    }
    // A few tenths of a second in a debug build; a square of it would be minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
