use std::collections::BTreeMap;

use super::map;
use crate::secret::{Plaintext, Values};
use crate::sync::external::hash::{data_hash, field_manager, synced_resource_version, text_hash};

fn data(entries: &[(&str, &[u8])]) -> Values {
    entries.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::copy_of(value))).collect()
}

/// The vectors that External Secrets tests itself with.
#[test]
fn known_vectors() {
    assert_eq!(text_hash("<nil>"), "c461202a18e99215f121936fb2452e03843828e448a00a53f285a6fc");
    assert_eq!(text_hash("hello there"), "f78681ec611ebaeea0689bff6c7812a83ff98a7faba986d9af76c999");
    assert_eq!(
        data_hash(&data(&[("foo", b"value1"), ("bar", b"value2")])),
        "1bed8bcbcb4547ffe19a19cd47d9078e84aa6598266d86b99f992d64"
    );
}

/// Made with Go's own printing and hash.
#[test]
fn bytes_of_all_lengths_print_in_decimal() {
    let values = data(&[("", b""), ("ä", b"x"), ("a", &[0, 10, 255])]);
    assert_eq!(data_hash(&values), "d72d0cd0e7c096ee55edf3664610a0e0cec9c963eadd62e80c3ed33e");
}

/// The hash of the data is that of what Go prints, whatever the bytes and however long.
#[test]
fn data_is_printed_as_go_does() {
    let printed = |values: &Values| {
        let entries = values.iter().map(|(key, value)| {
            let bytes: Vec<String> = value.expose().iter().map(u8::to_string).collect();
            format!("{key}:[{}]", bytes.join(" "))
        });
        format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
    };
    let all: Vec<u8> = (0..=255).collect();
    let long = vec![200; 5000];
    for values in [data(&[]), data(&[("a", b"")]), data(&[("a", &all), ("b.c", &long), ("ä", b"x")])] {
        assert_eq!(data_hash(&values), text_hash(&printed(&values)));
    }
    let long_key = "k".repeat(5000);
    let values = data(&[(&long_key, b"v")]);
    assert_eq!(data_hash(&values), text_hash(&printed(&values)));
}

#[test]
fn synced_version() {
    let (labels, annotations) = (map(&[("b", "2"), ("a", "1")]), map(&[("note", "two words")]));
    let wanted = text_hash("{annotations:map[note:two words] labels:map[a:1 b:2]}");
    assert_eq!(synced_resource_version(3, &labels, &annotations), format!("3-{wanted}"));
    let none = text_hash("{annotations:map[] labels:map[]}");
    assert_eq!(synced_resource_version(1, &BTreeMap::new(), &BTreeMap::new()), format!("1-{none}"));
}

#[test]
fn field_managers() {
    assert_eq!(field_manager("db"), "externalsecrets.external-secrets.io/db");
    let longest = "n".repeat(63 - "externalsecrets.external-secrets.io/".len());
    assert_eq!(field_manager(&longest), format!("externalsecrets.external-secrets.io/{longest}"));
    let longer = format!("{longest}n");
    assert_eq!(field_manager(&longer), format!("externalsecrets.external-secrets.io/sha3/{}", text_hash(&longer)));
}
