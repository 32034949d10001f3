use std::{collections::BTreeMap, fmt, sync::Arc};

use proptest::{collection::vec, prelude::*};

use crate::secret::Plaintext;
use crate::sync::{
    external::{
        Assembled, DataItem, Fault, ItemErrors, Items, MissingPolicy, Origin, Place, RemoteRef, Source, SourceItem,
        assemble, requests,
    },
    projection::{Conversion, Decoding, NullBytes, Rewrite},
    remote::{Answer, Document, Fetched, Find, Lookup, Request},
};

#[derive(Clone, Debug, PartialEq)]
enum Trouble {
    Missing,
    Denied,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Secret does not exist",
            Self::Denied => "access denied",
        })
    }
}

impl Fault for Trouble {
    fn is_missing(&self) -> bool {
        *self == Self::Missing
    }
}

fn remote(key: &str, property: Option<&str>) -> RemoteRef {
    RemoteRef { key: key.to_owned(), property: property.map(str::to_owned), ..RemoteRef::default() }
}

fn data(secret_key: &str, remote: RemoteRef) -> DataItem {
    DataItem { secret_key: secret_key.to_owned(), remote, store: 0 }
}

fn extract(remote: RemoteRef) -> SourceItem {
    SourceItem { source: Source::Extract(remote), rewrites: Vec::new(), store: 0 }
}

fn find(rewrites: Vec<Rewrite>, decoding: Decoding, null_bytes: NullBytes) -> SourceItem {
    let find = Find { name: Some(".*".to_owned()), ..Find::default() };
    SourceItem {
        source: Source::Find { find, decoding, conversion: Conversion::Default, null_bytes },
        rewrites,
        store: 0,
    }
}

fn fetched(text: &str) -> Fetched {
    Fetched { document: Document::Opaque(Plaintext::copy_of(text.as_bytes())), version: Some("v1".to_owned()) }
}

/// A store that holds these; `denied` it does not show, and everything is found.
fn answer(held: &[(&str, &str)], request: &Request) -> Result<Arc<Answer>, Trouble> {
    match request {
        Request::Value(lookup) | Request::Metadata(lookup) if lookup.key == "denied" => Err(Trouble::Denied),
        Request::Value(Lookup { key, .. }) | Request::Metadata(Lookup { key, .. }) => held
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, text)| Arc::new(Answer::One(fetched(text))))
            .ok_or(Trouble::Missing),
        Request::Find(_) if held.is_empty() => Err(Trouble::Missing),
        Request::Find(_) => {
            Ok(Arc::new(Answer::Many(held.iter().map(|(name, text)| ((*name).to_owned(), fetched(text))).collect())))
        }
    }
}

fn assembled(items: &Items, held: &[(&str, &str)], missing: MissingPolicy) -> Result<Assembled, ItemErrors<Trouble>> {
    let mut transform = |template: &str, key: &str| Ok(template.replace('*', key));
    assemble(items, &mut |_, request| answer(held, request), missing, &mut transform)
}

fn shown(assembled: &Assembled) -> Vec<(&str, String)> {
    let show = |value: &Plaintext| String::from_utf8_lossy(value.expose()).into_owned();
    assembled.values.iter().map(|(key, value)| (key.as_str(), show(value))).collect()
}

#[test]
fn equal_questions_are_asked_once() {
    let at = |store: usize, item: DataItem| DataItem { store, ..item };
    let metadata = RemoteRef { metadata: true, ..remote("db", None) };
    let old = RemoteRef { version: Some("1".to_owned()), ..remote("db", None) };
    let current = RemoteRef { version: Some(String::new()), ..remote("db", None) };
    let items = Items {
        data: vec![
            data("a", remote("db", Some("user"))),
            data("b", remote("db", Some("password"))),
            data("c", current),
            data("d", metadata),
            data("e", old),
            at(1, data("f", remote("db", None))),
        ],
        data_from: vec![extract(remote("other", None)), extract(remote("db", None))],
    };
    let value = |key: &str, version: Option<&str>| {
        Request::Value(Lookup { key: key.to_owned(), version: version.map(str::to_owned) })
    };
    let metadata = Request::Metadata(Lookup { key: "db".to_owned(), version: None });
    let wanted = [
        (0, value("other", None)),
        (0, value("db", None)),
        (0, metadata),
        (0, value("db", Some("1"))),
        (1, value("db", None)),
    ];
    assert_eq!(requests(&items), wanted);
}

#[test]
fn data_wins_over_data_from_and_later_over_earlier() {
    let held = &[("one", r#"{"a":"1","b":"1","c":"1"}"#), ("two", r#"{"b":"2","c":"2"}"#), ("raw", "three")];
    let items = Items {
        data: vec![
            data("c", remote("one", Some("a"))),
            data("c", remote("raw", None)),
            data("d", remote("two", Some("b"))),
        ],
        data_from: vec![extract(remote("one", None)), extract(remote("two", None))],
    };
    let result = assembled(&items, held, MissingPolicy::Error).ok().unwrap();
    let wanted = [("a", "1"), ("b", "2"), ("c", "three"), ("d", "2")].map(|(key, value)| (key, value.to_owned()));
    assert_eq!(shown(&result), wanted);
    assert_eq!(
        result.origins["d"],
        Origin {
            place: Place::Data { index: 2, key: "two".to_owned() },
            store: 0,
            key: Some("two".to_owned()),
            property: Some("b".to_owned()),
            version: Some("v1".to_owned()),
        }
    );
    assert_eq!(result.origins["b"].place, Place::Extract { index: 1, key: "two".to_owned() });
    assert_eq!(result.origins.keys().collect::<Vec<_>>(), result.values.keys().collect::<Vec<_>>());
}

#[test]
fn what_does_not_exist_is_an_error_or_left_out() {
    let items = Items {
        data: vec![data("a", remote("none", None)), data("b", remote("db", None))],
        data_from: vec![extract(remote("gone", None)), extract(remote("db", None))],
    };
    let held = &[("db", r#"{"k":"v"}"#)];
    let error = assembled(&items, held, MissingPolicy::Error).err().unwrap();
    assert_eq!(
        error.to_string(),
        "error processing spec.dataFrom[0].extract, err: Secret does not exist; \
         error processing spec.data[0] (key: none), err: Secret does not exist"
    );
    let result = assembled(&items, held, MissingPolicy::Skip).ok().unwrap();
    assert_eq!(result.values.keys().collect::<Vec<_>>(), ["b", "k"]);
    let skipped: Vec<String> = result.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "secret does not exist at provider using spec.dataFrom[0]",
            "secret does not exist at provider using spec.data[0] (key=none)",
        ]
    );
    let nothing = Items { data_from: vec![find(Vec::new(), Decoding::None, NullBytes::Ignore)], ..Items::default() };
    assert_eq!(
        assembled(&nothing, &[], MissingPolicy::Error).err().unwrap().to_string(),
        "error processing spec.dataFrom[0].find, err: error getting all secrets: Secret does not exist"
    );
    let result = assembled(&nothing, &[], MissingPolicy::Skip).ok().unwrap();
    assert!(result.values.is_empty() && result.skipped.len() == 1);
}

#[test]
fn every_fault_is_told_whatever_the_policy() {
    let items = Items {
        data: vec![
            data("a", remote("denied", None)),
            data("b", remote("db", Some("none"))),
            data("c", RemoteRef { decoding: Decoding::Base64, ..remote("db", Some("k")) }),
            data("d", RemoteRef { null_bytes: NullBytes::Fail, ..remote("zero", None) }),
        ],
        data_from: vec![extract(remote("text", None)), extract(remote("odd", None))],
    };
    let held =
        &[("db", r#"{"k":"c4n4ry!"}"#), ("zero", "c4n4ry\0"), ("text", "c4n4ry"), ("odd", r#"{"a\u0000b":"c4n4ry"}"#)];
    // An odd key is converted, and no error.
    for policy in [MissingPolicy::Error, MissingPolicy::Skip] {
        let error = assembled(&items, held, policy).err().unwrap().to_string();
        assert_eq!(
            error,
            "error processing spec.dataFrom[0].extract, err: unable to unmarshal secret text: it is not a JSON object; \
             error processing spec.data[0] (key: denied), err: access denied; \
             error processing spec.data[1] (key: db), err: key none does not exist in secret db; \
             error processing spec.data[2] (key: db), err: error applying decoding strategy Base64 to data: illegal \
             base64 data; \
             error processing spec.data[3] (key: zero), err: fetched secret value for key \"d\" contains null bytes; \
             nullBytePolicy is Fail"
        );
    }
}

#[test]
fn what_is_found_is_renamed_checked_decoded_in_this_order() {
    let held = &[("prod/a", "aGk="), ("prod/b", "eW8=")];
    let only = |item: SourceItem| Items { data_from: vec![item], ..Items::default() };
    let regexp = |source: &str, target: &str| Rewrite::Regexp { source: source.to_owned(), target: target.to_owned() };

    let result =
        assembled(&only(find(vec![], Decoding::Base64, NullBytes::Fail)), held, MissingPolicy::Error).ok().unwrap();
    assert_eq!(shown(&result), [("prod_a", "hi".to_owned()), ("prod_b", "yo".to_owned())]);
    assert_eq!(result.origins["prod_b"].key.as_deref(), Some("prod/b"));
    assert_eq!(result.origins["prod_b"].version.as_deref(), Some("v1"));

    // Rewrites replace conversion: what they leave must be legal.
    let rewrites = vec![regexp("^prod/", ""), Rewrite::Transform { template: "x-*".to_owned() }];
    let result =
        assembled(&only(find(rewrites, Decoding::None, NullBytes::Ignore)), held, MissingPolicy::Error).ok().unwrap();
    assert_eq!(shown(&result), [("x-a", "aGk=".to_owned()), ("x-b", "eW8=".to_owned())]);
    assert_eq!(result.origins["x-a"].key, None);
    let error =
        assembled(&only(find(vec![regexp("z", "")], Decoding::Base64, NullBytes::Ignore)), held, MissingPolicy::Skip);
    let error = error.err().unwrap().to_string();
    assert!(error.starts_with("error processing spec.dataFrom[0].find, err: invalid secret keys (TIP:"), "{error}");
    assert!(error.ends_with("are allowed: prod/a"), "{error}");

    let collide = vec![("p/a", "1"), ("p:a", "2")];
    let error = assembled(&only(find(vec![], Decoding::None, NullBytes::Ignore)), &collide, MissingPolicy::Error);
    assert!(error.err().unwrap().to_string().ends_with("secret name collision during conversion: p_a"));

    let nulls = vec![("k", "AGE=")];
    let error = assembled(&only(find(vec![], Decoding::Base64, NullBytes::Fail)), &nulls, MissingPolicy::Error);
    assert!(error.err().unwrap().to_string().contains("value for key \"k\" contains null bytes"));
}

#[test]
fn an_answer_to_another_question_is_an_error() {
    let items = Items { data: vec![data("a", remote("k", None))], ..Items::default() };
    let mut transform = |_: &str, _: &str| Err(String::new());
    let many = |_: usize, _: &Request| Ok::<_, Trouble>(Arc::new(Answer::Many(BTreeMap::new())));
    let error = assemble(&items, &mut { many }, MissingPolicy::Skip, &mut transform).err().unwrap();
    assert_eq!(
        error.to_string(),
        "error processing spec.data[0] (key: k), err: the provider answered another question"
    );
}

proptest! {
    /// The last item that brings a key decides about its value, and `data` comes after all of `dataFrom`.
    #[test]
    fn the_last_one_wins(
        from in vec(vec((0..6_u8, any::<u16>()), 0..5), 0..5),
        single in vec((0..6_u8, any::<u16>()), 0..5),
    ) {
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        let mut held = Vec::new();
        let mut items = Items::default();
        for (index, entries) in from.iter().enumerate() {
            let object: BTreeMap<String, String> = entries.iter().map(|(key, value)| (format!("k{key}"), value.to_string())).collect();
            held.push((format!("from{index}"), serde_json::to_string(&object).unwrap()));
            items.data_from.push(extract(remote(&format!("from{index}"), None)));
            expected.extend(object);
        }
        for (index, (key, value)) in single.iter().enumerate() {
            held.push((format!("single{index}"), value.to_string()));
            items.data.push(data(&format!("k{key}"), remote(&format!("single{index}"), None)));
            expected.insert(format!("k{key}"), value.to_string());
        }
        let held: Vec<(&str, &str)> = held.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let result = assembled(&items, &held, MissingPolicy::Error).ok().unwrap();
        let shown: BTreeMap<String, String> = shown(&result).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        prop_assert_eq!(shown, expected);
    }
}
