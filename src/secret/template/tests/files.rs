//! Files of keys and certificates: what is written, what hostile ones do, and that no error gives them away.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::super::{Delimiters, Environment, MissingKey, TemplateError, render};
use crate::secret::{Plaintext, Values};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/secret/template/tests/files").join(name)).unwrap()
}

/// Renders with random bytes that are always the same.
fn rendered(template: &str, values: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, TemplateError> {
    let values: Values = values.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::copy_of(value))).collect();
    let random = |bytes: &mut [u8]| bytes.iter_mut().zip(1..).for_each(|(byte, number)| *byte = number);
    let environment = Environment {
        now: jiff::Timestamp::UNIX_EPOCH,
        random: &random,
        missing_key: MissingKey::Error,
        delimiters: Delimiters::default(),
    };
    render(template, &values, &environment).map(|text| text.expose().to_vec())
}

fn refusal(template: &str, values: &[(&str, Vec<u8>)]) -> String {
    rendered(template, values).expect_err(template).to_string()
}

/// The files `written-*.p12` were written by this test. The table `external.json` has what External Secrets reads from
/// them, and OpenSSL and Java's keytool have read them by hand; so whoever changes a byte must have them read again.
#[test]
fn what_is_written_is_what_others_have_read() {
    let of = |name: &str| (name.split_once('.').unwrap().0.to_owned(), file(name));
    let (leaf, key, ca) = (of("rsa.crt").1, of("rsa.key").1, of("ca.pem").1);
    let chain = [leaf, ca.clone()].concat();
    for (name, template) in [
        ("written-full.p12", "{{ fullPemToPkcs12Pass .chain .key \"geheim\" }}"),
        ("written-leaf.p12", "{{ pemToPkcs12 .chain .key }}"),
        ("written-trust.p12", "{{ pemTruststoreToPKCS12Pass .ca \"geheim\" }}"),
    ] {
        let values = [("chain", chain.clone()), ("key", key.clone()), ("ca", ca.clone())];
        let written = STANDARD.decode(rendered(template, &values).unwrap()).unwrap();
        if std::env::var_os("WRITE_FILES").is_some() {
            fs::write(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("src/secret/template/tests/files").join(name),
                &written,
            )
            .unwrap();
        }
        assert!(written == file(name), "{name} has changed");
    }
}

#[test]
fn iterations_are_bounded() {
    let many = vec![("f", file("many-iterations.p12"))];
    let began = Instant::now();
    let said = refusal("{{ pkcs12keyPass \"x\" .f }}", &many);
    assert!(said.contains("more than 1,000,000 iterations"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5));
    // Below the limit for one derivation, all of them together use up what a template may do.
    let dear = vec![("f", file("sha512.p12"))];
    let said = refusal("{{ range until 1000 }}{{ pkcs12keyPass \"x\" $.f }}{{ end }}", &dear);
    assert!(said.contains("more work than a template may do"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn damaged_files_are_refused_wherever_the_damage_is() {
    for name in ["modern-ec.p12", "legacy.p12", "pbmac1.p12", "no-encryption.p12"] {
        let whole = file(name);
        for cut in 0..whole.len() {
            let values = vec![("f", whole[..cut].to_vec())];
            refusal("{{ pkcs12cert .f }}", &values);
        }
        // Every bit of the first bytes, where lengths and algorithms stand: anything but a panic, and quickly.
        for index in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[index] ^= 1 << (index % 8);
            let _unread = rendered("{{ pkcs12cert .f }}", &[("f", damaged)]);
        }
    }
    for bytes in [vec![0x30; 4096], vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], vec![0x30, 0x80, 0, 0], vec![0xff; 64]] {
        let said = refusal("{{ pkcs12key .f }}", &[("f", bytes)]);
        assert!(said.contains("not PKCS #12"), "{said}");
    }
}

#[test]
fn hostile_texts_end_soon() {
    let began = Instant::now();
    let begin = b"-----BEGIN X-----\n".repeat(20_000);
    let blocks = b"-----BEGIN X-----\nYWJj\n-----END X-----\n".repeat(20_000);
    let many = file("root.crt").repeat(501);
    for (template, text) in [
        ("{{ filterPEM \"Y\" .t }}", begin.clone()),
        ("{{ filterPEM \"X\" .t }}", blocks),
        ("{{ filterCertChain \"leaf\" .t }}", many),
        ("{{ filterCertChain \"leaf\" .t }}", begin),
        ("{{ jwkPublicKeyPem .t }}", b"[".repeat(500_000)),
        ("{{ jwkPrivateKeyPem .t }}", format!("{{\"kty\":\"RSA\",\"n\":\"{}\"}}", "A".repeat(500_000)).into_bytes()),
        ("{{ fromYaml .t }}", b"[".repeat(200_000)),
        ("{{ certSANs .t }}", b"-----BEGIN X-----\na: b\n".repeat(10_000)),
    ] {
        let _outcome = rendered(template, &[("t", text)]);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn no_error_gives_a_key_or_a_password_away() {
    let secret = b"canary-hunter2".to_vec();
    let pem = b"-----BEGIN CANARY-----\ncanary: hunter2\n\nY2FuYXJ5\n-----END CANARY-----\n".to_vec();
    for template in [
        "{{ pkcs12keyPass .s .f }}",
        "{{ pkcs12certPass .s .s }}",
        "{{ pemToPkcs12Pass .s .s .s }}",
        "{{ fullPemToPkcs12Pass .pem .pem .s }}",
        "{{ pemTruststoreToPKCS12Pass .pem .s }}",
        "{{ filterCertChain .s .pem }}",
        "{{ filterPEM .s .s }}",
        "{{ certSANs .pem }}",
        "{{ jwkPublicKeyPem .s }}",
        "{{ jwkPrivateKeyPem .jwk }}",
        "{{ rsaDecrypt .s .s .s .s }}",
        "{{ rsaDecrypt \"RSA-OAEP\" .s .s .pem }}",
    ] {
        let jwk = br#"{"kty":"RSA","d":"canary hunter2","canary":1}"#.to_vec();
        let values = [("s", secret.clone()), ("pem", pem.clone()), ("f", file("modern-rsa.p12")), ("jwk", jwk)];
        let error = rendered(template, &values).expect_err(template);
        let said = format!("{error} {error:?}").to_lowercase();
        assert!(!said.contains("canary") && !said.contains("hunter2"), "{template}: {said}");
    }
}
