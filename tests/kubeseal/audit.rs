//! One line a request: who, what, which keys, what came of it. Never a value.

use std::time::{Duration, Instant};

use bulla::seal::Scope;
use serde_json::json;

use crate::support::logs;
use crate::world::{CANARY, World, rsa};

/// The audit lines that hold `mark`, once there are so many.
fn lines(mark: &str, count: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let logs = logs::so_far();
        let lines: Vec<_> = logs.lines().filter(|line| line.contains("bulla::audit:") && line.contains(mark)).collect();
        if lines.len() >= count || began.elapsed() > Duration::from_secs(10) {
            assert_eq!(lines.len(), count, "{lines:#?}");
            return lines.into_iter().map(|line| line[line.find("bulla::audit:").unwrap()..].to_owned()).collect();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_request_leaves_one_line_without_a_value() {
    let world = World::new(2).await;
    let who = format!("user-{}", world.namespace);
    let headers = [("X-Remote-User", who.as_str()), ("X-Forwarded-For", "203.0.113.9")];
    let stale = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a");
    let object = world.object("db", &json!({"a": stale})).to_string();
    let renamed = world.object("renamed", &json!({"a": stale})).to_string();
    let rubbish = format!("kind: {CANARY}");
    let long = " ".repeat((4 << 20) + 1);
    let requests = [
        ("POST", "/v1/verify", &object, "verify", "ok"),
        ("POST", "/v1/rotate", &object, "reseal", "ok"),
        ("POST", "/v1/verify", &renamed, "verify", "refused"),
        ("POST", "/v1/rotate", &renamed, "reseal", "refused"),
        ("POST", "/v1/verify", &rubbish, "verify", "malformed"),
        ("POST", "/v1/rotate", &long, "reseal", "too-large"),
        ("GET", "/v1/rotate", &String::new(), "reseal", "method-not-allowed"),
    ];
    for (method, path, body, ..) in requests {
        world.call(method, path, &headers, body.as_bytes());
    }
    let lines = tokio::task::block_in_place(|| lines(&who, requests.len()));
    let actor = format!("actor=\"127.0.0.1 unauthenticated-for=203.0.113.9 unauthenticated-user={who}\"");
    for (line, (.., action, outcome)) in lines.iter().zip(requests) {
        assert!(line.contains(&format!("action=\"{action}\"")), "{line}");
        assert!(line.contains(&format!("outcome=\"{outcome}\"")), "{line}");
        assert!(line.contains(&actor), "{line}");
    }
    let named = format!("kind=\"SealedSecret\" namespace=\"{}\" name=\"db\"", world.namespace);
    assert!(lines[0].contains(&named) && lines[0].contains(&format!("keys={} ", rsa(0).id())), "{}", lines[0]);
    assert!(lines[1].contains(&rsa(0).id()) && lines[1].contains(&rsa(1).id()), "{}", lines[1]);
    assert!(lines[2].contains("name=\"renamed\"") && lines[2].contains("keys= "), "{}", lines[2]);
    let all = logs::so_far();
    assert!(!all.contains(CANARY) && !all.contains(&stale), "neither the value nor what it is sealed in");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_cannot_write_lines_of_its_own() {
    let world = World::new(1).await;
    let who = format!("mark-{}", world.namespace);
    let forged = format!("{who}\" outcome=\"ok\" x=\"");
    world.call("POST", "/v1/verify", &[("X-Remote-User", &forged)], b"{}");
    let name = format!("{who}\\nbulla::audit: outcome=\"ok\"");
    let object = world.object(&name, &json!({})).to_string();
    world.call("POST", "/v1/verify", &[("X-Remote-User", &who)], object.as_bytes());
    let lines = tokio::task::block_in_place(|| lines(&who, 2));
    assert!(
        lines.iter().all(|line| line.contains("outcome=\"malformed\"") && !line.contains("outcome=\"ok\"")),
        "{lines:#?}"
    );
    world.stop().await;
}
