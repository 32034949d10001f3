//! The store that holds its values itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bulla::providers::fake::{Entry, Settings, connect};
use bulla::providers::{Cause, Gate, Provider};
use bulla::secret::Plaintext;
use bulla::sync::remote::{Find, Lookup, Request};

use crate::contract::{self, Backend, Traits, content, find, gate, lookup, many, one, value};

#[derive(Default)]
struct Values(Mutex<BTreeMap<String, Vec<u8>>>);

impl Backend for Values {
    async fn put(&self, entries: &[(String, Vec<u8>)]) {
        self.0.lock().unwrap().extend(entries.iter().cloned());
    }

    async fn delete(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }

    fn provider(&self, gate: Gate) -> Arc<dyn Provider> {
        let values = self.0.lock().unwrap();
        let entry = |(key, value): (&String, &Vec<u8>)| Entry {
            key: key.clone(),
            version: None,
            value: Plaintext::copy_of(value),
        };
        let settings = Settings { data: values.iter().map(entry).collect(), fails_validation: false };
        connect(settings, gate).unwrap()
    }

    fn traits(&self) -> Traits {
        Traits { live: false, calls_for_100: 1, ..Traits::default() }
    }
}

contract::contract!(async { Values::default() });

fn store(entries: &[(&str, Option<&str>, &str)]) -> Arc<dyn Provider> {
    let entry = |(key, version, value): &(&str, Option<&str>, &str)| Entry {
        key: (*key).to_owned(),
        version: version.map(str::to_owned),
        value: (*value).to_owned().into(),
    };
    connect(Settings { data: entries.iter().map(entry).collect(), fails_validation: false }, gate()).unwrap()
}

fn versioned(key: &str, version: &str) -> Request {
    Request::Value(Lookup { key: key.to_owned(), version: Some(version.to_owned()) })
}

#[tokio::test]
async fn a_version_matches_exactly() {
    let store = store(&[("a", Some("v1"), "1"), ("a", Some("v2"), "2"), ("b", None, "3"), ("av", Some("1"), "4")]);
    let answer = async |request| one(&*store, request).await.map(|found| content(&found)).map_err(|error| error.cause);
    assert_eq!(answer(versioned("a", "v1")).await, Ok(b"1".to_vec()));
    assert_eq!(answer(versioned("a", "v2")).await, Ok(b"2".to_vec()));
    assert_eq!(answer(value("a")).await, Err(Cause::Missing), "there is no latest one");
    assert_eq!(answer(versioned("a", "v3")).await, Err(Cause::Missing));
    assert_eq!(answer(value("b")).await, Ok(b"3".to_vec()));
    assert_eq!(answer(versioned("b", "")).await, Ok(b"3".to_vec()));
    assert_eq!(answer(versioned("b", "v1")).await, Err(Cause::Missing));
    assert_eq!(answer(value("av1")).await, Err(Cause::Missing), "key and version do not run into each other");
}

#[tokio::test]
async fn find_gives_the_highest_version_as_text() {
    let store = store(&[("a", Some("v2"), "2"), ("a", Some("v10"), "10"), ("a", None, "0"), ("b", None, "b")]);
    let found = many(&*store, Request::Find(Find::default())).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((content(&found["a"]), found["a"].version.as_deref()), (b"2".to_vec(), Some("v2")));
    assert_eq!(found["b"].version, None);
}

#[tokio::test]
async fn values_belong_to_the_store_that_was_made_from_them() {
    let (one_store, other) = (store(&[("a", None, "1")]), store(&[("a", None, "2"), ("b", None, "3")]));
    assert_eq!(content(&one(&*one_store, value("a")).await.unwrap_or_else(|error| panic!("{error}"))), b"1");
    assert_eq!(content(&one(&*other, value("a")).await.unwrap_or_else(|error| panic!("{error}"))), b"2");
    assert!(one(&*one_store, value("b")).await.is_err());
    assert_eq!(many(&*one_store, find("")).await.map(|found| found.len()), Ok(1));
}

#[tokio::test]
async fn the_later_of_two_equal_entries_counts() {
    let store = store(&[("a", None, "1"), ("a", Some(""), "2")]);
    assert_eq!(content(&one(&*store, value("a")).await.unwrap_or_else(|error| panic!("{error}"))), b"2");
}

#[tokio::test]
async fn what_it_does_not_have_is_refused() {
    let store = store(&[("a", None, "1")]);
    let tags = Find { tags: [("t".to_owned(), "1".to_owned())].into(), ..Find::default() };
    for request in [Request::Metadata(lookup("a")), Request::Find(tags)] {
        let error = store.fetch(vec![request]).await.remove(0).map(|_| ()).unwrap_err();
        assert_eq!(error.cause, Cause::Invalid, "{error}");
    }
    let broken = connect(Settings { data: Vec::new(), fails_validation: true }, gate()).unwrap();
    assert_eq!(broken.validate().await.unwrap_err().cause, Cause::Misconfigured);
}
