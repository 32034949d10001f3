//! Everything that people get wrong, and everything that happens to files, each with the message that they read.

use bulla::seal::{
    Binding, Identity, KeyState, Keyring, MAX_SEALED, MAX_VALUE, Place, Recipient, Refusal, Scope, inspect, open,
    open_object, seal,
};
use bulla::secret::Plaintext;

use crate::given::{
    PLACE, again, base64, bytes, day, each_kind, keyring, one, refusal, rsa_2048, rsa_4096, sealed, sealed_to,
};

/// What the owner of the object reads about one value.
fn message(keyring: &Keyring, sealed: &str, place: Place<'_>, declared: Scope) -> String {
    open_object(keyring, [(place.key, sealed)], None, place.namespace, place.name, declared)
        .err()
        .expect("it was to be refused")
        .to_string()
}

fn said(identity: Identity, sealed: &str) -> String {
    message(&keyring([identity]), sealed, PLACE, Scope::Strict)
}

/// A key that never changes, and its id: `printf %s RECIPIENT | sha256sum | cut -c1-16`.
fn fixed() -> (Identity, &'static str) {
    (one("AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"), "e669ae85e3185682")
}

#[test]
fn a_wrong_key_is_named() {
    let (identity, id) = fixed();
    let sealed = sealed(&identity, b"x", Scope::Strict);
    assert_eq!(
        said(Identity::generate_hybrid().unwrap(), &sealed),
        format!("\"password\" is sealed to key {id}, which this keyring does not hold")
    );
    let other = Identity::generate_x25519().unwrap();
    let sealed = sealed_to(&[identity.recipient().clone(), other.recipient().clone()], b"x", Scope::Strict);
    assert_eq!(
        said(Identity::generate_x25519().unwrap(), &sealed),
        format!("\"password\" is sealed to keys {id}, {}, which this keyring does not hold", other.key_id())
    );
    let errors =
        open_object(&Keyring::new(), [("password", sealed.as_str())], None, "prod", "db", Scope::Strict).err().unwrap();
    assert!(errors.wants_key());
    assert_eq!(errors.reason(), "UnknownKey");
    let mut missing = [identity.key_id(), other.key_id()];
    missing.sort_unstable();
    assert_eq!(errors.missing_keys(), missing);
}

#[test]
fn a_wrong_key_of_kubeseals_cannot_be_named() {
    let sealed = sealed_to(&[rsa_2048().recipient()], b"x", Scope::Strict);
    for (identity, tried) in [(rsa_4096().identity(), 1), (Identity::generate_hybrid().unwrap(), 0)] {
        assert_eq!(
            said(identity, &sealed),
            format!(
                "\"password\" is opened by none of {tried} key(s) here: sealed for another cluster, name, namespace or scope, or altered"
            )
        );
    }
}

#[test]
fn a_retired_key_is_named() {
    let (identity, id) = fixed();
    let sealed = sealed(&identity, b"x", Scope::Strict);
    let mut keyring = Keyring::new();
    keyring.insert(identity, KeyState::Retired);
    assert_eq!(
        message(&keyring, &sealed, PLACE, Scope::Strict),
        format!("\"password\" is sealed to the retired key {id}: seal it again to an active key")
    );
}

#[test]
fn renamed_moved_and_swapped_values_say_where_they_belong() {
    for identity in [Identity::generate_hybrid().unwrap(), Identity::generate_x25519().unwrap()] {
        let strict = sealed(&identity, b"x", Scope::Strict);
        let wide = sealed(&identity, b"x", Scope::NamespaceWide);
        let keyring = keyring([identity]);
        let strictly = |place| message(&keyring, &strict, place, Scope::Strict);
        assert_eq!(
            strictly(Place { name: "web", ..PLACE }),
            r#""password" was sealed for key "password" of "prod/db" but is used as key "password" of "prod/web""#
        );
        assert_eq!(
            strictly(Place { namespace: "dev", ..PLACE }),
            r#""password" was sealed for key "password" of "prod/db" but is used as key "password" of "dev/db""#
        );
        assert_eq!(
            strictly(Place { key: "token", ..PLACE }),
            r#""token" was sealed for key "password" of "prod/db" but is used as key "token" of "prod/db""#
        );
        assert_eq!(
            message(&keyring, &wide, Place { namespace: "dev", ..PLACE }, Scope::NamespaceWide),
            r#""password" was sealed for namespace "prod" but is used as namespace "dev""#
        );
    }
}

#[test]
fn two_values_in_each_others_place_are_both_named() {
    let identity = Identity::generate_x25519().unwrap();
    let for_key = |key: &'static str| {
        let binding = Binding::new(Scope::Strict, Place { key, ..PLACE }, day());
        seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"x"), &binding).unwrap()
    };
    let (user, password) = (for_key("user"), for_key("password"));
    let keyring = keyring([again(&identity)]);
    let values = [("password", user.as_str()), ("user", password.as_str())];
    let errors = open_object(&keyring, values, None, "prod", "db", Scope::Strict).err().unwrap();
    assert_eq!(
        errors.to_string(),
        concat!(
            r#""password" was sealed for key "user" of "prod/db" but is used as key "password" of "prod/db"; "#,
            r#""user" was sealed for key "password" of "prod/db" but is used as key "user" of "prod/db""#
        )
    );
}

#[test]
fn an_annotation_against_the_stanza_says_which_to_change() {
    let identity = Identity::generate_x25519().unwrap();
    let strict = sealed(&identity, b"x", Scope::Strict);
    let wide = sealed(&identity, b"x", Scope::ClusterWide);
    let keyring = keyring([identity]);
    assert_eq!(
        message(&keyring, &strict, PLACE, Scope::ClusterWide),
        "\"password\" was sealed strict, but the object is annotated cluster-wide: make the annotation say strict"
    );
    assert_eq!(
        message(&keyring, &wide, PLACE, Scope::NamespaceWide),
        "\"password\" was sealed cluster-wide, but the object is annotated namespace-wide: make the annotation say cluster-wide"
    );
}

#[test]
fn truncated_and_altered_values_say_what_is_wrong() {
    let identity = Identity::generate_x25519().unwrap();
    let sealed = sealed(&identity, b"0123456789", Scope::Strict);
    let file = bytes(&sealed);
    let keyring = keyring([again(&identity)]);
    let said = |file: &[u8]| message(&keyring, &base64(file), PLACE, Scope::Strict);
    let flipped = |at: usize| {
        let mut file = file.clone();
        file[at] ^= 1;
        said(&file)
    };
    let position = |word: &[u8]| file.windows(word.len()).position(|window| window == word).unwrap();
    assert_eq!(said(&file[..60]), "\"password\" is damaged: it is cut off");
    assert_eq!(said(&file[..file.len() - 1]), "\"password\" is damaged: its content was altered or cut off");
    assert_eq!(said(&file[..file.len() - 30]), "\"password\" is damaged: it is cut off");
    assert_eq!(flipped(file.len() - 1), "\"password\" is damaged: its content was altered or cut off");
    assert_eq!(flipped(19), "\"password\" is damaged: its header is malformed");
    assert_eq!(flipped(20), "\"password\" was written by a newer version (v0): upgrade to open it");
    assert_eq!(flipped(position(b"X25519")), "\"password\" is damaged: its header names a key that does not open it");
    assert_eq!(flipped(position(b"-> X25519")), "\"password\" is damaged: its header is malformed");
    // Another character of base64: a flipped bit could make one that is none.
    let mut other_mac = file.clone();
    let at = position(b"\n--- ") + 7;
    other_mac[at] = if file[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(said(&other_mac), "\"password\" is damaged: its header was altered");
    assert_eq!(
        flipped(position(b"-> bulla v1") + 10),
        "\"password\" was written by a newer version (v0): upgrade to open it"
    );
    assert_eq!(flipped(position(b"-> bulla v1") + 12), "\"password\" is damaged: its bulla stanza is malformed");
    let rsa = sealed_to(&[rsa_2048().recipient()], b"0123456789", Scope::Strict);
    assert_eq!(said(&bytes(&rsa)[..200]), "\"password\" is damaged: it is cut off");
}

/// Whoever can edit the file can drop the stanza, but then has to make the MAC fit without the file key.
#[test]
fn the_binding_cannot_be_taken_off_or_replaced() {
    let identity = Identity::generate_hybrid().unwrap();
    let file = bytes(&sealed(&identity, b"x", Scope::Strict));
    let wider = bytes(&sealed(&identity, b"x", Scope::ClusterWide));
    let keyring = keyring([identity]);
    let at = |file: &[u8], word: &[u8]| file.windows(word.len()).position(|window| window == word).unwrap();
    let (ours, end) = (at(&file, b"-> bulla v1"), at(&file, b"--- "));
    let without = [&file[..ours], &file[end..]].concat();
    let stanza = &wider[at(&wider, b"-> bulla v1")..at(&wider, b"--- ")];
    let replaced = [&file[..ours], stanza, &file[end..]].concat();
    let twice = [&file[..end], stanza, &file[end..]].concat();
    for (altered, expected) in [
        (without, "\"password\" is damaged: its header was altered"),
        (replaced, "\"password\" is damaged: its header was altered"),
        (twice, "\"password\" is damaged: its bulla stanza is malformed"),
    ] {
        assert_eq!(message(&keyring, &base64(&altered), PLACE, Scope::ClusterWide), expected);
    }
}

#[test]
fn what_is_no_sealed_value_says_so() {
    let keyring = keyring(each_kind());
    let said = |text: &str| message(&keyring, text, PLACE, Scope::Strict);
    for text in ["not base64!", "AAA", "QQ", "QQ=", "QUFB QUFB", "QUFB=QUFB", "-_-_"] {
        assert_eq!(said(text), "\"password\" is not base64", "{text}");
    }
    for text in ["", "\n", "aHVudGVyMg==", "AAAA", "BQAA"] {
        let expected = "\"password\" is not a sealed value: neither an age file nor kubeseal's format";
        assert_eq!(said(text), expected, "{text}");
    }
    assert_eq!(said("AgA="), "\"password\" is damaged: it is cut off");
    assert_eq!(
        said(&"A".repeat(MAX_SEALED + 4)),
        format!("\"password\" has {} characters; a sealed value has at most {MAX_SEALED}", MAX_SEALED + 4)
    );
}

#[test]
fn an_age_file_without_our_stanza_opens_cluster_wide_only() {
    let identity = Identity::generate_x25519().unwrap();
    let recipient = identity.recipient().to_string();
    let age = crate::support::tools::age(&["-r", &recipient], b"plain");
    let file = base64(&crate::support::tools::stdout_of(age));
    let keyring = keyring([identity]);
    for scope in [Scope::Strict, Scope::NamespaceWide] {
        assert_eq!(
            message(&keyring, &file, PLACE, scope),
            "\"password\" is a plain age file without a binding: accepted only in an object annotated cluster-wide; seal it with bulla"
        );
    }
    assert!(open(&keyring, &file, PLACE, Scope::ClusterWide).is_ok());
    assert_eq!(inspect(&file).unwrap().binding, None);
    assert_eq!(
        message(&crate::given::keyring([Identity::generate_x25519().unwrap()]), &file, PLACE, Scope::ClusterWide),
        "\"password\" is opened by none of 1 key(s) here: sealed for another cluster, name, namespace or scope, or altered"
    );
}

#[test]
fn recipients_of_different_kinds_are_refused_with_the_reason() {
    let [hybrid, x25519, rsa] = each_kind().map(|identity| identity.recipient().clone());
    let binding = Binding::new(Scope::Strict, PLACE, day());
    let said =
        |recipients: &[Recipient]| seal(recipients, &Plaintext::copy_of(b"x"), &binding).unwrap_err().to_string();
    let mixed = |kinds| {
        format!(
            "recipients of different kinds ({kinds}) cannot share one value: age forbids mixing hybrid and X25519, and a certificate stands alone. Use one kind for all"
        )
    };
    assert_eq!(said(&[hybrid.clone(), x25519.clone()]), mixed("hybrid and x25519"));
    assert_eq!(said(&[x25519.clone(), rsa.clone()]), mixed("rsa and x25519"));
    assert_eq!(said(&[rsa.clone(), hybrid.clone()]), mixed("hybrid and rsa"));
    assert_eq!(said(&[rsa.clone(), rsa_4096().recipient()]), mixed("rsa"));
    assert_eq!(said(&[]), "no recipient: name at least one");
    // The same one twice is one.
    for recipient in [hybrid, x25519, rsa] {
        assert!(seal(&[recipient.clone(), recipient], &Plaintext::copy_of(b"x"), &binding).is_ok());
    }
}

#[test]
fn a_mebibyte_works_and_one_byte_more_does_not() {
    let content: Vec<u8> = (0..MAX_VALUE).map(|at| (at % 251) as u8).collect();
    for identity in each_kind() {
        let recipient = identity.recipient().clone();
        let sealed = sealed_to(std::slice::from_ref(&recipient), &content, Scope::Strict);
        assert!(sealed.len() <= MAX_SEALED);
        let opened = open(&keyring([identity]), &sealed, PLACE, Scope::Strict).unwrap_or_else(|e| panic!("{e}"));
        assert!(opened.plaintext.same_as(&content));
        let more = Plaintext::new([&content[..], b"x"].concat());
        let refused = seal(&[recipient], &more, &Binding::new(Scope::Strict, PLACE, day())).unwrap_err();
        assert_eq!(refused.to_string(), "the value has 1048577 bytes; a Secret holds at most 1048576");
    }
}

/// A value that other tools sealed may be longer than ours may.
#[test]
fn a_longer_value_from_elsewhere_is_refused_by_its_length() {
    let identity = Identity::generate_x25519().unwrap();
    let recipient = identity.recipient().to_string();
    let age = crate::support::tools::age(&["-r", &recipient], &vec![0; MAX_VALUE + 1]);
    let file = base64(&crate::support::tools::stdout_of(age));
    assert_eq!(
        message(&keyring([identity]), &file, PLACE, Scope::ClusterWide),
        "\"password\" is damaged: it holds more than a Secret may"
    );
}

#[test]
fn a_binding_longer_than_any_real_one_is_not_written() {
    let recipient = Identity::generate_x25519().unwrap().recipient().clone();
    let mut binding = Binding::new(Scope::Strict, PLACE, day());
    binding.owner = Some("o".repeat(9000));
    let refused = seal(&[recipient], &Plaintext::copy_of(b"x"), &binding).unwrap_err().to_string();
    assert!(refused.starts_with("the names and key ids bound to the value have 91"), "{refused}");
    assert!(refused.ends_with(" bytes; at most 8192"), "{refused}");
}

#[test]
fn a_thousand_keys_in_one_object_open_and_are_all_reported() {
    let identity = Identity::generate_x25519().unwrap();
    let names: Vec<String> = (0..1000).map(|number| format!("key-{number:04}")).collect();
    let values: Vec<(&str, String)> = names
        .iter()
        .map(|key| {
            let binding = Binding::new(Scope::Strict, Place { key, ..PLACE }, day());
            (
                key.as_str(),
                seal(&[identity.recipient().clone()], &Plaintext::copy_of(key.as_bytes()), &binding).unwrap(),
            )
        })
        .collect();
    let values = || values.iter().map(|(key, sealed)| (*key, sealed.as_str()));
    let ours = keyring([again(&identity)]);
    let opened = open_object(&ours, values(), None, "prod", "db", Scope::Strict).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(opened.values.len(), 1000);
    assert!(opened.values.iter().all(|(key, value)| value.same_as(key.as_bytes())));
    assert_eq!(opened.key_values.into_iter().collect::<Vec<_>>(), [(identity.key_id(), 1000)]);

    // One bad one: the object is refused, and only that one is named.
    let one_bad = values().map(|(key, sealed)| (key, if key == "key-0500" { "!" } else { sealed }));
    let errors = open_object(&ours, one_bad, None, "prod", "db", Scope::Strict).err().unwrap();
    assert_eq!(errors.to_string(), "\"key-0500\" is not base64");

    // All bad: all are there, eight are spelled out.
    let errors = open_object(&Keyring::new(), values(), None, "prod", "db", Scope::Strict).err().unwrap();
    assert_eq!(errors.as_slice().len(), 1000);
    let text = errors.to_string();
    assert!(text.starts_with("\"key-0000\" is sealed to key ") && text.ends_with("; and 992 more"), "{text}");
    assert_eq!(text.matches("is sealed to").count(), 8);
    assert_eq!(errors.missing_keys(), [identity.key_id()]);
}

#[test]
fn both_forms_in_one_object_are_refused() {
    let identity = Identity::generate_x25519().unwrap();
    let sealed = sealed(&identity, b"{}", Scope::Strict);
    let keyring = keyring([identity]);
    for values in [vec![("password", sealed.as_str())], vec![("password", "!")]] {
        let errors = open_object(&keyring, values, Some(&sealed), "prod", "db", Scope::Strict).err().unwrap();
        let expected = "\"spec.data\" spec.data and spec.encryptedData are used at the same time: keep encryptedData";
        assert_eq!(errors.to_string(), expected);
    }
}

#[test]
fn a_hostile_name_does_not_write_on_the_readers_terminal() {
    let identity = Identity::generate_x25519().unwrap();
    let place = Place { namespace: "prod\u{1b}[2J", name: "db\n", key: "pass\u{202e}word" };
    let binding = Binding::new(Scope::Strict, place, day());
    let sealed = seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"x"), &binding).unwrap();
    let ring = keyring([identity]);
    for text in [
        message(&ring, &sealed, PLACE, Scope::Strict),
        message(&ring, &sealed, Place { name: "x", ..place }, Scope::Strict),
        message(&ring, &age_version("\u{1b}[2J"), PLACE, Scope::Strict),
        message(&ring, &bulla_version("\u{1b}[2J"), PLACE, Scope::Strict),
    ] {
        assert!(text.chars().all(|letter| !letter.is_control() && letter != '\u{202e}'), "{text:?}");
    }
    assert_eq!(
        refusal(open(&ring, &bulla_version("v2"), PLACE, Scope::Strict)),
        Refusal::UnknownVersion { version: "v2".to_owned() }
    );
}

fn age_version(version: &str) -> String {
    base64(format!("age-encryption.org/{version}\n").as_bytes())
}

fn bulla_version(version: &str) -> String {
    let mac = "A".repeat(43);
    base64(format!("age-encryption.org/v1\n-> bulla {version}\n\n--- {mac}\n{}", "x".repeat(64)).as_bytes())
}

#[test]
fn keys_that_are_none_say_what_was_expected() {
    let (identity, _) = fixed();
    let said = |text: &str| text.parse::<Recipient>().unwrap_err().to_string();
    assert_eq!(
        said(&identity.to_text().unwrap()),
        "this is a private key (AGE-SECRET-KEY-...), not a recipient: keep it out of here, and use its public half"
    );
    assert_eq!(said("age1x"), "not a recipient: expected age1pq1... (hybrid) or age1... (X25519)");
    assert_eq!(
        said("ssh-ed25519 AAAA"),
        "recipients of the kind \"ssh-ed25519\" are not supported: use age1pq1... (hybrid) or age1... (X25519)"
    );
    let said = |text: &str| Identity::parse_all(text).map(|_| ()).unwrap_err().to_string();
    assert_eq!(said("# nothing\n"), "no identity in it");
    assert_eq!(
        said("# one\n\nage1x\n"),
        "line 3 is not an identity: expected AGE-SECRET-KEY-PQ-1... or AGE-SECRET-KEY-1..., or a PEM private key"
    );
    assert_eq!(said("-----BEGIN RSA PRIVATE KEY-----\nQQ=="), "not valid PEM");
    assert_eq!(
        said("-----BEGIN EC PRIVATE KEY-----\nQUFB\n-----END EC PRIVATE KEY-----\n"),
        "not an RSA private key of 2048 to 8192 bits in PKCS#1 or PKCS#8"
    );
}
