//! When it is fetched again, and what a refresh and a restart cost.

use bulla_crds::ExternalSecret;
use serde_json::json;

use crate::world::{QUIET, SOON, World, data_of, one_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_brings_what_is_new_and_otherwise_writes_the_status_only() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    let mut spec = one_key("vault", "a");
    spec["refreshInterval"] = json!("2s");
    world.external("db", spec).await;
    let first = world.synced("db").await.status.unwrap().refresh_time;
    let mark = world.mark();
    let refreshed = |object: &ExternalSecret| object.status.as_ref().unwrap().refresh_time > first;
    let object = world.until("db", "refreshed", refreshed).await;
    assert_eq!(object.status.unwrap().sync_reason.as_deref(), Some("RefreshInterval"));
    let calls = world.calls(mark).await;
    assert!(!calls.is_empty() && calls.iter().all(|call| call == "patch externalsecrets/status"), "{calls:?}");
    world.set_fake("vault", &[("a", "2")]).await;
    world.until_data("db", &[("k", "2")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_over_what_is_right_costs_the_lists_only() {
    let mut world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    for name in ["one", "two"] {
        world.simple(name, "vault", "a").await;
        world.synced(name).await;
    }
    world.stop().await;
    let mark = world.mark();
    world.start();
    tokio::time::sleep(QUIET * 3).await;
    let calls = world.calls(mark).await;
    assert!(calls.iter().all(|call| !call.contains("externalsecrets")), "{calls:?}");

    // Edited while nobody watched.
    world.stop().await;
    world.patch::<k8s_openapi::api::core::v1::Secret>("two", json!({"stringData": {"k": "edited"}})).await;
    world.start();
    world.until_data("two", &[("k", "1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn created_once_and_interval_zero_are_fetched_once() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    let mut once = one_key("vault", "a");
    once["refreshPolicy"] = json!("CreatedOnce");
    let mut zero = one_key("vault", "a");
    zero["refreshInterval"] = json!("0s");
    world.external("once", once).await;
    world.external("zero", zero).await;
    for name in ["once", "zero"] {
        let object = world.synced(name).await;
        assert!(object.status.unwrap().next_refresh_time.is_none(), "{name}");
    }
    world.set_fake("vault", &[("a", "2")]).await;
    world.force("once", "now").await;
    world.force("zero", "now").await;
    world.until_data("zero", &[("k", "2")]).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(data_of(&world.secret("once").await.unwrap())["k"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_of_many_goes_through() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    for index in 0..60 {
        world.simple(&format!("es-{index}"), "vault", "a").await;
    }
    let began = std::time::Instant::now();
    for index in 0..60 {
        world.until_data(&format!("es-{index}"), &[("k", "1")]).await;
    }
    assert!(began.elapsed() < SOON);
}
