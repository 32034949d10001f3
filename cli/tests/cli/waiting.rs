//! `bulla wait` against the real API server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::SECRET;
use crate::world::{World, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_yet_is_waited_for_until_its_secret_is_there() {
    let world = Arc::new(World::new().await);
    let began = Instant::now();
    let player = Arc::clone(&world);
    let play = tokio::spawn(async move {
        let world = player;
        tokio::time::sleep(Duration::from_millis(600)).await;
        let generation = world.sealed("db").await;
        world.failed("SealedSecret", "db", generation, "ApiServerUnreachable", false).await;
        let external = world.external("api").await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        world.synced("SealedSecret", "db", generation).await;
        world.synced("ExternalSecret", "api", external).await;
        world.secret("db").await;
        // In sync, as it says, but without its Secret for a while.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        world.secret("api").await;
    });
    let run = world.here(&["wait", "sealedsecret/db", "es/api", "--timeout", "30s"]).exits(0);
    play.await.unwrap();
    assert!(began.elapsed() > Duration::from_millis(2600), "it did not wait for the Secret");
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.out);
    assert!(lines[0].contains("db Synced, Secret db is there") && lines[1].contains("api Synced"), "{}", run.out);
    for part in ["does not exist yet", "Failed: ApiServerUnreachable: a: because", "but Secret api is not there"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_only_a_person_mends_ends_the_wait_and_others_do_not() {
    let world = World::new().await;
    let generation = world.sealed("bad").await;
    world.failed("SealedSecret", "bad", generation, "UnknownKey", true).await;
    let began = Instant::now();
    let run = world.here(&["wait", "sealedsecret/bad", "--timeout", "60s"]).exits(1);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(
        run.err.contains("only a person can mend this") && run.err.contains("UnknownKey: a: because"),
        "{}",
        run.err
    );
    let run = world.here(&["wait", "sealedsecret/bad", "--timeout", "1s", "--keep-waiting"]).exits(1);
    assert!(run.err.contains("0 of 1 object(s) done within 1 s"), "{}", run.err);
    // What is said about an older version is no verdict about this one.
    world.apply("SealedSecret", "bad", json!({}), json!({"encryptedData": {"a": "AgBnotsealed2"}})).await;
    let run = world.here(&["wait", "--all", "--timeout", "1s", "--output", "json"]).exits(1);
    let answer = json_of(&run);
    assert_eq!(answer["done"], false);
    assert_eq!(answer["objects"][0]["state"], "Stale");
    assert_eq!(answer["objects"][0]["secretExists"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_and_deletions() {
    let world = World::new().await;
    world.here(&["wait", "--all"]).exits(0).says("nothing to wait for");
    world.here(&["wait", "--selector", "team=web", "--timeout", "1s"]).exits(1).says("0 of 0 object(s)");
    let generation = world.external("api").await;
    world.synced("ExternalSecret", "api", generation).await;
    world.secret("api").await;
    world.sealed("left").await;
    world.here(&["wait", "--selector", "team=web", "--timeout", "20s"]).exits(0);
    world.here(&["wait", "--all", "--timeout", "1s"]).exits(1).says("left Waiting");
    world.here(&["wait", "es/api", "--for", "deleted", "--timeout", "1s"]).exits(1).says("still exists");
    world.delete("ExternalSecret", "api").await;
    let run = world.here(&["wait", "es/api", "--for", "deleted", "--timeout", "20s"]).exits(0);
    assert!(run.out.contains("ExternalSecret") && run.out.contains("is gone"), "{}", run.out);
    world.here(&["wait", "db"]).exits(2).says("sealedsecret/db or externalsecret/db");
    world.run(&["wait", "-A", "es/api"]).exits(2).says("say --namespace");
    world.here(&["wait"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_real_controller_an_object_is_sealed_applied_and_waited_for() {
    let mut world = World::new().await;
    let controller = world.controller();
    world.bench.variables.push(("BULLA_CONTROLLER_NAMESPACE", world.namespace.clone()));
    let began = Instant::now();
    while world.keys(&["show"]).code != 0 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let secret = SECRET.replace("namespace: prod", &format!("namespace: {}", world.namespace));
    let seal = ["seal", "--format", "json", "--kubeconfig", &world.kubeconfig];
    let sealed = tokio::task::block_in_place(|| world.bench.pipe(&seal, &secret)).exits(0).out;
    let sealed: serde_json::Value = serde_json::from_str(&sealed).unwrap();
    world.apply("SealedSecret", "db", json!({}), sealed["spec"].clone()).await;
    let run = world.here(&["wait", "sealedsecret/db", "--timeout", "60s"]).exits(0);
    assert!(run.out.contains("Secret db is there"), "{}", run.out);
    let status = json_of(&world.here(&["status", "--output", "json"]).exits(0));
    let keys = json_of(&world.keys(&["list", "--output", "json"]).exits(0));
    assert_eq!(status["objects"][0]["keys"][0]["id"], keys["keys"][0]["id"]);
    assert_eq!(keys["keys"][0]["state"], "active");
    assert!(keys["keys"][0]["values"].as_u64() >= Some(1), "{keys}");
    controller.stop().await;
}
