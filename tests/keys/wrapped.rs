//! Private halves that are wrapped at rest: by age, by Vault's Transit engine, by AWS KMS; and what happens while that
//! is away.

use std::path::Path;
use std::time::Duration;

use bulla::controllers::{AgeWrapping, KeyConfig, TransitWrapping, VaultLogin, Wrapper, Wrapping};
use bulla::seal::Identity;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;

use crate::support::apiserver::ApiServer;
use crate::support::moto::Moto;
use crate::support::vault::Vault;
use crate::support::{logs, tools};
use crate::world::{LABEL, QUIET, World};

const FIRST: &str = "bulla-sealing-key-0001";
const SECOND: &str = "bulla-sealing-key-0002";

fn wrapping(world: &World, set: impl FnOnce(&mut Wrapping)) -> KeyConfig {
    let mut config = world.config();
    set(&mut config.wrapping);
    config
}

fn age(world: &World, recipient: &bulla::seal::Recipient, file: &Path) -> KeyConfig {
    wrapping(world, |wrapping| {
        wrapping.chosen = Some(Wrapper::Age);
        wrapping.age = Some(AgeWrapping { identity_file: Some(file.to_owned()), recipients: vec![recipient.clone()] });
    })
}

fn write_identity(file: &Path, identity: &Identity) {
    std::fs::write(file, identity.to_text().unwrap().as_bytes()).unwrap();
}

/// What is in the Secret: the data key and its bytes; never the private half itself.
async fn stored(world: &World, name: &str, by: &str) -> Vec<u8> {
    let secret = world.api::<Secret>().get(name).await.unwrap();
    let annotation = &secret.annotations()["bulla.dev/wrapped-by"];
    assert!(annotation.starts_with(by), "{annotation}");
    let mut data = secret.data.unwrap();
    assert!(data.remove("recipient").is_some());
    assert_eq!(data.len(), 1, "{:?}", data.keys());
    let (key, bytes) = data.pop_first().unwrap();
    assert!(key.starts_with("identity.") && !bytes.0.windows(14).any(|part| part == b"AGE-SECRET-KEY"), "{key}");
    bytes.0
}

/// The whole way with one wrapper: a key is made, opens, survives a restart and is renewed.
async fn whole_way(world: &World, config: KeyConfig, by: &str) {
    let running = world.start_with(config.clone());
    let first = world.recipient().await;
    stored(world, FIRST, by).await;
    world.seal_to(&first, "a", "1").await;
    world.until_value("a", "1").await;
    running.stop().await;
    let running = world.start_with(config);
    world.seal_to(&first, "b", "2").await;
    world.until_value("b", "2").await;
    world.turn_clock_to(31);
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    stored(world, SECOND, by).await;
    let second = world.recipient().await;
    world.seal_to(&second, "c", "3").await;
    world.until_value("c", "3").await;
    running.stop().await;
    world.turn_clock_to(0);
    let logs = logs::so_far();
    assert!(
        logs.contains("action=\"unwrap-key\"") && !logs.contains("AGE-SECRET-KEY"),
        "unwrapped, and not in the log"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_an_age_recipient_outside_the_cluster() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (outside, file) = (Identity::generate_hybrid().unwrap(), folder.path().join("outside.txt"));
    write_identity(&file, &outside);
    whole_way(&world, age(&world, outside.recipient(), &file), "age:").await;
    // A disaster needs no controller: age and the identity kept outside open what is in a backup.
    let wrapped = stored(&world, FIRST, "age:").await;
    let clear = tools::stdout_of(tools::age(&["-d", "-i", &file.display().to_string()], &wrapped));
    let inner = Identity::parse_all(std::str::from_utf8(&clear).unwrap()).unwrap();
    let secret = world.api::<Secret>().get(FIRST).await.unwrap();
    assert_eq!(inner[0].recipient().to_string().as_bytes(), secret.data.unwrap()["recipient"].0);
}

/// The identity is not there yet: the key may be sealed to, nobody makes another one, and other keys work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrapper_that_is_away_holds_up_its_own_keys_only() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (outside, file) = (Identity::generate_x25519().unwrap(), folder.path().join("outside.txt"));
    write_identity(&file, &outside);
    let config = age(&world, outside.recipient(), &file);
    let running = world.start_with(config.clone());
    let wrapped = world.recipient().await;
    running.stop().await;
    std::fs::remove_file(&file).unwrap();
    let plain = Identity::generate_x25519().unwrap();
    world.bring("plain", &plain, "opening").await;
    let running = world.start_with(config);
    world.seal_to(plain.recipient(), "a", "1").await;
    world.until_value("a", "1").await;
    world.seal_to(&wrapped, "b", "2").await;
    world.until_failed("b", "LockedKey").await;
    world.until_states(LABEL, &[(FIRST, "active"), ("plain", "opening")]).await;
    assert_eq!(world.recipient().await.key_id(), wrapped.key_id(), "it is still published");
    assert!(running.metrics().contains("bulla_locked_sealing_keys 1"), "{}", running.metrics());
    write_identity(&file, &outside);
    world.until_value("b", "2").await;
    assert!(running.metrics().contains("bulla_locked_sealing_keys 0"));
    // What was unwrapped stays in memory: the file is not needed any more.
    std::fs::remove_file(&file).unwrap();
    world.bring("later", &Identity::generate_x25519().unwrap(), "opening").await;
    world.published(|keys| keys.len() == 3).await;
    world.seal_to(&wrapped, "c", "3").await;
    world.until_value("c", "3").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_unwrap_is_malformed_and_named() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (outside, file) = (Identity::generate_x25519().unwrap(), folder.path().join("outside.txt"));
    write_identity(&file, &outside);
    // Somebody put another private half behind a public one.
    let (shown, hidden) = (Identity::generate_x25519().unwrap(), Identity::generate_x25519().unwrap());
    let text = hidden.to_text().unwrap();
    let text = bulla::secret::Plaintext::copy_of(text.as_bytes());
    let bytes = bulla::seal::seal_file(&[outside.recipient().clone()], &text).unwrap();
    let data = json!({"identity.age": k8s_openapi::ByteString(bytes), "recipient": k8s_openapi::ByteString(shown.recipient().to_string().into_bytes())});
    for (name, data) in [
        ("swapped", data),
        (
            "by-nobody",
            json!({"identity.kms": "AAAA", "recipient": k8s_openapi::ByteString(hidden.recipient().to_string().into_bytes())}),
        ),
    ] {
        world.create::<Secret>(json!({"metadata": {"name": name, "labels": {LABEL: "opening"}}, "data": data})).await;
    }
    let running = world.start_with(age(&world, outside.recipient(), &file));
    world.seal_to(&world.recipient().await, "a", "1").await;
    world.until_value("a", "1").await;
    let logs = logs::so_far();
    for name in ["swapped", "by-nobody"] {
        assert!(logs.contains(&format!("secret=\"{name}\"")), "{name} is named in the log");
    }
    for (name, identity, reason) in [("b", &shown, "UnknownKey"), ("c", &hidden, "LockedKey")] {
        world.seal_to(identity.recipient(), name, "1").await;
        world.until_failed(name, reason).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_vaults_transit_engine() {
    let world = World::new().await;
    let vault = Vault::start();
    vault.write("sys/mounts/team/transit", &json!({"type": "transit"}));
    vault.write("team/transit/keys/bulla", &json!({}));
    let rules = "path \"team/transit/encrypt/bulla\" { capabilities = [\"update\"] }
                 path \"team/transit/decrypt/bulla\" { capabilities = [\"update\"] }";
    vault.policy("wrapping", rules);
    let (role_id, secret_id) = vault.approle("bulla", &json!({"token_policies": "wrapping", "token_ttl": "5m"}));
    let folder = tempfile::tempdir().unwrap();
    let secret_id_file = folder.path().join("secret-id");
    std::fs::write(&secret_id_file, format!("{secret_id}\n")).unwrap();
    let config = wrapping(&world, |wrapping| {
        wrapping.chosen = Some(Wrapper::VaultTransit);
        wrapping.transit = Some(TransitWrapping {
            key: "team/transit/bulla".to_owned(),
            address: vault.address(),
            ca_file: None,
            namespace: None,
            login: VaultLogin::AppRole { mount: "approle".to_owned(), role_id, secret_id_file },
        });
    });
    whole_way(&world, config.clone(), "vault-transit:team/transit/bulla").await;
    assert!(stored(&world, FIRST, "vault-transit:").await.starts_with(b"vault:v1:"));
    // Sealed at the start, and unsealed later.
    let (first, second) = (FIRST, SECOND);
    vault.seal();
    let running = world.start_with(config);
    let keys = world.published(|keys| keys.len() == 2).await;
    let recipient = keys[1]["recipient"].as_str().unwrap().parse().unwrap();
    world.seal_to(&recipient, "late", "4").await;
    world.until_failed("late", "LockedKey").await;
    // A new key cannot be wrapped, and is not made without.
    running.rotate();
    tokio::time::sleep(QUIET * 2).await;
    world.until_states(LABEL, &[(first, "opening"), (second, "active")]).await;
    vault.unseal();
    world.until_value("late", "4").await;
    let states = [(first, "opening"), (second, "opening"), ("bulla-sealing-key-0003", "active")];
    world.until_states(LABEL, &states).await;
    running.stop().await;
    for secret in [secret_id.as_str(), "AGE-SECRET-KEY"] {
        assert!(!logs::so_far().contains(secret));
    }
}

/// moto's KMS. Credentials are those of the environment, so the real program is run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_key_of_aws_kms() {
    let world = World::new().await;
    let moto = Moto::shared();
    let key = create_kms_key(moto).await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = moto.endpoint();
    let flags = [
        "--key-wrapping",
        "aws-kms",
        "--key-wrapping-aws-kms",
        &key,
        "--key-wrapping-aws-region",
        "eu-west-1",
        "--key-wrapping-aws-endpoint",
        &endpoint,
    ];
    let credentials = [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "canary-of-aws")];
    let start = || crate::process::start_with(&world, folder.path(), &flags, &credentials);
    let (leash, _) = start();
    let recipient = world.recipient().await;
    stored(&world, FIRST, &format!("aws-kms:{key}")).await;
    world.seal_to(&recipient, "a", "1").await;
    world.until_value("a", "1").await;
    drop(leash);
    let (leash, _) = start();
    world.seal_to(&recipient, "b", "2").await;
    world.until_value("b", "2").await;
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    let log = leash.log();
    assert!(log.contains("\"action\":\"unwrap-key\"") && !log.contains("canary-of-aws"), "{log}");
    assert!(!log.contains("AGE-SECRET-KEY"), "{log}");
}

/// A key of KMS; its id.
async fn create_kms_key(moto: &Moto) -> String {
    let body = json!({"Description": "wraps sealing keys"}).to_string();
    let request = format!(
        "POST / HTTP/1.0\r\nHost: kms.eu-west-1.amazonaws.com\r\nX-Amz-Target: TrentService.CreateKey\r\n\
         Content-Type: application/x-amz-json-1.1\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIAEXAMPLE/20261121/eu-west-1/kms/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = moto.address();
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).expect(&answer);
    body["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

/// From no wrapping to one, and from one to another: what is there goes on opening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_of_wrapping_follows_another() {
    let world = World::on(ApiServer::shared()).await;
    let folder = tempfile::tempdir().unwrap();
    let (outside, file) = (Identity::generate_x25519().unwrap(), folder.path().join("outside.txt"));
    write_identity(&file, &outside);
    let running = world.start();
    let plain = world.recipient().await;
    running.stop().await;
    world.turn_clock_to(31);
    let running = world.start_with(age(&world, outside.recipient(), &file));
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    stored(&world, SECOND, "age:").await;
    let wrapped = world.recipient().await;
    running.stop().await;
    // Wrapping no more, but still set up to unwrap.
    world.turn_clock_to(62);
    let mut config = age(&world, outside.recipient(), &file);
    config.wrapping.chosen = None;
    let running = world.start_with(config);
    let states = [(FIRST, "opening"), (SECOND, "opening"), ("bulla-sealing-key-0003", "active")];
    world.until_states(LABEL, &states).await;
    for (name, recipient) in [("a", &plain), ("b", &wrapped)] {
        world.seal_to(recipient, name, "1").await;
        world.until_value(name, "1").await;
    }
    assert!(world.api::<SealedSecret>().get("a").await.is_ok());
    running.stop().await;
}
