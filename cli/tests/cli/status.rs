//! `bulla status` against the real API server, with statuses that the test writes.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use bulla_crds::SecretStore;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::world::{World, json_of};

/// A world with one object in each state.
async fn states() -> World {
    let world = World::new().await;
    let store = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": "store"},
        "spec": {"provider": {"fake": {"data": [{"key": "db", "value": "canary"}]}}},
    });
    let parameters = PatchParams::apply("test").force();
    world.objects::<SecretStore>().patch("store", &parameters, &Patch::Apply(&store)).await.unwrap();
    let generation = world.sealed("good").await;
    world.synced("SealedSecret", "good", generation).await;
    world.status("SealedSecret", "good", json!({"keyIds": ["0011223344556677", "8899aabbccddeeff"]})).await;
    let generation = world.sealed("bad").await;
    world.failed("SealedSecret", "bad", generation, "UnknownKey", true).await;
    world.sealed("new").await;
    let generation = world.external("api").await;
    world.synced("ExternalSecret", "api", generation).await;
    let generation = world.external("old").await;
    world.synced("ExternalSecret", "old", generation - 1).await;
    world
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_has_a_line_with_its_state() {
    let world = states().await;
    let run = world.here(&["status"]).exits(1).says("3 of 5 object(s) not in sync");
    let lines = lines(&run.out);
    assert_eq!(lines[0], ["KIND", "NAME", "STATE", "REASON", "KEY", "AGE", "LAST", "CHANGE"]);
    let line = |name: &str| lines.iter().find(|line| line.get(1) == Some(&name)).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(line("good")[..6], ["SealedSecret", "good", "Synced", "Done", "00112233", "+1"]);
    assert_eq!(line("bad")[..5], ["SealedSecret", "bad", "Failed", "UnknownKey", "-"]);
    assert_eq!(line("new")[2], "Waiting");
    assert_eq!(line("api")[..5], ["ExternalSecret", "api", "Synced", "Done", "fake/store"]);
    assert_eq!(line("old")[2], "Stale");
    assert!(run.out.ends_with("5 object(s): 2 synced, 1 failed, 1 waiting, 1 stale\n"), "{}", run.out);
    world.here(&["status", "--exit-zero"]).exits(0);

    let run = world.here(&["status", "--failing", "--wide"]).exits(1);
    assert!(run.out.contains("a: because") && !run.out.contains(" good "), "{}", run.out);
    let run = world.here(&["status", "es", "--selector", "team=web", "--output", "json"]).exits(1);
    let all = json_of(&run);
    assert_eq!(all["summary"]["total"], 2);
    assert_eq!(all["objects"][0]["store"], json!({"kind": "SecretStore", "name": "store", "provider": "fake"}));
    assert_eq!((&all["objects"][1]["state"], &all["objects"][1]["name"]), (&json!("Stale"), &json!("old")));
    // Every namespace, so also those of other tests.
    let run = world.run(&["status", "-A", "sealedsecrets", "--exit-zero"]).exits(0);
    let prod = run.out.lines().find(|line| line.starts_with(&world.namespace) && line.contains(" good "));
    assert!(prod.is_some(), "{}", run.out);
    world.here(&["status", "sealedsecret/nobody"]).exits(2).says("there is no SealedSecret \"nobody\"");
    world.here(&["status", "good", "api"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_told_whole_with_what_to_do_next() {
    let world = states().await;
    let run = world.here(&["status", "sealedsecret/bad"]).exits(1);
    for part in ["Failed", "Stalled", "UnknownKey: a: because", "bad is not there", "Next:", "bulla seal", "damaged"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    world.here(&["status", "good"]).exits(1).says("the Secret good is not there");
    world.secret("good").await;
    let run = world.here(&["status", "good"]).exits(0);
    assert!(run.out.contains("good is there") && run.out.contains("0011223344556677"), "{}", run.out);
    assert!(!run.out.contains("Next:"), "{}", run.out);
    let run = world.here(&["status", "old"]).exits(1);
    assert!(run.out.contains("2026-01-02T03:04:05Z") && run.out.contains("the controller has seen 0"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_fits_and_a_reader_without_rights_is_told() {
    let mut world = states().await;
    let name = format!("a-{}-name", "very-long-".repeat(12));
    world.sealed(&name).await;
    world.bench.variables.push(("COLUMNS", "72".to_owned()));
    let run = world.here(&["status"]).exits(1);
    for line in run.out.lines() {
        assert!(line.chars().count() <= 72, "{line:?}");
    }
    assert!(run.out.contains('…') && run.out.contains("Failed"), "{}", run.out);

    let kubeconfig = world.api.kubeconfig_as("nobody", "nobody's token").display().to_string();
    let run = tokio::task::block_in_place(|| world.bench.run(&["status", "-n", "x", "--kubeconfig", &kubeconfig]));
    run.exits(2).says("listing the SealedSecrets in namespace x");
    world.bench.run(&["status"]).exits(2).says("no kubeconfig");
    let empty = world.api.namespace().await.to_string();
    world.run(&["status", "-n", &empty]).exits(0).says("no SealedSecret or ExternalSecret in namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_are_read_page_by_page() {
    let world = World::new().await;
    let create = (0..1200).map(|number| {
        let world = &world;
        async move { world.sealed(&format!("object-{number}")).await }
    });
    futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(futures::stream::iter(create), 48))
        .await;
    let mark = world.api.audit_mark();
    let all = json_of(&world.here(&["status", "sealedsecrets", "--output", "json"]).exits(1));
    assert_eq!(all["summary"]["waiting"], 1200);
    assert_eq!(all["objects"].as_array().map(Vec::len), Some(1200));
    let quiet = Duration::from_millis(500);
    let is_list = |path: &str| path.contains(&format!("{}/sealedsecrets", world.namespace));
    let lists = world.api.audit_when_quiet(mark, quiet, |entry| is_list(&entry.uri)).await;
    assert_eq!(lists.len(), 3, "pages of 500");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_watch_it_prints_what_changes() {
    let world = World::new().await;
    let generation = world.sealed("db").await;
    let arguments = ["status", "--watch", "--namespace", &world.namespace, "--kubeconfig", &world.kubeconfig];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bulla"));
    let mut child = command.args(arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            // The reader leaves after the last line that the test asks for.
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    let next = || {
        let line = tokio::task::block_in_place(|| lines.recv_timeout(Duration::from_secs(20)));
        line.unwrap_or_else(|error| panic!("no line in time: {error}"))
    };
    assert!(next().starts_with("KIND"));
    assert!(next().contains("Waiting"));
    assert!(next().contains("1 waiting"));
    // Between the list and the watch, too, nothing is lost: the watch begins with a list of its own.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.failed("SealedSecret", "db", generation, "UnknownKey", true).await;
    let line = next();
    assert!(line.contains("db") && line.contains("Failed") && line.contains("UnknownKey"), "{line}");
    world.synced("SealedSecret", "db", generation).await;
    assert!(next().contains("Synced"));
    world.delete("SealedSecret", "db").await;
    assert!(next().contains("db deleted"));
    // It ends when nobody reads any more.
    drop(lines);
    world.sealed("one").await;
    reader.join().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on for nobody");
        let generation = world.sealed("two").await;
        world.failed("SealedSecret", "two", generation, "Conflict", false).await;
        world.delete("SealedSecret", "two").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
