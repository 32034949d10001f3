//! Log lines are for machines where that is asked for, and only as many as asked for.

use serde_json::Value;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_are_flat_with_a_time_in_utc_a_level_and_a_target() {
    let world = World::new().await;
    let mut program = world.start(&["--log-format", "JSON"], &[]).await;
    world.sealed("db").await;
    world.broken("broken").await;
    world.synced("broken", false).await;
    assert_eq!(program.end(), Some(0), "{}", program.log());
    let log = program.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert!(["INFO", "WARN"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["target"].as_str().unwrap().starts_with("bulla"), "{line}");
        assert!(line.as_object().unwrap().values().all(|field| !field.is_object() && !field.is_array()), "{line}");
    }
    let failure = lines.iter().find(|line| line["message"] == "not in sync").expect("the failure is told");
    assert_eq!((failure["name"].as_str(), failure["namespace"].as_str()), (Some("broken"), Some(&*world.namespace)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_words_for_levels_are_taken() {
    let world = World::new().await;
    let mut program = world.start(&["--log-level", "ERROR", "--audit-log", "off"], &[]).await;
    world.sealed("db").await;
    assert_eq!(program.end(), Some(0));
    assert_eq!(program.log(), "", "nothing of that weight happened");
}
