//! How many live values each key opens: on its Secret and in metrics.

use std::time::{Duration, Instant};

use bulla::seal::{Identity, KeyId};
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;

use crate::world::{LABEL, Running, SOON, World};

/// Waits until a key Secret says so many values in so many objects, and the metrics say so too.
async fn until_counted(world: &World, running: &Running, secret: &str, key: KeyId, values: u32, objects: u32) {
    let began = Instant::now();
    let lines =
        |count, what| format!("bulla_sealing_key_{what}{{key=\"{key}\",state=\"active\",kind=\"x25519\"}} {count}");
    loop {
        let found = world.api::<Secret>().get(secret).await.unwrap();
        let says = |name: &str, count: u32| found.annotations().get(name) == Some(&count.to_string());
        let metrics = running.metrics();
        let names_key = found.annotations().get("bulla.dev/key-id").is_some_and(|ids| ids.contains(&key.to_string()));
        let shows = |line: String| metrics.lines().any(|shown| shown == line);
        if names_key
            && says("bulla.dev/values", values)
            && says("bulla.dev/objects", objects)
            && shows(lines(values, "values"))
            && shows(lines(objects, "objects"))
        {
            return;
        }
        let annotations = found.annotations();
        assert!(
            began.elapsed() < SOON,
            "{secret} is not said to open {values} in {objects}: {annotations:?} {metrics}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_values_are_counted_by_key() {
    let world = World::new().await;
    let (first, second) = (Identity::generate_x25519().unwrap(), Identity::generate_x25519().unwrap());
    let mut config = world.config();
    config.renew_period = None;
    world.bring("first", &first, "active").await;
    world.bring("second", &second, "active").await;
    let running = world.start_with(config.clone());
    until_counted(&world, &running, "first", first.key_id(), 0, 0).await;
    for name in ["a", "b"] {
        world.seal_to(first.recipient(), name, "1").await;
    }
    let sealed = |key: &str| {
        let place = bulla::seal::Place { namespace: &world.namespace, name: "c", key };
        let binding = bulla::seal::Binding::new(bulla::seal::Scope::Strict, place, "2026-11-21".parse().unwrap());
        let value = bulla::secret::Plaintext::copy_of(b"1");
        bulla::seal::seal(&[second.recipient().clone()], &value, &binding).unwrap()
    };
    let spec = json!({"encryptedData": {"a": sealed("a"), "x": sealed("x"), "y": sealed("y")}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "c"}, "spec": spec})).await;
    until_counted(&world, &running, "first", first.key_id(), 2, 2).await;
    until_counted(&world, &running, "second", second.key_id(), 3, 1).await;
    // Sealed again, and deleted.
    let again = world.sealed(second.recipient(), "b", "1");
    world.patch::<SealedSecret>("b", json!({"spec": {"encryptedData": {"a": again}}})).await;
    until_counted(&world, &running, "first", first.key_id(), 1, 1).await;
    until_counted(&world, &running, "second", second.key_id(), 4, 2).await;
    world.delete::<SealedSecret>("c").await;
    until_counted(&world, &running, "second", second.key_id(), 1, 1).await;
    // One that waits for somebody else's Secret to go away needs its key too.
    world.create::<Secret>(json!({"metadata": {"name": "d"}, "stringData": {"a": "theirs"}})).await;
    world.seal_to(first.recipient(), "d", "1").await;
    until_counted(&world, &running, "first", first.key_id(), 2, 2).await;
    running.stop().await;
    // A restart counts the same, and writes nothing that is written already.
    let version = |secret: Secret| secret.metadata.resource_version;
    let before = version(world.api::<Secret>().get("first").await.unwrap());
    let running = world.start_with(config);
    until_counted(&world, &running, "first", first.key_id(), 2, 2).await;
    tokio::time::sleep(crate::world::QUIET).await;
    assert_eq!(version(world.api::<Secret>().get("first").await.unwrap()), before);
    let metrics = running.metrics();
    assert!(metrics.contains("bulla_sealing_key_created_timestamp_seconds{key="), "{metrics}");
    assert_eq!(world.states(LABEL).await.len(), 2);
    running.stop().await;
}
