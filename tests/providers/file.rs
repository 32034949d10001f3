//! The age-encrypted YAML file, made by the real `age`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::providers::file::{MAX_FILE, Settings, Source, connect};
use bulla::providers::{Cause, Gate, Provider, ProviderError};
use bulla::seal::{Binding, Identity, Place, Scope, seal};
use bulla::secret::Plaintext;
use bulla::sync::remote::{Lookup, Request};
use tempfile::TempDir;

use crate::contract::{Backend, Traits, content, counted, find, gate, lookup, many, one, value};
use crate::support::tools::{age, age_keygen, stdout_of};

const CANARY: &str = "canary-0ddba11";

/// A file that the real `age` makes anew at each change.
struct Encrypted {
    folder: TempDir,
    identity: String,
    recipient: String,
    armor: bool,
    values: Mutex<BTreeMap<String, String>>,
}

/// With keys of the real `age-keygen` too.
fn with_keys(keygen: &[&str], armor: bool) -> Encrypted {
    let identity = String::from_utf8(stdout_of(age_keygen(keygen, b""))).unwrap();
    let recipient = String::from_utf8(stdout_of(age_keygen(&["-y"], identity.as_bytes()))).unwrap();
    let folder = TempDir::new().unwrap();
    let this = Encrypted { folder, identity, recipient: recipient.trim().to_owned(), armor, values: Mutex::default() };
    this.write("{}");
    this
}

impl Encrypted {
    fn path(&self) -> PathBuf {
        self.folder.path().join("secrets.yaml.age")
    }

    fn encrypt(&self, content: &[u8]) -> Vec<u8> {
        let mut arguments = vec!["-r", &self.recipient];
        arguments.extend(self.armor.then_some("-a"));
        stdout_of(age(&arguments, content))
    }

    fn write(&self, yaml: &str) {
        // As whoever changes it should: in one step.
        let new = self.folder.path().join("new");
        fs::write(&new, self.encrypt(yaml.as_bytes())).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn identities(&self) -> Vec<Identity> {
        Identity::parse_all(&self.identity).unwrap()
    }

    fn of(&self, source: Source) -> Arc<dyn Provider> {
        connect(Settings { source, identities: self.identities() }, gate()).unwrap()
    }

    fn at_path(&self) -> Arc<dyn Provider> {
        self.of(Source::Path(self.path()))
    }
}

impl Backend for Encrypted {
    async fn put(&self, entries: &[(String, Vec<u8>)]) {
        let mut values = self.values.lock().unwrap();
        values.extend(entries.iter().map(|(key, value)| (key.clone(), String::from_utf8(value.clone()).unwrap())));
        self.write(&serde_saphyr::to_string(&*values).unwrap());
    }

    async fn delete(&self, key: &str) {
        let mut values = self.values.lock().unwrap();
        values.remove(key);
        self.write(&serde_saphyr::to_string(&*values).unwrap());
    }

    fn provider(&self, gate: Gate) -> Arc<dyn Provider> {
        let settings = Settings { source: Source::Path(self.path()), identities: self.identities() };
        connect(settings, gate).unwrap()
    }

    fn traits(&self) -> Traits {
        Traits { binary: false, longest: 300_000, calls_for_100: 1, ..Traits::default() }
    }
}

mod hybrid_and_binary {
    crate::contract::contract!(async { super::with_keys(&["-pq"], false) });
}

mod x25519_and_armored {
    crate::contract::contract!(async { super::with_keys(&[], true) });
}

async fn fault(provider: &dyn Provider) -> ProviderError {
    let answers = provider.fetch(vec![value("a"), find("."), value("b")]).await;
    assert_eq!(answers.len(), 3);
    let errors: Vec<_> = answers.into_iter().map(|answer| answer.map(|_| ()).unwrap_err()).collect();
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    assert_eq!(provider.validate().await.unwrap_err(), errors[0]);
    assert!(!format!("{:?}", errors[0]).contains(CANARY), "{}", errors[0]);
    errors[0].clone()
}

#[tokio::test]
async fn an_error_names_the_file_and_the_reason() {
    let file = with_keys(&["-pq"], false);
    let name = file.path().display().to_string();
    let broken = async |bytes: &[u8]| {
        fs::write(file.path(), bytes).unwrap();
        let error = fault(&*file.at_path()).await;
        assert_eq!(error.cause, Cause::Misconfigured, "{error}");
        assert!(error.message.starts_with(&format!("the file {name}")), "{error}");
        error.message
    };
    let good = file.encrypt(format!("a: {CANARY}").as_bytes());
    assert!(broken(b"").await.contains("is not an age file"));
    assert!(broken(format!("a: {CANARY}").as_bytes()).await.contains("is not an age file"));
    assert!(broken(&good[..good.len() - 1]).await.contains("altered or cut off"));
    assert!(broken(&good[..100]).await.contains("is damaged"));
    let mut altered = good.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert!(broken(&altered).await.contains("altered or cut off"));
    let yaml = format!("x: y\na: [{CANARY}\nb: c\n");
    assert!(broken(&file.encrypt(yaml.as_bytes())).await.contains("is not YAML that can be read, at line"));
    assert!(broken(&file.encrypt(b"- a list")).await.contains("is not a map"));
    assert!(broken(&file.encrypt(b"a: \xff")).await.contains("is not UTF-8"));
    let other = with_keys(&["-pq"], false);
    let message = broken(&other.encrypt(format!("a: {CANARY}").as_bytes())).await;
    assert!(message.contains("is opened by none of 1 identities here; it is encrypted to mlkem768x25519"), "{message}");
    assert!(broken(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl").await.contains("armor"));
    assert!(broken(b"age-encryption.org/v7\n").await.contains("newer version of age (v7)"));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_never_a_missing_secret() {
    let file = with_keys(&[], false);
    fs::remove_file(file.path()).unwrap();
    let error = fault(&*file.at_path()).await;
    assert_eq!(error.cause, Cause::Misconfigured);
    assert!(error.message.ends_with("does not exist"), "{error}");
    fs::create_dir(file.path()).unwrap();
    assert!(fault(&*file.at_path()).await.message.ends_with("is not a regular file"));
    fs::remove_dir(file.path()).unwrap();
    // Nobody reads 16 MiB of holes.
    File::create(file.path()).unwrap().set_len(MAX_FILE as u64 + 1).unwrap();
    assert!(fault(&*file.at_path()).await.message.contains("is too large"));
    file.write("a: back");
    assert_eq!(content(&one(&*file.at_path(), value("a")).await.unwrap_or_else(|error| panic!("{error}"))), b"back");
    let none = Settings { source: Source::Path(file.path()), identities: Vec::new() };
    assert_eq!(connect(none, gate()).err().map(|error| error.cause), Some(Cause::Misconfigured));
}

#[tokio::test]
async fn a_passphrase_is_refused_with_the_reason() {
    let encryptor = age::Encryptor::with_user_passphrase("a passphrase".to_owned().into());
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
    writer.write_all(b"a: b").unwrap();
    writer.finish().unwrap();
    let error = fault(&*with_keys(&[], false).of(Source::Bytes(sealed))).await;
    assert!(error.message.contains("is encrypted with a passphrase"), "{error}");
}

/// The key that opens it must not be a way around the binding.
#[tokio::test]
async fn a_value_that_is_bound_to_an_object_is_no_file() {
    let identity = Identity::generate_hybrid().unwrap();
    let place = Place { namespace: "prod", name: "db", key: "password" };
    let plaintext = Plaintext::copy_of(format!("a: {CANARY}").as_bytes());
    let created = "2026-11-21".parse().unwrap();
    for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
        let binding = Binding::new(scope, place, created);
        let sealed = seal(&[identity.recipient().clone()], &plaintext, &binding).unwrap();
        let text = identity.to_text().unwrap();
        let identities = Identity::parse_all(&text).unwrap();
        let bytes = STANDARD.decode(&sealed).unwrap();
        let error = fault(&*connect(Settings { source: Source::Bytes(bytes), identities }, gate()).unwrap()).await;
        assert!(error.message.contains("is a sealed value bound to an object"), "{error}");
    }
}

/// Whoever writes the file and whoever reads it may each have several keys.
#[tokio::test]
async fn any_fitting_identity_of_several_opens_it() {
    let (one_file, other) = (with_keys(&["-pq"], false), with_keys(&["-pq"], true));
    let sealed = stdout_of(age(&["-a", "-r", &one_file.recipient, "-r", &other.recipient], b"a: for both"));
    let x25519 = with_keys(&[], false);
    for file in [&one_file, &other] {
        let mut identities = x25519.identities();
        identities.extend(file.identities());
        let source = Source::Bytes([b"\n\n", sealed.as_slice(), b"\n"].concat());
        let provider = connect(Settings { source, identities }, gate()).unwrap();
        assert_eq!(content(&one(&*provider, value("a")).await.unwrap_or_else(|e| panic!("{e}"))), b"for both");
    }
}

#[tokio::test]
async fn what_our_library_of_age_writes_is_read_too() {
    let file = with_keys(&[], false);
    let recipient: age::x25519::Recipient = file.recipient.parse().unwrap();
    let sealed = age::encrypt(&recipient, b"a: {b: [1, two]}").unwrap();
    let provider = file.of(Source::Bytes(sealed));
    assert_eq!(
        content(&one(&*provider, value("a")).await.unwrap_or_else(|error| panic!("{error}"))),
        br#"{"b":[1,"two"]}"#
    );
    assert_eq!(content(&one(&*provider, value("a/b")).await.unwrap_or_else(|e| panic!("{e}"))), br#"[1,"two"]"#);
}

#[tokio::test]
async fn one_reading_answers_a_whole_fetch() {
    let file = with_keys(&["-pq"], false);
    file.write("db: {user: u, pass: 007}\nkey: k\n");
    let (gate, calls) = counted();
    let provider = file.provider(gate);
    let requests = vec![value("db/user"), value("db/pass"), find("^db/"), value("db"), value("key"), value("db/none")];
    let answers = provider.fetch(requests).await;
    assert_eq!((answers.len(), calls.total()), (6, 1));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    let found = many(&*provider, find("^db/")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((content(&found["db/pass"]), content(&found["db/user"])), (b"007".to_vec(), b"u".to_vec()));
}

#[tokio::test]
async fn it_has_neither_versions_nor_metadata() {
    let file = with_keys(&[], false);
    file.write(&format!("a: {CANARY}"));
    let versioned = |version: &str| Request::Value(Lookup { key: "a".to_owned(), version: Some(version.to_owned()) });
    for request in [versioned("1"), Request::Metadata(lookup("a"))] {
        let error = file.at_path().fetch(vec![request]).await.remove(0).map(|_| ()).unwrap_err();
        assert_eq!(error.cause, Cause::Invalid, "{error}");
        assert!(!error.message.contains(CANARY));
    }
    assert!(one(&*file.at_path(), versioned("")).await.is_ok());
}
