//! What the proofs start from: keys, places and sealed values.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Binding, Certificate, Identity, KeyState, Keyring, Opened, Place, Recipient, Refusal, Scope, seal};
use bulla::secret::Plaintext;
use jiff::civil::{Date, date};

pub(crate) const SCOPES: [Scope; 3] = [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide];
pub(crate) const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "password" };

pub(crate) fn day() -> Date {
    date(2026, 11, 21)
}

/// An RSA key pair in the forms in which people have them.
pub(crate) struct Rsa {
    pub(crate) pkcs8: String,
    pub(crate) pkcs1: String,
    pub(crate) certificate: String,
}

impl Rsa {
    fn generate(size: KeySize) -> Self {
        let pair = KeyPair::generate(size).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let der = der.as_ref();
        let rcgen_pair =
            rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.to_vec().into(), &rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&rcgen_pair).unwrap().pem();
        // PKCS#8 is PKCS#1 behind a version, an algorithm and the lengths: 26 bytes.
        Self { pkcs8: pem("PRIVATE KEY", der), pkcs1: pem("RSA PRIVATE KEY", &der[26..]), certificate }
    }

    pub(crate) fn identity(&self) -> Identity {
        one(&self.pkcs8)
    }

    pub(crate) fn recipient(&self) -> Recipient {
        Certificate::from_pem(self.certificate.as_bytes()).unwrap().into()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn rsa_2048() -> &'static Rsa {
    static KEY: OnceLock<Rsa> = OnceLock::new();
    KEY.get_or_init(|| Rsa::generate(KeySize::Rsa2048))
}

pub(crate) fn rsa_4096() -> &'static Rsa {
    static KEY: OnceLock<Rsa> = OnceLock::new();
    KEY.get_or_init(|| Rsa::generate(KeySize::Rsa4096))
}

/// The only identity in `text`.
pub(crate) fn one(text: &str) -> Identity {
    let mut identities = Identity::parse_all(text).unwrap();
    assert_eq!(identities.len(), 1);
    identities.remove(0)
}

/// The same identity once more: it cannot be cloned.
pub(crate) fn again(identity: &Identity) -> Identity {
    one(&identity.to_text().expect("an age identity"))
}

/// One identity of each kind.
pub(crate) fn each_kind() -> [Identity; 3] {
    [Identity::generate_hybrid().unwrap(), Identity::generate_x25519().unwrap(), rsa_2048().identity()]
}

pub(crate) fn keyring(identities: impl IntoIterator<Item = Identity>) -> Keyring {
    let mut keyring = Keyring::new();
    for identity in identities {
        keyring.insert(identity, KeyState::Active);
    }
    keyring
}

/// Seals for [`PLACE`] to one key.
pub(crate) fn sealed(identity: &Identity, plaintext: &[u8], scope: Scope) -> String {
    sealed_to(&[identity.recipient().clone()], plaintext, scope)
}

/// Seals for [`PLACE`].
pub(crate) fn sealed_to(recipients: &[Recipient], plaintext: &[u8], scope: Scope) -> String {
    seal(recipients, &Plaintext::copy_of(plaintext), &Binding::new(scope, PLACE, day())).unwrap()
}

/// The refusal: what was opened has no `Debug` to unwrap it by.
pub(crate) fn refusal(result: Result<Opened, Refusal>) -> Refusal {
    result.err().expect("it was to be refused")
}

/// An age file as text in Git, from its bytes.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a sealed value.
pub(crate) fn bytes(sealed: &str) -> Vec<u8> {
    STANDARD.decode(sealed).unwrap()
}
