//! Traces: a collector gets the spans of a real sync, and no value.

use crate::receiver::Receiver;
use crate::world::{CANARY, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_the_steps_of_a_sync_and_no_value() {
    let world = World::new().await;
    let collector = Receiver::start().await;
    let mut program = world.start(&["--otlp-endpoint", &collector.url("")], &[]).await;
    world.sealed("db").await;
    world.store().await;
    world.external("remote", "k", true).await;
    world.holds_the_canary("db").await;
    assert_eq!(program.end(), Some(0), "what is left is sent at the end: {}", program.log());
    let posts = collector.posts();
    assert!(!posts.is_empty());
    let mut all = String::new();
    for post in &posts {
        assert_eq!(
            (post.path.as_str(), &post.headers["content-type"]),
            ("/v1/traces", &"application/x-protobuf".parse().unwrap())
        );
        all += &post.text();
    }
    for word in
        ["bulla-controller", "reconcile", "open", "fetch", "render", "write", "status", "SealedSecret", "remote"]
    {
        assert!(all.contains(word), "{word} is missing");
    }
    assert!(all.contains(&world.namespace) && !all.contains(CANARY));
    assert!(!program.log().contains("reconcile"), "spans do not lengthen the log: {}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_hinders_nobody_and_the_variable_of_all_programs_is_heard() {
    let world = World::new().await;
    let mut collector = Receiver::start().await;
    collector.leave().await;
    let url = collector.url("/");
    let mut program = world.start(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    world.sealed("one").await;
    collector.come_back().await;
    world.sealed("two").await;
    let began = std::time::Instant::now();
    assert_eq!(program.end(), Some(0), "{}", program.log());
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    assert!(collector.posts().iter().any(|post| post.text().contains("two")));
}
