//! `bulla reseal`: values sealed again, and nothing else changed.

pub(crate) mod claims;
mod cluster;
mod failures;
mod layouts;
mod offline;
mod recipients;

use std::sync::OnceLock;

use bulla::seal::{self, Binding, Certificate, Identity, KeyState, Keyring, Place, Recipient, Scope};
use bulla::secret::Plaintext;
use serde_json::Value;

use crate::checkout::Checkout;
use crate::harness::Run;

/// What every value holds: it may come out nowhere.
pub(crate) const CANARY: &str = "canary-5d1c07";

/// A key pair of kubeseal's.
pub(crate) struct Rsa {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// One of two key pairs: making one takes long.
pub(crate) fn rsa(index: usize) -> &'static Rsa {
    static KEYS: [OnceLock<Rsa>; 2] = [const { OnceLock::new() }; 2];
    KEYS[index].get_or_init(|| {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_after = rcgen::date_time_ymd(2096, 1, 1);
        Rsa { certificate: parameters.self_signed(&pair).unwrap().pem(), key: pair.serialize_pem() }
    })
}

impl Rsa {
    pub(crate) fn recipient(&self) -> Recipient {
        Certificate::from_pem(self.certificate.as_bytes()).unwrap().into()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::parse_all(&self.key).unwrap().remove(0)
    }
}

pub(crate) fn x25519() -> Identity {
    Identity::generate_x25519().unwrap()
}

pub(crate) fn hybrid() -> Identity {
    Identity::generate_hybrid().unwrap()
}

/// [`CANARY`] and the data key, sealed long ago.
pub(crate) fn sealed(to: &[&Recipient], scope: Scope, place: Place<'_>) -> String {
    let to: Vec<Recipient> = to.iter().map(|one| (*one).clone()).collect();
    let binding = Binding {
        owner: Some("payments".to_owned()),
        not_after: Some(jiff::civil::date(2096, 2, 3)),
        ..Binding::new(scope, place, jiff::civil::date(2020, 1, 2))
    };
    seal::seal(&to, &Plaintext::from(format!("{CANARY}-{}", place.key)), &binding).unwrap()
}

/// The value of data key `key` in `prod/db`.
pub(crate) fn value(to: &[&Recipient], key: &str) -> String {
    sealed(to, Scope::Strict, Place { namespace: "prod", name: "db", key })
}

/// A SealedSecret `prod/db` as people write it.
pub(crate) fn object(values: &[(&str, String)]) -> String {
    let lines: String = values.iter().map(|(key, value)| format!("    {key}: {value}\n")).collect();
    format!(
        "# ours\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: prod\nspec:\n  encryptedData: # by data key\n{lines}"
    )
}

/// Whether a value opens with one of these keys, to what [`sealed`] put into it.
pub(crate) fn opens(sealed: &str, scope: Scope, place: Place<'_>, keys: &[&Identity]) -> bool {
    let mut keyring = Keyring::new();
    for key in keys {
        let text = key.to_text();
        let again = text.map_or_else(|| Identity::parse_all(&rsa_text(key)), |text| Identity::parse_all(&text));
        keyring.insert(again.unwrap().remove(0), KeyState::Active);
    }
    let opened = seal::open(&keyring, sealed, place, scope);
    opened.is_ok_and(|opened| opened.plaintext.same_as(format!("{CANARY}-{}", place.key).as_bytes()))
}

fn rsa_text(key: &Identity) -> String {
    (0..2).map(rsa).find(|rsa| rsa.recipient().key_id() == key.key_id()).unwrap().key.clone()
}

/// The ids that a native value names.
pub(crate) fn keys_of(sealed: &str) -> Vec<String> {
    let binding = seal::inspect(sealed).unwrap().binding;
    binding.map(|binding| binding.keys.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// The value of a key in a file of [`object`].
pub(crate) fn in_file(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
}

impl Checkout {
    /// Puts a private key beside the work tree and gives its path.
    pub(crate) fn key_file(&self, name: &str, key: &Identity) -> String {
        let text = key.to_text().map_or_else(|| rsa_text(key), |text| text.to_string());
        self.bench.write(name, &text);
        self.bench.path(name).display().to_string()
    }

    /// Runs `bulla reseal`; nothing that was sealed may come out.
    pub(crate) fn reseal(&self, arguments: &[&str]) -> Run {
        let run = self.bulla(&[&["reseal"], arguments].concat());
        assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{}\n{}", run.out, run.err);
        run
    }
}

pub(crate) fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.out))
}
