//! What each fuzz target does with its input. Shared with the ordinary tests, which run the same bodies over the seeds
//! and a few thousand mutations of them.
//!
//! Every body asserts more than that nothing panics: what is refused stays refused whichever way it is looked at, and
//! what is read and written again is the same.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bulla::seal::{
    Binding, Certificate, Identity, KeyId, KeyState, Keyring, MAX_VALUE, Place, Recipient, Refusal, Scope, inspect,
    open, open_object, seal,
};
use bulla::secret::template::{Delimiters, Environment, MissingKey, OUTPUT_LIMIT, render};
use bulla::secret::{Plaintext, Values};
use jiff::civil::date;

/// A target: its name, its body, and what to begin with.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) body: fn(&[u8]),
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

pub(crate) const TARGETS: [Target; 9] = [
    Target { name: "open_native", body: open_native, seeds: value_seeds },
    Target { name: "open_kubeseal", body: open_kubeseal, seeds: value_seeds },
    Target { name: "inspect", body: inspect_value, seeds: value_seeds },
    Target { name: "recipient", body: recipient, seeds: key_seeds },
    Target { name: "identity", body: identity, seeds: key_seeds },
    Target { name: "certificate", body: certificate, seeds: certificate_seeds },
    Target { name: "legacy", body: legacy, seeds: legacy_seeds },
    Target { name: "binding", body: binding, seeds: binding_seeds },
    Target { name: "template", body: template, seeds: template_seeds },
];

const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "password" };
const SCOPES: [Scope; 3] = [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide];
const HYBRID: &str = "AGE-SECRET-KEY-PQ-19UJGX5UPWQE3S73TX9ZWR7YRTAFEWRMDJE0RDQ58X5HHXL3XAXLSVJHPNW";
const X25519: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// The keys that values are sealed to, and one valid file for each.
struct Given {
    native: Keyring,
    rsa: Keyring,
    recipient: Recipient,
    files: [Vec<u8>; 3],
    pem: String,
}

fn given() -> &'static Given {
    static GIVEN: OnceLock<Given> = OnceLock::new();
    GIVEN.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("its DER");
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
        let one = |text: &str| Identity::parse_all(text).expect("an identity").remove(0);
        let identities = [one(HYBRID), one(X25519), one(&pem)];
        let files = identities.each_ref().map(|identity| {
            let binding = Binding::new(Scope::Strict, PLACE, date(2026, 11, 21));
            let sealed = seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"0123456789"), &binding);
            STANDARD.decode(sealed.expect("sealed")).expect("base64")
        });
        let [hybrid, x25519, rsa] = identities;
        let recipient = x25519.recipient().clone();
        let (mut native, mut kubeseal) = (Keyring::new(), Keyring::new());
        native.insert(hybrid, KeyState::Active);
        native.insert(x25519, KeyState::Active);
        kubeseal.insert(rsa, KeyState::Active);
        Given { native, rsa: kubeseal, recipient, files, pem }
    })
}

/// Makes a file of the input: itself (first byte even), or a valid file with a part of it changed. Also says whether it
/// is still the valid one.
fn file(data: &[u8], valid: &[&Vec<u8>]) -> (Vec<u8>, bool) {
    let Some((mode, rest)) = data.split_first() else {
        return (Vec::new(), false);
    };
    let (Some((at, change)), true) = (rest.split_first_chunk::<2>(), mode % 2 == 1) else {
        return (rest.to_vec(), valid.iter().any(|valid| valid.as_slice() == rest));
    };
    let mut file = valid[usize::from(mode / 2) % valid.len()].clone();
    let at = usize::from(u16::from_be_bytes(*at)) % file.len();
    for (byte, change) in file[at..].iter_mut().zip(change) {
        *byte ^= change;
    }
    let is_valid = valid.contains(&&file);
    (file, is_valid)
}

fn check_opening(keyring: &Keyring, file: &[u8], is_valid: bool) {
    let sealed = STANDARD.encode(file);
    let outside = inspect(&sealed);
    for declared in SCOPES {
        match open(keyring, &sealed, PLACE, declared) {
            Ok(opened) => {
                assert!(outside.is_ok(), "what opens can be inspected");
                assert!(opened.plaintext.len() <= MAX_VALUE);
                assert!(declared == Scope::Strict || opened.binding.is_none());
                assert!(is_valid, "nobody without the file key can write this");
            }
            Err(refusal) => {
                assert!(!is_valid || declared != Scope::Strict, "{refusal}");
                assert_eq!(refusal == Refusal::NotSealed, outside == Err(Refusal::NotSealed));
                assert!(refusal.to_string().len() < 4096);
            }
        }
    }
}

fn open_native(data: &[u8]) {
    let given = given();
    let (file, is_valid) = file(data, &[&given.files[0], &given.files[1]]);
    check_opening(&given.native, &file, is_valid);
}

fn open_kubeseal(data: &[u8]) {
    let given = given();
    let (file, is_valid) = file(data, &[&given.files[2]]);
    check_opening(&given.rsa, &file, is_valid);
}

fn inspect_value(data: &[u8]) {
    let (file, _) = file(data, &given().files.each_ref());
    if let Ok(inspection) = inspect(&STANDARD.encode(&file)) {
        assert_eq!(inspection.bytes, file.len());
        assert!(!inspection.post_quantum || !inspection.kinds.is_empty());
    }
    drop(inspect(&String::from_utf8_lossy(data)));
}

fn recipient(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(recipient) = text.parse::<Recipient>() {
        let again: Recipient = recipient.to_string().parse().expect("what we write we read");
        assert_eq!((again.key_id(), again.kind()), (recipient.key_id(), recipient.kind()));
    }
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(id.to_string(), text);
    }
}

fn identity(data: &[u8]) {
    for identity in Identity::parse_all(&String::from_utf8_lossy(data)).unwrap_or_default() {
        if let Some(text) = identity.to_text() {
            let again = Identity::parse_all(&text).expect("what we write we read");
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].key_id(), identity.key_id());
        }
    }
}

fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_pem(data) {
        assert!((2048..=8192).contains(&certificate.bits()));
        assert_eq!(Recipient::from(certificate.clone()).certificate().map(Certificate::bits), Some(certificate.bits()));
    }
    identity(data);
}

fn legacy(data: &[u8]) {
    let given = given();
    if data.len() > MAX_VALUE {
        return;
    }
    let binding = Binding::new(Scope::ClusterWide, PLACE, date(2026, 11, 21));
    let recipients = std::slice::from_ref(&given.recipient);
    let sealed = seal(recipients, &Plaintext::copy_of(data), &binding).expect("sealed");
    match open_object(&given.native, [], Some(&sealed), PLACE.namespace, PLACE.name, Scope::ClusterWide) {
        Ok(opened) => {
            // Bytes that are no UTF-8 are let pass, as in Go, in the fields that nobody reads.
            let json = serde_json::from_slice::<serde_json::Value>(data);
            assert!(json.map_or(data.trim_ascii_start().starts_with(b"{"), |json| json.is_object()));
            assert!(opened.legacy.is_some());
        }
        Err(errors) => assert_eq!(errors.reason(), "NotASecret"),
    }
}

fn binding(data: &[u8]) {
    let given = given();
    // From the outside, as the body of the stanza.
    let body = STANDARD_NO_PAD.encode(data);
    let mut header = "age-encryption.org/v1\n-> bulla v1\n".to_owned();
    for line in body.as_bytes().chunks(64) {
        header.push_str(&String::from_utf8_lossy(line));
        header.push('\n');
    }
    if body.len().is_multiple_of(64) {
        header.push('\n');
    }
    header.push_str(&format!("--- {}\n", "A".repeat(43)));
    let outside = inspect(&STANDARD.encode(&header));

    // And from the inside: whatever it says, it opens exactly where it says.
    let Ok(binding) = serde_json::from_slice::<Binding>(data) else {
        assert!(outside.is_err());
        return;
    };
    let Ok(sealed) = seal(std::slice::from_ref(&given.recipient), &Plaintext::copy_of(b"x"), &binding) else {
        return;
    };
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let (namespace, name, key) = (part(&binding.namespace), part(&binding.name), part(&binding.key));
    let own = Place { namespace: &namespace, name: &name, key: &key };
    for place in [own, PLACE] {
        for declared in SCOPES {
            let fits = |bound: &Option<String>, used: &str| bound.as_deref().is_none_or(|bound| bound == used);
            let is_complete = binding
                == Binding {
                    keys: binding.keys.clone(),
                    not_after: binding.not_after,
                    owner: binding.owner.clone(),
                    ..Binding::new(binding.scope, own, binding.sealed)
                };
            let expected = is_complete
                && declared == binding.scope
                && fits(&binding.namespace, place.namespace)
                && fits(&binding.name, place.name)
                && fits(&binding.key, place.key);
            match open(&given.native, &sealed, place, declared) {
                Ok(opened) => {
                    assert!(expected, "{binding:?}");
                    let found = opened.binding.expect("it has one");
                    assert_eq!(Binding { keys: binding.keys.clone(), ..found }, binding);
                }
                Err(refusal) => assert!(!expected, "{binding:?}: {refusal}"),
            }
        }
    }
}

fn value_seeds() -> Vec<Vec<u8>> {
    let raw = given().files.iter().map(|file| [&[0], file.as_slice()].concat());
    let patched = (0..3).map(|which| vec![which * 2 + 1, 0, 100, 0]);
    let text = given().files.iter().map(|file| STANDARD.encode(file).into_bytes());
    raw.chain(patched).chain(text).collect()
}

fn key_seeds() -> Vec<Vec<u8>> {
    let of = |text: &str| Identity::parse_all(text).expect("an identity").remove(0).recipient().to_string();
    let file = format!("# created: 2026-11-21T10:00:00Z\n# public key: {}\n{X25519}\n{HYBRID}\r\n", of(X25519));
    let texts = [HYBRID.to_owned(), X25519.to_owned(), of(HYBRID), of(X25519), file, given().pem.clone()];
    let others = ["ssh-ed25519 AAAA", "age1tag1qqq", "e669ae85e3185682", "age1yubikey1qqqq"].map(str::to_owned);
    texts.into_iter().chain(others).map(String::into_bytes).collect()
}

fn certificate_seeds() -> Vec<Vec<u8>> {
    let der = given().pem.lines().nth(1).and_then(|line| STANDARD.decode(line).ok()).expect("the key's DER");
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.clone().into(), &rcgen::PKCS_RSA_SHA256);
    let pair = pair.expect("a key pair");
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).expect("a certificate");
    let elliptic = rcgen::generate_simple_self_signed(["x".to_owned()]).expect("a certificate");
    let pkcs1 = STANDARD.encode(&der[26..]);
    let pkcs1 = format!("-----BEGIN RSA PRIVATE KEY-----\n{pkcs1}\n-----END RSA PRIVATE KEY-----\n");
    let both = format!("{}{}", given().pem, certificate.pem());
    [certificate.pem(), elliptic.cert.pem(), given().pem.clone(), pkcs1, both].map(String::into_bytes).to_vec()
}

fn legacy_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","labels":{"a":"b"},"annotations":null},"type":"Opaque","data":{"user":"YWRtaW4=","none":null}}"#,
        r#"{"data":{"a":"!"}}"#,
        "{}",
        "[]",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn binding_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"scope":"strict","namespace":"prod","name":"db","key":"password","keys":["e669ae85e3185682"],"sealed":"2026-11-21"}"#,
        r#"{"scope":"namespace-wide","namespace":"prod","keys":["e669ae85e3185682"],"sealed":"2026-11-21","notAfter":"2027-11-21","owner":"ops"}"#,
        r#"{"scope":"cluster-wide","keys":["e669ae85e3185682"],"sealed":"2026-11-21"}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A template renders within its limits, and what goes wrong never repeats a value.
fn template(input: &[u8]) {
    let Ok(template) = std::str::from_utf8(input) else { return };
    let canary = "canary-hunter2";
    let values = Values::from([("a".to_owned(), Plaintext::copy_of(canary.as_bytes()))]);
    let random = |bytes: &mut [u8]| bytes.fill(7);
    for missing_key in [MissingKey::Error, MissingKey::NoValue] {
        let environment = Environment {
            now: jiff::Timestamp::UNIX_EPOCH,
            random: &random,
            missing_key,
            delimiters: Delimiters::default(),
        };
        match render(template, &values, &environment) {
            Ok(text) => assert!(text.len() <= OUTPUT_LIMIT),
            Err(error) => assert!(template.contains("hunter2") || !format!("{error} {error:?}").contains("hunter2")),
        }
    }
}

fn template_seeds() -> Vec<Vec<u8>> {
    [
        "postgres://{{ .a | urlquery }}@db/{{ upper \"app\" }}",
        "{{ with $x := .a }}{{ range $i, $c := until 3 }}{{ $i }}{{ else }}-{{ end }}{{ end }}",
        "{{ define \"t\" }}<{{ . }}>{{ end }}{{- template \"t\" .a -}}{{/* c */}}",
        "{{ if and (eq .a \"x\") (not .b) }}{{ index . \"a\" | b64enc | trunc 8 }}{{ end }}",
        "{{ printf \"%-10s|%05d|%+v\" .a 42 (dict \"k\" (list 1 2.5 nil)) | toJson | quote }}",
        "{{ regexReplaceAll \"[a-z]+(\\\\d?)\" .a \"$1\" }}{{ .a | sha256sum | substr 0 8 }}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}
