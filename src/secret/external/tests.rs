//! The order of things, what is refused, and that nothing of a value gets out.

use std::collections::BTreeMap;

use super::*;
use crate::secret::template::{self, Delimiters, Environment, MissingKey};

fn render(text: &str, values: &Values) -> Result<Plaintext, String> {
    let random = |bytes: &mut [u8]| bytes.fill(7);
    let environment = Environment {
        now: jiff::Timestamp::UNIX_EPOCH,
        random: &random,
        missing_key: MissingKey::Error,
        delimiters: Delimiters::default(),
    };
    template::render(text, values, &environment).map_err(|error| error.to_string())
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn request(fetched: &[(&str, &str)]) -> Request {
    Request {
        namespace: "ns".to_owned(),
        name: "target".to_owned(),
        immutable: None,
        labels: texts(&[("of", "the-object")]),
        annotations: texts(&[("note", "of the object"), ("argocd.argoproj.io/tracking-id", "app")]),
        fetched: fetched.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::from((*value).to_owned()))).collect(),
    }
}

fn literal(field: Field, text: &str) -> TemplateFrom {
    let target = match field {
        Field::Data => "Data",
        Field::Annotations => "annotations",
        Field::Labels => "LABELS",
    };
    TemplateFrom { target: target.to_owned(), source: Source::Literal { text: text.to_owned() }, decode: None }
}

fn object(name: &str, items: &[(&str, Option<&str>, TemplateAs)]) -> TemplateFrom {
    let item = |(key, text, template_as): &(&str, Option<&str>, TemplateAs)| Item {
        key: (*key).to_owned(),
        text: text.map(|text| Plaintext::from(text.to_owned())),
        template_as: *template_as,
    };
    let source = Source::Object { object: name.to_owned(), items: items.iter().map(item).collect() };
    TemplateFrom { target: String::new(), source, decode: None }
}

fn shown(target: &Target) -> BTreeMap<&str, &str> {
    target.data.iter().map(|(key, value)| (key.as_str(), std::str::from_utf8(value.expose()).unwrap())).collect()
}

fn made(template: &Template, fetched: &[(&str, &str)]) -> Target {
    assemble_external(request(fetched), Some(template), render).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(template: &Template, fetched: &[(&str, &str)]) -> TargetErrors {
    assemble_external(request(fetched), Some(template), render).err().expect("refused")
}

#[test]
fn without_a_template_the_metadata_of_the_object_is_copied_and_tracking_stripped() {
    let immutable = Request { immutable: Some(true), ..request(&[("a", "1")]) };
    let target = assemble_external(immutable, None, render).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(shown(&target), BTreeMap::from([("a", "1")]));
    assert_eq!(target.shape.labels, texts(&[("of", "the-object")]));
    assert_eq!(target.shape.annotations, texts(&[("note", "of the object")]));
    assert_eq!((target.shape.kind, target.shape.immutable), (None, Some(true)));
    assert_eq!((target.namespace.as_str(), target.name.as_str()), ("ns", "target"));
}

#[test]
fn merge_policy_says_what_becomes_of_fetched_values() {
    let fetched = [("a", "1"), ("b", "2")];
    let data = texts(&[("b", "{{ .a }}{{ .b }}"), ("c", "x")]);
    let from = || vec![literal(Field::Data, "d: '{{ .a }}'")];
    for (merge_policy, data, template_from, expected) in [
        (MergePolicy::Replace, data.clone(), vec![], vec![("b", "12"), ("c", "x")]),
        (MergePolicy::Merge, data.clone(), vec![], vec![("a", "1"), ("b", "12"), ("c", "x")]),
        (MergePolicy::Replace, BTreeMap::new(), vec![], vec![("a", "1"), ("b", "2")]),
        (MergePolicy::Replace, BTreeMap::new(), from(), vec![("d", "1")]),
        (MergePolicy::Merge, BTreeMap::new(), from(), vec![("a", "1"), ("b", "2"), ("d", "1")]),
        // A label is no data: the fetched values stay.
        (MergePolicy::Replace, data, from(), vec![("b", "12"), ("c", "x"), ("d", "1")]),
    ] {
        let template = Template { merge_policy, data, template_from, ..Template::default() };
        assert_eq!(shown(&made(&template, &fetched)), BTreeMap::from_iter(expected), "{merge_policy:?}");
    }
}

#[test]
fn the_later_wins_and_data_wins_over_template_from() {
    let template_from = vec![
        literal(Field::Data, "a: first\nb: first\nc: first\nd: first"),
        object(
            "configmap cm",
            &[("b", Some("{{ .v }}"), TemplateAs::Values), ("x", Some("c: second"), TemplateAs::KeysAndValues)],
        ),
        object("secret s", &[("c", Some("third"), TemplateAs::Values)]),
    ];
    let template = Template { template_from, data: texts(&[("d", "data")]), ..Template::default() };
    let expected = BTreeMap::from([("a", "first"), ("b", "fetched"), ("c", "third"), ("d", "data")]);
    assert_eq!(shown(&made(&template, &[("v", "fetched")])), expected);
}

#[test]
fn a_template_sees_the_fetched_values_and_not_what_others_rendered() {
    let template = Template {
        data: texts(&[("a", "{{ .a }}+"), ("b", "{{ .a }}")]),
        merge_policy: MergePolicy::Merge,
        ..Template::default()
    };
    assert_eq!(shown(&made(&template, &[("a", "1")])), BTreeMap::from([("a", "1+"), ("b", "1")]));
}

#[test]
fn metadata_is_rendered_and_explicit_metadata_wins() {
    let template = Template {
        kind: Some("kubernetes.io/tls".to_owned()),
        labels: texts(&[("env", "{{ .env }}"), ("bulla.dev/sealing-key", "active")]),
        annotations: texts(&[("note", "for {{ .env }}"), ("argocd.argoproj.io/tracking-id", "x")]),
        finalizers: vec!["example.com/keep".to_owned(), "example.com/keep".to_owned()],
        template_from: vec![
            literal(Field::Labels, "env: other\ntier: '{{ .tier }}'\nnumber: 5"),
            literal(Field::Annotations, "note: other\nmore: {{ .env }}"),
        ],
        ..Template::default()
    };
    let target = made(&template, &[("env", "prod"), ("tier", "db")]);
    assert!(target.data.is_empty(), "with templateFrom the fetched values are replaced");
    assert_eq!(target.shape.labels, texts(&[("env", "prod"), ("number", "5"), ("tier", "db")]));
    assert_eq!(target.shape.annotations, texts(&[("more", "prod"), ("note", "for prod")]));
    assert_eq!(target.shape.finalizers, ["example.com/keep"]);
    assert_eq!(target.shape.kind.as_deref(), Some("kubernetes.io/tls"));
    let empty = Template { kind: Some(String::new()), ..Template::default() };
    let target = made(&empty, &[]);
    assert_eq!((target.shape.kind, target.shape.labels.len()), (None, 0), "with a template nothing is copied");
}

#[test]
fn rendered_values_are_decoded_one_by_one() {
    let decode: Decode = |value| match value.expose() {
        b"b64" => Ok(Plaintext::from("decoded".to_owned())),
        _ => Err("not base64"),
    };
    let mut from = literal(Field::Data, "a: '{{ .v }}'\nb: b64");
    from.decode = Some(decode);
    let mut template = Template { template_from: vec![from], ..Template::default() };
    assert_eq!(shown(&made(&template, &[("v", "b64")])), BTreeMap::from([("a", "decoded"), ("b", "decoded")]));
    // `data` itself is never decoded.
    template.data = texts(&[("c", "plain")]);
    assert_eq!(shown(&made(&template, &[("v", "b64")]))["c"], "plain");
    let errors = refused(&template, &[("v", "canary")]).to_string();
    assert_eq!(errors, "unable to execute template at a in templateFrom[0] (literal): not base64");
}

#[test]
fn privileged_types_are_forbidden() {
    let token = "kubernetes.io/service-account-token";
    let account = texts(&[("kubernetes.io/service-account.name", "x")]);
    let of = |kind: &str, annotations, template_from| Template {
        kind: Some(kind.to_owned()),
        annotations,
        template_from,
        ..Template::default()
    };
    for (template, expected) in [
        (
            of("bootstrap.kubernetes.io/token", BTreeMap::new(), vec![]),
            "\"bootstrap.kubernetes.io/token\" is not allowed",
        ),
        (of(token, account.clone(), vec![]), "with annotation \"kubernetes.io/service-account.name\" is not allowed"),
        (of(token, BTreeMap::new(), vec![literal(Field::Annotations, "")]), "target=\"Annotations\" is not allowed"),
    ] {
        let errors = refused(&template, &[]);
        assert!(errors.to_string().contains(expected), "{errors}");
        assert_eq!(errors.reason(), "TemplateForbidden");
    }
    made(&of(token, BTreeMap::new(), vec![]), &[]);
    made(&of("Opaque", account, vec![]), &[]);
    for (target, field) in [
        ("", Some(Field::Data)),
        ("DATA", Some(Field::Data)),
        ("Annotations", Some(Field::Annotations)),
        ("labels", Some(Field::Labels)),
        ("type", None),
        ("metadata.ownerReferences", None),
        ("spec", None),
    ] {
        assert_eq!(Field::of(target), field, "{target}");
        let from = TemplateFrom { target: target.to_owned(), ..literal(Field::Data, "a: b") };
        let template = Template { template_from: vec![from], ..Template::default() };
        match field {
            Some(_) => assert_eq!(made(&template, &[]).data.contains_key("a"), field == Some(Field::Data)),
            None => {
                let rule = format!("templateFrom target={target:?} is not allowed when targeting a Secret");
                assert!(refused(&template, &[]).to_string().contains(&rule));
            }
        }
    }
}

#[test]
fn every_fault_is_named_and_no_value_is() {
    let canary = "canary hunter2";
    let items = [
        ("gone", None, TemplateAs::Values),
        ("bad", Some("{{ canary"), TemplateAs::Values),
        ("seq", Some("- {{ .v }}"), TemplateAs::KeysAndValues),
        ("nested", Some("\na: {canary: {{ .v }}}"), TemplateAs::KeysAndValues),
    ];
    let template = Template {
        data: texts(&[
            ("k", "{{ .missing }}"),
            ("f", "{{ fail .v }}"),
            ("not ok", "x"),
            ("y", "{{ .v | fromJson | dig 1 }}"),
        ]),
        labels: texts(&[("env", "{{ .v }}"), ("a b", "x"), ("long", &"x".repeat(64))]),
        annotations: texts(&[("-bad", "x"), ("binary", "{{ \"/w==\" | b64dec }}")]),
        template_from: vec![
            object("configmap cm", &items),
            object("secret s", &[("gone", None, TemplateAs::KeysAndValues)]),
            literal(Field::Data, "canary-literal: {{ nonsense }}"),
            literal(Field::Data, "a: {{ .v }}: b: c"),
            literal(Field::Labels, "deep: {{ repeat 5000 \"[\" }}"),
        ],
        ..Template::default()
    };
    let errors = refused(&template, &[("v", canary)]);
    let said = format!("{errors} {errors:?}");
    assert!(!said.contains("canary") && !said.contains("hunter2"), "{said}");
    for part in [
        "error in configmap cm: missing key gone",
        "error in secret s: missing key gone",
        "unable to execute template at key bad of templateFrom[0] (configmap cm): cannot parse the template at line 1",
        "could not read what key seq of templateFrom[0] (configmap cm) renders to",
        "could not read what key nested of templateFrom[0] (configmap cm) renders to as a YAML mapping of texts (line 2)",
        "unable to execute template at templateFrom[2] (literal): cannot parse the template at line 1, column 20: unknown function nonsense",
        "could not read what templateFrom[3] (literal) renders to",
        "could not read what templateFrom[4] (literal) renders to",
        "unable to execute template at key k: cannot render the template at line 1, column 4: there is no value with the key missing",
        "unable to execute template at key f: ",
        "unable to execute template at annotation binary: metadata must be UTF-8",
        "label \"env\": the value is not valid",
        "label \"long\": the value is not valid",
        "label \"a b\": the name is not valid",
        "annotation \"-bad\": the name is not valid",
        "\"not ok\" is not a valid data key",
    ] {
        assert!(errors.to_string().contains(part), "{part}\nin {errors}");
    }
}

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    entries: Option<BTreeMap<String, String>>,
}

/// Texts that this one reads in another way than Go's library, on purpose.
const KNOWN: &[&str] = &[
    // Infinite and undefined numbers are refused instead of written as `+Inf`.
    "a: .inf\n",
    "a: -.inf\n",
    "a: .nan\n",
    // A second document is refused instead of forgotten.
    "a: b\n---\nc: d\n",
    // A tab before the first key.
    "\ta: b\n",
    // `tRue` and `yEs` are truth values here, and `1__0` is a text.
    "a: TRUE\nb: False\nc: tRue\nd: Yes\ne: YES\nf: yEs\n",
    "a: 0x\nb: 0b2\nc: 0o9\nd: 1__0\ne: _1\nf: 1e\n",
];

#[test]
fn mappings_are_read_as_go_reads_them() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("pairs.json")).unwrap();
    assert!(cases.len() >= 45, "the table has shrunk");
    let mut wrong = Vec::new();
    for Case { text, entries } in &cases {
        let parsed = pairs::parse(text.as_bytes()).ok().map(|values| {
            values.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(value.expose()).into_owned())).collect()
        });
        if (parsed != *entries) != KNOWN.contains(&text.as_str()) {
            wrong.push(format!("{text:?}\n  go     {entries:?}\n  parsed {parsed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn hostile_mappings_end_soon() {
    for text in [
        "a: ".repeat(100_000),
        "[".repeat(100_000),
        "{a: ".repeat(50_000),
        format!("a: &a [x]\n{}", (0..50).map(|n| format!("b{n}: &b{n} [*a, *a]\n")).collect::<String>()),
        "\u{fffe}".to_owned(),
        "a: \"\\xZZ\"".to_owned(),
    ] {
        assert!(pairs::parse(text.as_bytes()).is_err(), "{}", &text[..8]);
    }
    assert_eq!(pairs::parse(b"a: b\n\xff").err(), Some(pairs::NotPairs { line: 2 }));
}
