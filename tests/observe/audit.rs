//! The audit log: who did what with which key, and never a value.

use bulla_crds::ExternalSecret;
use serde_json::{Value, json};

use crate::world::{CANARY, World};

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.filter(|line| line["target"] == "bulla::audit").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_opening_and_writing_is_a_line_with_its_key() {
    let world = World::new().await;
    let file = world.file("audit.log");
    std::fs::write(&file, "{\"target\":\"an older line\"}\n").unwrap();
    let mut program = world.start(&["--audit-log", file.to_str().unwrap(), "--log-level", "error"], &[]).await;
    world.sealed("db").await;
    world.broken("broken").await;
    world.synced("broken", false).await;
    world.store().await;
    world.external("remote", "k", true).await;
    world.holds_the_canary("db").await;
    assert_eq!(program.end(), Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("{\"target\":\"an older line\"}\n"), "the file is appended to");
    assert!(!text.contains(CANARY), "{text}");
    assert!(!program.log().contains("bulla::audit"), "{}", program.log());
    let told: Vec<Value> = lines(&text)
        .iter()
        .map(|line| {
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
            assert_eq!((&line["actor"], &line["namespace"]), (&json!("controller"), &json!(world.namespace)));
            json!([line["action"], line["kind"], line["name"], line["keys"], line["outcome"]])
        })
        .filter(|line| line[1] != "Key" && line[2] != "key")
        .collect();
    let key = world.identity.key_id().to_string();
    let expected = [
        json!(["open", "SealedSecret", "db", key, "ok"]),
        json!(["write", "SealedSecret", "db", "", "ok"]),
        json!(["write", "ExternalSecret", "remote", "", "ok"]),
    ];
    for line in &expected {
        assert_eq!(told.iter().filter(|told| *told == line).count(), 1, "{line} in {told:#?}");
    }
    let refused = told.iter().find(|line| line[2] == "broken").expect("the refusal is told");
    assert_eq!((&refused[0], &refused[3]), (&json!("open"), &json!("")));
    assert_ne!(refused[4], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_part_of_the_log_unless_switched_off_and_a_deletion_is_a_line() {
    let world = World::new().await;
    // Even where the log tells only of errors.
    let mut program = world.start(&["--log-format", "json", "--log-level", "error"], &[]).await;
    world.store().await;
    world.external("remote", "k", true).await;
    let spec = json!({"spec": {"target": {"name": "other"}}});
    let patch = kube::api::Patch::Merge(spec);
    world.api::<ExternalSecret>().patch("remote", &kube::api::PatchParams::default(), &patch).await.unwrap();
    let began = std::time::Instant::now();
    while lines(&program.log()).iter().all(|line| line["action"] != "delete") {
        assert!(began.elapsed() < crate::world::SOON, "no deletion in {}", program.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(program.end(), Some(0));
    assert!(!program.log().contains(CANARY));

    let world = World::new().await;
    let mut program = world.start(&["--audit-log", "off"], &[]).await;
    world.sealed("db").await;
    assert_eq!(program.end(), Some(0));
    assert!(!program.log().contains("audit"), "{}", program.log());
}
