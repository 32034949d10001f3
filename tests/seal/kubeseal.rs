//! The real `kubeseal` and ours read each other's values, in every scope, whatever the key looks like.

use std::collections::BTreeMap;
use std::fs;

use bulla::seal::{Binding, Identity, LegacyMetadata, Place, Scope, inspect, open, open_object, seal};
use bulla::secret::Plaintext;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::given::{PLACE, Rsa, SCOPES, base64, bytes, day, keyring, one, rsa_2048, rsa_4096};
use crate::support::tools;

type Values = BTreeMap<&'static str, Vec<u8>>;

/// Text, bytes of every kind, nothing at all, and something long.
fn values() -> Values {
    BTreeMap::from([
        ("password", b"correct horse".to_vec()),
        ("binary", (0..=255).collect()),
        ("empty", Vec::new()),
        ("long", vec![b'x'; 100_000]),
    ])
}

fn metadata(scope: Scope) -> Value {
    let annotations: BTreeMap<&str, &str> =
        scope.annotation().map(|annotation| (annotation, "true")).into_iter().collect();
    json!({ "namespace": PLACE.namespace, "name": PLACE.name, "annotations": annotations })
}

/// Seals with the real tool; returns `spec.encryptedData`.
fn kubeseal(key: &Rsa, values: &Values, scope: Scope) -> BTreeMap<String, String> {
    let folder = TempDir::new().unwrap();
    let certificate = folder.path().join("cert.pem");
    fs::write(&certificate, &key.certificate).unwrap();
    let data: BTreeMap<&str, String> = values.iter().map(|(key, value)| (*key, base64(value))).collect();
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata(scope), "data": data });
    let output = tools::kubeseal(&["--cert", certificate.to_str().unwrap()], secret.to_string().as_bytes());
    let sealed: Value = serde_json::from_slice(&tools::stdout_of(output)).unwrap();
    serde_json::from_value(sealed["spec"]["encryptedData"].clone()).unwrap()
}

/// Opens with the real tool and the private key; returns `data` in the clear.
fn recover(private_key: &str, encrypted: &BTreeMap<&str, String>, scope: Scope) -> BTreeMap<String, Vec<u8>> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key.pem");
    fs::write(&path, private_key).unwrap();
    let sealed = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": metadata(scope),
        "spec": { "encryptedData": encrypted },
    });
    let arguments = ["--recovery-unseal", "--recovery-private-key", path.to_str().unwrap()];
    let output = tools::kubeseal(&arguments, sealed.to_string().as_bytes());
    let secret: Value = serde_json::from_slice(&tools::stdout_of(output)).unwrap();
    // An empty value comes out as null.
    let data: BTreeMap<String, Option<String>> = serde_json::from_value(secret["data"].clone()).unwrap();
    data.into_iter().map(|(key, value)| (key, bytes(&value.unwrap_or_default()))).collect()
}

#[test]
fn we_open_what_kubeseal_seals() {
    for (rsa, bits) in [(rsa_2048(), 2048), (rsa_4096(), 4096)] {
        for scope in SCOPES {
            let sealed = kubeseal(rsa, &values(), scope);
            for private_key in [&rsa.pkcs8, &rsa.pkcs1] {
                let keyring = keyring([one(private_key)]);
                let values_of = sealed.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                let opened = open_object(&keyring, values_of, None, PLACE.namespace, PLACE.name, scope)
                    .unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(opened.values.len(), values().len());
                for (key, value) in values() {
                    assert!(opened.values[key].same_as(&value), "{key}, RSA-{bits}, {scope}");
                }
            }
            for value in sealed.values() {
                assert_eq!(inspect(value).unwrap().kinds, [format!("rsa-{bits}")]);
            }
        }
    }
}

#[test]
fn kubeseal_opens_what_we_seal() {
    for rsa in [rsa_2048(), rsa_4096()] {
        for scope in SCOPES {
            let seal_one = |key: &'static str, value: &[u8]| {
                let binding = Binding::new(scope, Place { key, ..PLACE }, day());
                seal(&[rsa.recipient()], &Plaintext::copy_of(value), &binding).unwrap()
            };
            let sealed = values().iter().map(|(key, value)| (*key, seal_one(key, value))).collect();
            for private_key in [&rsa.pkcs8, &rsa.pkcs1] {
                let recovered = recover(private_key, &sealed, scope);
                for (key, value) in values() {
                    assert!(recovered[key] == value, "{key}, {scope}");
                }
            }
        }
    }
}

#[test]
fn the_scope_of_kubeseals_values_is_the_annotation_and_the_label() {
    for scope in SCOPES {
        let sealed = &kubeseal(rsa_2048(), &BTreeMap::from([("password", b"x".to_vec())]), scope)["password"];
        let keyring = keyring([rsa_2048().identity()]);
        let opens = |place, declared| open(&keyring, sealed, place, declared).is_ok();
        for declared in SCOPES {
            assert_eq!(opens(PLACE, declared), declared == scope, "sealed {scope}, declared {declared}");
        }
        assert_eq!(opens(Place { namespace: "dev", ..PLACE }, scope), scope == Scope::ClusterWide);
        assert_eq!(opens(Place { name: "web", ..PLACE }, scope), scope != Scope::Strict);
        assert!(opens(Place { key: "other", ..PLACE }, scope), "the format does not bind the data key");
    }
}

#[test]
fn the_right_key_among_many_is_found_and_tried_first_the_next_time() {
    let folder: Vec<Identity> = [rsa_4096(), rsa_2048()].map(Rsa::identity).into();
    let keyring = keyring(folder);
    let sealed = &kubeseal(rsa_4096(), &BTreeMap::from([("password", b"x".to_vec())]), Scope::Strict)["password"];
    for _ in 0..2 {
        let opened = open(&keyring, sealed, PLACE, Scope::Strict).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(opened.key_id, rsa_4096().identity().key_id());
    }
}

/// The deprecated form: `spec.data` is a whole Secret in JSON, sealed as one value. kubeseal no longer writes it, so
/// it is built here, by kubeseal's own cipher and as the controller reads it.
#[test]
fn the_whole_secret_form_opens_with_its_metadata() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
        "metadata": { "name": "elsewhere", "namespace": "other", "creationTimestamp": null,
                      "labels": { "app": "db" }, "annotations": { "note": "n" } },
        "data": { "username": base64(b"admin"), "password": base64(&[0, 255, 10]), "empty": "", "null": null },
    });
    for scope in SCOPES {
        let sealed = &kubeseal(rsa_2048(), &BTreeMap::from([("any", secret.to_string().into_bytes())]), scope)["any"];
        let keyring = keyring([rsa_2048().identity()]);
        let open = |name| open_object(&keyring, [], Some(sealed), PLACE.namespace, name, scope);
        let opened = open(PLACE.name).unwrap_or_else(|e| panic!("{e}"));
        let values: Vec<_> = opened.values.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
        assert_eq!(values, [("empty", &b""[..]), ("null", b""), ("password", &[0, 255, 10]), ("username", b"admin")]);
        let expected = LegacyMetadata {
            labels: BTreeMap::from([("app".to_owned(), "db".to_owned())]),
            annotations: BTreeMap::from([("note".to_owned(), "n".to_owned())]),
            type_: Some("kubernetes.io/basic-auth".to_owned()),
        };
        assert_eq!(opened.legacy, Some(expected));
        // The same rule for the label as for single values.
        let renamed = open("renamed").map(|_| ()).map_err(|errors| errors.to_string());
        match scope {
            Scope::Strict => assert!(renamed.unwrap_err().contains("is opened by none of 1 key(s)")),
            Scope::NamespaceWide | Scope::ClusterWide => assert_eq!(renamed, Ok(())),
        }
    }
}

#[test]
fn a_whole_secret_that_is_none_is_refused_without_a_word_of_it() {
    let contents =
        ["", "[]", "CANARY", r#"{"data":{"a":"not base64: CANARY"}}"#, r#"{"data":{"a":1}}"#, r#"{"data":["CANARY"]}"#];
    let identity = Identity::generate_x25519().unwrap();
    for content in contents {
        let sealed = crate::given::sealed(&identity, content.as_bytes(), Scope::ClusterWide);
        let keyring = keyring([crate::given::again(&identity)]);
        let errors = open_object(&keyring, [], Some(&sealed), "prod", "db", Scope::ClusterWide).err().unwrap();
        assert_eq!(errors.to_string(), "\"spec.data\" opened, but it does not hold a Secret in JSON", "{content}");
    }
}

#[test]
fn line_breaks_and_spare_bits_are_read_as_kubeseal_reads_them() {
    let sealed = &kubeseal(rsa_2048(), &BTreeMap::from([("password", b"xy".to_vec())]), Scope::Strict)["password"];
    let keyring = keyring([rsa_2048().identity()]);
    let folded: Vec<&str> = sealed.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for text in [folded.join("\n"), folded.join("\r\n"), format!("  {sealed}\n")] {
        assert!(open(&keyring, &text, PLACE, Scope::Strict).is_ok());
    }
    // 2 + 256 + 3 + 16 bytes are one more than a multiple of three: four spare bits, which Go lets be anything.
    let sealed = &kubeseal(rsa_2048(), &BTreeMap::from([("password", b"xyz".to_vec())]), Scope::Strict)["password"];
    let (head, last) = sealed.strip_suffix("==").unwrap().split_at(sealed.len() - 3);
    let spare = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        "w" => "x",
        other => panic!("{other} leaves spare bits"),
    };
    assert!(open(&keyring, &format!("{head}{spare}=="), PLACE, Scope::Strict).is_ok());
}
