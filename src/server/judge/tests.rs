//! The same work for everything, and no more than is worth it.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::*;
use crate::seal::{Binding, Identity, KeyState, Scope, seal};
use crate::secret::Plaintext;

fn rsa(index: usize) -> Identity {
    static KEYS: OnceLock<[String; 2]> = OnceLock::new();
    let make = || {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        pair.serialize_pem()
    };
    Identity::parse_all(&KEYS.get_or_init(|| [make(), make()])[index]).unwrap().remove(0)
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::new();
    keyring.insert(rsa(0), KeyState::Active);
    keyring.insert(rsa(1), KeyState::Active);
    keyring
}

fn day() -> Date {
    jiff::civil::date(2026, 11, 21)
}

fn sealed(identity: &Identity, name: &str, key: &str) -> String {
    let binding = Binding::new(Scope::Strict, Place { namespace: "prod", name, key }, day());
    seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"CANARY"), &binding).unwrap()
}

fn document(values: &Value) -> Document {
    let object = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "prod"}, "spec": {"encryptedData": values},
    });
    Document::read(object.to_string().as_bytes()).unwrap()
}

#[test]
fn work_does_not_depend_on_what_opens_or_on_where_the_first_failure_is() {
    let keyring = keyring();
    let good = |key: &str| sealed(&rsa(0), "db", key);
    let bad = |key: &str| sealed(&rsa(0), "other", key);
    let objects = [
        (json!({"a": good("a"), "b": good("b"), "c": good("c")}), true),
        (json!({"a": bad("a"), "b": good("b"), "c": good("c")}), false),
        (json!({"a": good("a"), "b": good("b"), "c": bad("c")}), false),
        (json!({"a": bad("a"), "b": bad("b"), "c": bad("c")}), false),
        (json!({"a": sealed(&rsa(1), "db", "a"), "b": good("b"), "c": good("c")}), true),
    ];
    let mut costs = Vec::new();
    for (values, opens) in &objects {
        let before = keyring.rsa_operations();
        assert_eq!(matches!(verify(&document(values), &keyring, true).verdict, Verdict::Opens), *opens);
        let between = keyring.rsa_operations();
        assert_eq!(matches!(rotate(document(values), &keyring, day()).verdict, Verdict::Rotated(_)), *opens);
        costs.push((between - before, keyring.rsa_operations() - between));
    }
    assert_eq!(costs, [(6, 6); 5], "three values, two keys, every time");
}

#[test]
fn every_refusal_reads_the_same_and_names_nothing() {
    let keyring = keyring();
    let stranger = Identity::generate_x25519().unwrap();
    let objects = [
        json!({"CANARY-KEY": sealed(&rsa(0), "other", "CANARY-KEY")}),
        json!({"CANARY-KEY": sealed(&stranger, "db", "CANARY-KEY")}),
        json!({"CANARY-KEY": "not sealed: CANARY"}),
        json!({"a": sealed(&rsa(0), "db", "a"), "CANARY-KEY": ""}),
    ];
    for values in objects {
        let finding = rotate(document(&values), &keyring, day());
        let expected = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", REFUSED);
        assert!(matches!(finding.verdict, Verdict::Problem(problem) if problem == expected), "{values}");
    }
}

#[test]
fn what_would_take_too_long_is_refused_before_it_is_begun() {
    let keyring = keyring();
    let value = sealed(&rsa(0), "db", "a");
    let many: serde_json::Map<String, Value> = (0..4000).map(|n| (n.to_string(), json!(value))).collect();
    let many = Value::Object(many);
    for finding in [verify(&document(&many), &keyring, true), rotate(document(&many), &keyring, day())] {
        assert!(matches!(finding.verdict, Verdict::Problem(problem) if problem.outcome == "too-much-work"));
    }
    assert_eq!(keyring.rsa_operations(), 0);
}

#[test]
fn an_object_without_values_opens_and_stays_as_it_is() {
    let empty = Keyring::new();
    assert!(matches!(verify(&document(&json!({})), &empty, false).verdict, Verdict::Opens));
    assert!(matches!(rotate(document(&json!({})), &empty, day()).verdict, Verdict::Rotated(_)));
}

#[test]
fn the_form_of_a_whole_secret_is_verified_only_where_it_is_opened_at_the_same_cost() {
    let keyring = keyring();
    let whole = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "prod"}, "spec": {"data": sealed(&rsa(0), "db", "")},
    });
    let whole = Document::read(whole.to_string().as_bytes()).unwrap();
    for opens in [true, false] {
        let before = keyring.rsa_operations();
        assert_eq!(matches!(verify(&whole, &keyring, opens).verdict, Verdict::Opens), opens);
        assert_eq!(keyring.rsa_operations() - before, 2);
        let values = document(&json!({"a": sealed(&rsa(0), "db", "a")}));
        assert!(matches!(verify(&values, &keyring, opens).verdict, Verdict::Opens), "the usual form is not concerned");
    }
}
