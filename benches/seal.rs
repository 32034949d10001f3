//! What sealing and opening one short value cost, beside the bare cryptography that cannot be avoided, in the same run.
//!
//! `cargo bench -p bulla --bench seal` ends with a table of ratios. Ours is the whole public call: base64, header,
//! binding, MAC and payload. The target is at most 1.3 times the bare primitive.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement that cannot be set up fails by panicking, and its table is for people"
)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Binding, Certificate, Identity, KeyState, Keyring, Place, Scope, open, seal};
use bulla::secret::Plaintext;
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use criterion::Criterion;
use hkdf::Hkdf;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

const SECRET: &[u8] = b"correct horse battery staple 123";
const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "password" };
const KINDS: [&str; 4] = ["hybrid", "x25519", "rsa-2048", "rsa-4096"];

type Aead = hpke::aead::ChaCha20Poly1305;
type Kdf = hpke::kdf::HkdfSha256;
type XWing = hpke::kem::XWing;

fn main() {
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    native(&mut criterion, "hybrid", Identity::generate_hybrid().unwrap());
    bare_hybrid(&mut criterion);
    native(&mut criterion, "x25519", Identity::generate_x25519().unwrap());
    bare_x25519(&mut criterion);
    rsa(&mut criterion, "rsa-2048", KeySize::Rsa2048);
    rsa(&mut criterion, "rsa-4096", KeySize::Rsa4096);
    criterion.final_summary();
    table(&results);
}

fn ours(criterion: &mut Criterion, kind: &str, identity: Identity, recipient: bulla::seal::Recipient) {
    let binding = Binding::new(Scope::Strict, PLACE, jiff::civil::date(2026, 11, 21));
    let plaintext = Plaintext::copy_of(SECRET);
    let recipients = [recipient];
    let sealed = seal(&recipients, &plaintext, &binding).unwrap();
    let mut keyring = Keyring::new();
    keyring.insert(identity, KeyState::Active);
    let mut group = criterion.benchmark_group(kind);
    group.bench_function("seal", |bencher| bencher.iter(|| seal(&recipients, &plaintext, &binding).unwrap()));
    group.bench_function("open", |bencher| {
        bencher.iter(|| open(&keyring, &sealed, PLACE, Scope::Strict).map_err(|refusal| refusal.to_string()).unwrap());
    });
    group.finish();
}

fn native(criterion: &mut Criterion, kind: &str, identity: Identity) {
    let recipient = identity.recipient().clone();
    ours(criterion, kind, identity, recipient);
}

/// HPKE's single-shot functions over a file key, and nothing else.
fn bare_hybrid(criterion: &mut Criterion) {
    const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
    let private = <XWing as Kem>::PrivateKey::from_bytes(&[7; 32]).unwrap();
    let public = XWing::sk_to_pk(&private);
    let wrap = || hpke::single_shot_seal::<Aead, Kdf, XWing>(&OpModeS::Base, &public, INFO, &[1; 16], &[]).unwrap();
    let (enc, wrapped) = wrap();
    let mut group = criterion.benchmark_group("hybrid");
    group.bench_function("bare-seal", |bencher| bencher.iter(wrap));
    group.bench_function("bare-open", |bencher| {
        bencher.iter(|| {
            hpke::single_shot_open::<Aead, Kdf, XWing>(&OpModeR::Base, &private, &enc, INFO, &wrapped, &[]).unwrap()
        });
    });
    group.finish();
}

/// What age does with X25519: the exchange, the wrapped file key, the payload. No header, no MAC.
fn bare_x25519(criterion: &mut Criterion) {
    fn key(secret: &[u8], salt: &[u8], info: &[u8]) -> ChaCha20Poly1305 {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut key).unwrap();
        ChaCha20Poly1305::new_from_slice(&key).unwrap()
    }
    let salt = |share: &PublicKey, public: &PublicKey| [*share.as_bytes(), *public.as_bytes()].concat();
    let private = StaticSecret::from([7; 32]);
    let public = PublicKey::from(&private);
    let seal = || {
        let (mut scalar, mut file_key, mut nonce) = ([0; 32], [0; 16], [0; 16]);
        getrandom::fill(&mut scalar).unwrap();
        getrandom::fill(&mut file_key).unwrap();
        getrandom::fill(&mut nonce).unwrap();
        let ephemeral = StaticSecret::from(scalar);
        let share = PublicKey::from(&ephemeral);
        let shared = ephemeral.diffie_hellman(&public);
        let mut wrapped = file_key;
        let wrap = key(shared.as_bytes(), &salt(&share, &public), b"age-encryption.org/v1/X25519");
        let tag = wrap.encrypt_inout_detached(&[0; 12].into(), &[], wrapped.as_mut_slice().into()).unwrap();
        let mut payload = SECRET.to_vec();
        let stream = key(&file_key, &nonce, b"payload");
        let end = stream.encrypt_inout_detached(&[1; 12].into(), &[], payload.as_mut_slice().into()).unwrap();
        (share, wrapped, tag, nonce, payload, end)
    };
    let (share, wrapped, tag, nonce, payload, end) = seal();
    let open = || {
        let shared = private.diffie_hellman(&share);
        let mut file_key = wrapped;
        let unwrap = key(shared.as_bytes(), &salt(&share, &public), b"age-encryption.org/v1/X25519");
        unwrap.decrypt_inout_detached(&[0; 12].into(), &[], file_key.as_mut_slice().into(), &tag).unwrap();
        let mut plaintext = payload.clone();
        let stream = key(&file_key, &nonce, b"payload");
        stream.decrypt_inout_detached(&[1; 12].into(), &[], plaintext.as_mut_slice().into(), &end).unwrap();
        plaintext
    };
    assert_eq!(open(), SECRET);
    let mut group = criterion.benchmark_group("x25519");
    group.bench_function("bare-seal", |bencher| bencher.iter(seal));
    group.bench_function("bare-open", |bencher| bencher.iter(open));
    group.finish();
}

/// RSA-OAEP with a label over a session key, and AES-256-GCM; ours and bare with the same key.
fn rsa(criterion: &mut Criterion, kind: &str, size: KeySize) {
    let pair = KeyPair::generate(size).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let identity = Identity::parse_all(&pem).unwrap().remove(0);
    let signer = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().to_vec().into(), &rcgen::PKCS_RSA_SHA256);
    let certificate = rcgen::CertificateParams::default().self_signed(&signer.unwrap()).unwrap().pem();
    ours(criterion, kind, identity, Certificate::from_pem(certificate.as_bytes()).unwrap().into());

    let private = PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap();
    let public = OaepPublicEncryptingKey::new(private.public_key()).unwrap();
    let private = OaepPrivateDecryptingKey::new(private).unwrap();
    let label = Some(b"prod/db".as_slice());
    let cipher = |key: &[u8]| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let nonce = || Nonce::assume_unique_for_key([0; 12]);
    let seal = || {
        let mut session = [0; 32];
        getrandom::fill(&mut session).unwrap();
        let mut wrapped = vec![0; public.ciphertext_size()];
        public.encrypt(&OAEP_SHA256_MGF1SHA256, &session, &mut wrapped, label).unwrap();
        let mut payload = SECRET.to_vec();
        cipher(&session).seal_in_place_append_tag(nonce(), Aad::empty(), &mut payload).unwrap();
        (wrapped, payload)
    };
    let (wrapped, payload) = seal();
    let open = || {
        let mut buffer = vec![0; private.min_output_size()];
        let session = private.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut buffer, label).unwrap();
        let mut plaintext = payload.clone();
        cipher(session).open_in_place(nonce(), Aad::empty(), &mut plaintext).unwrap();
        plaintext
    };
    let mut group = criterion.benchmark_group(kind);
    group.bench_function("bare-seal", |bencher| bencher.iter(|| black_box(seal())));
    group.bench_function("bare-open", |bencher| bencher.iter(|| black_box(open())));
    group.finish();
}

/// Prints the fastest sample of each, since whatever else runs on the machine can only add to it, and our share over
/// the bare ones.
fn table(results: &Path) {
    let fastest = |kind: &str, what: &str| {
        let file: PathBuf = results.join(kind).join(what).join("new/sample.json");
        let sample: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let numbers = |name: &str| sample[name].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64);
        numbers("times").zip(numbers("iters")).map(|(time, count)| time / count / 1000.0).min_by(f64::total_cmp)
    };
    println!("\n{:10} {:5} {:>12} {:>12} {:>7}", "key", "", "ours (us)", "bare (us)", "ratio");
    for kind in KINDS {
        for what in ["seal", "open"] {
            if let (Some(ours), Some(bare)) = (fastest(kind, what), fastest(kind, &format!("bare-{what}"))) {
                let remark = if ours / bare > 1.3 { "  over 1.3" } else { "" };
                println!("{kind:10} {what:5} {ours:12.1} {bare:12.1} {:7.2}{remark}", ours / bare);
            }
        }
    }
}
