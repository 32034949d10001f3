//! Nothing that holds a secret can be printed, copied or serialised, and no error repeats one.

use std::fmt::{Debug, Display};
use std::ops::Deref;

use bulla::seal::{DigestKey, Identity, Keyring, Opened, OpenedObject, Place, Scope, inspect, open, open_object};
use bulla::secret::Plaintext;
use serde::Serialize;
use static_assertions::assert_not_impl_any;

use crate::given::{PLACE, SCOPES, again, base64, bytes, each_kind, keyring, rsa_2048, sealed};

assert_not_impl_any!(Plaintext: Debug, Display, Clone, Serialize, Deref, AsRef<[u8]>, AsRef<str>, Copy);
assert_not_impl_any!(Identity: Debug, Display, Clone, Serialize, Deref, AsRef<[u8]>, AsRef<str>, Copy);
assert_not_impl_any!(DigestKey: Debug, Display, Clone, Serialize, Deref, AsRef<[u8]>);
assert_not_impl_any!(Keyring: Debug, Display, Clone, Serialize);
assert_not_impl_any!(Opened: Debug, Display, Clone, Serialize);
assert_not_impl_any!(OpenedObject: Debug, Display, Clone, Serialize);

const CANARY: &str = "CANARY-7f3a";

/// Fails where an error, in either of the ways to print it, holds the canary in any of the usual disguises.
fn check(error: &(impl Debug + Display), secret: &str) {
    let printed = format!("{error} {error:?} {error:#?}");
    for disguise in [secret.to_owned(), secret.to_lowercase(), base64(secret.as_bytes())] {
        assert!(!printed.contains(&disguise), "{printed}");
    }
    assert!(!printed.contains(&format!("{:?}", secret.as_bytes())), "{printed}");
}

#[test]
fn no_refusal_of_a_value_repeats_it() {
    let mut seen = 0;
    for identity in each_kind() {
        let kind = identity.kind();
        for scope in SCOPES {
            let sealed = sealed(&identity, CANARY.as_bytes(), scope);
            let file = bytes(&sealed);
            let identity = if kind.as_str() == "rsa" { rsa_2048().identity() } else { again(&identity) };
            let keyring = keyring([identity]);
            let mut texts = vec![CANARY.to_owned(), base64(CANARY.as_bytes()), format!("{sealed}{CANARY}")];
            texts.extend((0..file.len()).step_by(53).map(|at| {
                let mut altered = file.clone();
                altered[at] ^= 1;
                base64(&altered)
            }));
            texts.extend((0..file.len()).step_by(59).map(|length| base64(&file[..length])));
            for text in &texts {
                for declared in SCOPES {
                    let error = open(&keyring, text, PLACE, declared).err().expect("altered");
                    check(&error, CANARY);
                    let errors =
                        open_object(&keyring, [("password", text.as_str())], None, "prod", "db", declared).err();
                    check(&errors.expect("altered"), CANARY);
                    seen += 1;
                }
                if let Err(error) = inspect(text) {
                    check(&error, CANARY);
                }
            }
            for place in [Place { name: "web", ..PLACE }, Place { namespace: "dev", ..PLACE }] {
                for declared in SCOPES {
                    if let Err(error) = open(&keyring, &sealed, place, declared) {
                        check(&error, CANARY);
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 500, "{seen} refusals were looked at");
}

#[test]
fn no_error_about_a_key_repeats_it() {
    let [hybrid, x25519, _] = each_kind();
    for text in [hybrid.to_text().unwrap(), x25519.to_text().unwrap()] {
        // As a recipient, cut off, with a letter changed, twice on a line, behind a word.
        let damaged = format!("{}{}", &text[..text.len() - 1], if text.ends_with('Q') { 'P' } else { 'Q' });
        for input in [text.to_string(), text[..40].to_owned(), damaged, text.repeat(2), ["key: ", &text].concat()] {
            if let Err(error) = Identity::parse_all(&input).map(|_| ()) {
                check(&error, &text[20..40]);
            }
            let error = input.parse::<bulla::seal::Recipient>().expect_err("a private key is no recipient");
            check(&error, &text[20..40]);
        }
    }
    let pem = &rsa_2048().pkcs8;
    for cut in (0..pem.len()).step_by(5) {
        if let Err(error) = Identity::parse_all(&pem[..cut]).map(|_| ()) {
            check(&error, &pem[40..60]);
        }
    }
}

#[test]
fn the_whole_secret_form_does_not_repeat_itself() {
    let [_, identity, _] = each_kind();
    for content in
        [CANARY.to_owned(), format!(r#"{{"data":{{"a":"{CANARY}!"}}}}"#), format!(r#"{{"data":"{CANARY}"}}"#)]
    {
        let sealed = sealed(&identity, content.as_bytes(), Scope::ClusterWide);
        let keyring = keyring([again(&identity)]);
        let errors = open_object(&keyring, [], Some(&sealed), "prod", "db", Scope::ClusterWide).err();
        check(&errors.expect("no Secret"), CANARY);
    }
}
