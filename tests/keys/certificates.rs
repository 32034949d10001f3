//! RSA keys with certificates, for people who seal with kubeseal.

use std::io::Write as _;
use std::time::Duration;

use bulla::controllers::KeyOrder;
use bulla::seal::{Certificate, IssuedKey, Recipient, RsaBits, issue};
use bulla_crds::SealedSecret;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::apiserver::ApiServer;
use crate::support::tools;
use crate::support::upstream::UpstreamController;
use crate::world::{LABEL, UPSTREAM_LABEL, World};

const FIRST: &str = "sealed-secrets-key-0001";
const SECOND: &str = "sealed-secrets-key-0002";
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A certificate whose validity began so many days ago.
fn issued(days_ago: i64) -> IssuedKey {
    issue(RsaBits::Bits2048, "", Timestamp::now() - SignedDuration::from_hours(24 * days_ago), YEAR * 10).unwrap()
}

fn recipient(certificate: &str) -> Recipient {
    Certificate::from_pem(certificate.as_bytes()).unwrap().into()
}

async fn bring(world: &World, name: &str, pair: &IssuedKey, labels: Value) {
    world
        .create::<Secret>(json!({
            "metadata": {"name": name, "labels": labels}, "type": "kubernetes.io/tls",
            "stringData": {"tls.key": pair.key.as_str(), "tls.crt": pair.certificate},
        }))
        .await;
}

/// The certificates in the published list, the newest active one last, as kubeseal's users get it.
async fn certificates(world: &World, count: usize) -> Vec<String> {
    let is_rsa = |key: &&Value| key["type"] == "rsa" && key["state"] == "active";
    let keys = world.published(|keys| keys.iter().filter(is_rsa).count() == count).await;
    let text = |key: &Value| key["certificate"].as_str().unwrap().to_owned();
    keys.iter().filter(is_rsa).map(text).collect()
}

fn kubeseal(certificate: &str, namespace: &str, name: &str, value: &str) -> Value {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.as_bytes()).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
        "stringData": {"a": value},
    });
    let arguments = ["--cert", &file.path().display().to_string(), "--format", "json"];
    serde_json::from_slice(&tools::stdout_of(tools::kubeseal(&arguments, secret.to_string().as_bytes()))).unwrap()
}

async fn apply(world: &World, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    let parameters = PatchParams::apply("kubectl").force();
    world.api::<SealedSecret>().patch(name, &parameters, &Patch::Apply(object)).await.unwrap();
}

/// A server of its own: upstream's controller looks at every namespace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubeseal_seals_to_what_we_make_and_upstreams_controller_opens_it() {
    let server: &'static ApiServer = Box::leak(Box::new(ApiServer::start()));
    let world = World::on(server).await;
    let mut config = world.config();
    config.certificates = Some(true);
    config.rsa_bits = RsaBits::Bits4096;
    config.common_name = "bulla.example".to_owned();
    config.labels = [("team".to_owned(), "platform".to_owned())].into();
    config.annotations = [("note".to_owned(), "made here".to_owned())].into();
    let running = world.start_with(config);
    let ours = certificates(&world, 1).await.remove(0);
    apply(&world, &kubeseal(&ours, &world.namespace, "ours", "1")).await;
    world.until_value("ours", "1").await;
    running.stop().await;

    let secret = &world.secrets(UPSTREAM_LABEL).await[0];
    assert_eq!((secret.name_any().as_str(), secret.type_.as_deref()), (FIRST, Some("kubernetes.io/tls")));
    assert_eq!((&*secret.labels()["team"], &*secret.annotations()["note"]), ("platform", "made here"));
    let (_, pem) = x509_parser::pem::parse_x509_pem(ours.as_bytes()).unwrap();
    let parsed = pem.parse_x509().unwrap();
    assert_eq!((parsed.subject().to_string().as_str(), parsed.is_ca()), ("CN=bulla.example", true));
    let validity = parsed.validity();
    assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp(), 87_600 * 3600);

    let theirs = UpstreamController::start(server, &world.namespace, &["--key-renew-period=0"]).await;
    assert_eq!(theirs.certificate().trim(), ours.trim(), "upstream uses our key and makes none of its own");
    apply(&world, &kubeseal(&ours, &world.namespace, "theirs", "2")).await;
    world.until_value("theirs", "2").await;
    theirs.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_of_upstreams_there_is_no_certificate_unless_asked_for() {
    let world = World::new().await;
    let running = world.start();
    world.until_states(LABEL, &[("bulla-sealing-key-0001", "active")]).await;
    world.until_states(UPSTREAM_LABEL, &[]).await;
    running.stop().await;
    let mut config = world.config();
    config.certificates = Some(true);
    config.upstream_prefix = "team-keys".to_owned();
    let running = world.start_with(config);
    world.until_states(UPSTREAM_LABEL, &[("team-keys-0001", "active")]).await;
    running.stop().await;
}

/// As upstream has it: several are active, and the newest seals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_and_the_old_ones_stay_active() {
    let world = World::new().await;
    let brought = issued(400);
    bring(&world, "brought", &brought, json!({UPSTREAM_LABEL: "active"})).await;
    let running = [world.start(), world.start()];
    // However old it is, it was brought here today.
    world.until_states(UPSTREAM_LABEL, &[("brought", "active")]).await;
    world.turn_clock_to(31);
    world.until_states(UPSTREAM_LABEL, &[("brought", "active"), (FIRST, "active")]).await;
    let newest = certificates(&world, 2).await.remove(1);
    assert_ne!(recipient(&newest).key_id(), recipient(&brought.certificate).key_id());
    world.turn_clock_to(62);
    world.until_states(UPSTREAM_LABEL, &[("brought", "active"), (FIRST, "active"), (SECOND, "active")]).await;
    for running in running {
        running.stop().await;
    }
    // All of them open; the cut-off time looks at the date on the certificate.
    world.turn_clock_to(0);
    let running = world.start();
    world.seal_to(&recipient(&brought.certificate), "db", "1").await;
    world.until_value("db", "1").await;
    world.seal_to(&recipient(&newest), "db2", "2").await;
    world.until_value("db2", "2").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cut_off_time_looks_at_the_date_on_a_certificate() {
    let world = World::new().await;
    bring(&world, "brought", &issued(400), json!({UPSTREAM_LABEL: "active"})).await;
    let mut config = world.config();
    config.cutoff = Some(Timestamp::now() - SignedDuration::from_hours(24 * 100));
    let running = world.start_with(config);
    world.until_states(UPSTREAM_LABEL, &[("brought", "active"), (FIRST, "active")]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_certificate_is_told_by_its_date_or_by_its_secret() {
    let world = World::new().await;
    let (young, old) = (issued(1), issued(20));
    bring(&world, "a-young-one", &young, json!({UPSTREAM_LABEL: "active"})).await;
    // Times of Secrets have whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    bring(&world, "b-old-one", &old, json!({UPSTREAM_LABEL: "active"})).await;
    // A date that has not come is no reason to be the newest.
    let ahead = issued(-300);
    bring(&world, "c-one-of-next-year", &ahead, json!({UPSTREAM_LABEL: "active"})).await;
    for (order, newest) in [(KeyOrder::CertNotBefore, &young), (KeyOrder::SecretCreationTimestamp, &ahead)] {
        let mut config = world.config();
        config.order = order;
        config.certificates = Some(false);
        let running = world.start_with(config);
        let began = std::time::Instant::now();
        while certificates(&world, 3).await.last().unwrap().trim() != newest.certificate.trim() {
            assert!(began.elapsed() < crate::world::SOON, "{order:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        running.stop().await;
    }
}

/// From before upstream had labels.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_of_long_ago_needs_no_label() {
    let world = World::new().await;
    let pair = issued(2);
    let running = world.start();
    world.recipient().await;
    bring(&world, "sealed-secrets-key", &pair, json!({})).await;
    assert_eq!(certificates(&world, 1).await[0].trim(), pair.certificate.trim());
    world.seal_to(&recipient(&pair.certificate), "db", "1").await;
    world.until_value("db", "1").await;
    running.stop().await;
}
