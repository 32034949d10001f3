//! When a key is made, by which clock, and how many.

use std::time::Duration;

use bulla::seal::Identity;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;

use crate::world::{LABEL, QUIET, World, id, newest};

const FIRST: &str = "bulla-sealing-key-0001";
const SECOND: &str = "bulla-sealing-key-0002";
const THIRD: &str = "bulla-sealing-key-0003";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_followed_by_another_after_the_period_and_goes_on_opening() {
    let world = World::new().await;
    let running = world.start();
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    let first = world.recipient().await;
    world.seal_to(&first, "before", "1").await;
    world.until_value("before", "1").await;
    world.turn_clock_to(29);
    tokio::time::sleep(QUIET).await;
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    world.turn_clock_to(31);
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    let keys = world.published(|keys| keys.len() == 2 && keys[0]["state"] == "opening").await;
    assert_eq!(id(&keys[0]), first.key_id());
    let second = world.recipient().await;
    assert_ne!(second.key_id(), first.key_id());
    // Both open, also after a restart long after the clock was set right.
    world.seal_to(&second, "after", "2").await;
    world.until_value("after", "2").await;
    running.stop().await;
    world.turn_clock_to(0);
    let running = world.start();
    world.seal_to(&first, "late", "3").await;
    world.until_value("late", "3").await;
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_is_never() {
    let world = World::new().await;
    let mut config = world.config();
    config.renew_period = None;
    let running = world.start_with(config);
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    world.turn_clock_to(10_000);
    tokio::time::sleep(QUIET).await;
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    running.stop().await;
}

/// A backup that is put back must not replace the private half that people have been sealing to meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_a_key_that_is_gone_is_not_given_to_another() {
    let world = World::new().await;
    let running = world.start();
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    world.published(|keys| keys.len() == 1).await;
    world.delete::<Secret>(FIRST).await;
    world.until_states(LABEL, &[(SECOND, "active")]).await;
    world.published(|keys| keys.len() == 1).await;
    running.stop().await;
    // Neither after a restart.
    world.delete::<Secret>(SECOND).await;
    let running = world.start();
    world.until_states(LABEL, &[(THIRD, "active")]).await;
    running.stop().await;
}

/// Without any lease: the API server gives each name once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_controllers_at_once_make_one_key_each_time() {
    let world = World::new().await;
    let mut wanted: Vec<(String, &str)> = Vec::new();
    for round in 1..=6 {
        world.turn_clock_to(31 * round);
        let running: Vec<_> = (0..3).map(|_| world.start()).collect();
        wanted.iter_mut().for_each(|(_, state)| *state = "opening");
        wanted.push((format!("bulla-sealing-key-{round:04}"), "active"));
        let expected: Vec<_> = wanted.iter().map(|(name, state)| (name.as_str(), *state)).collect();
        world.until_states(LABEL, &expected).await;
        for running in running {
            running.stop().await;
        }
    }
    // And while they run.
    let running: Vec<_> = (0..3).map(|_| world.start()).collect();
    for round in 7..=10 {
        world.turn_clock_to(31 * round);
        wanted.iter_mut().for_each(|(_, state)| *state = "opening");
        wanted.push((format!("bulla-sealing-key-{round:04}"), "active"));
        let expected: Vec<_> = wanted.iter().map(|(name, state)| (name.as_str(), *state)).collect();
        world.until_states(LABEL, &expected).await;
    }
    for running in running {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cut_off_time_makes_one_key_and_no_more() {
    let world = World::new().await;
    world.bring("brought", &Identity::generate_x25519().unwrap(), "active").await;
    let mut config = world.config();
    config.renew_period = None;
    config.cutoff = Some(world.now());
    world.turn_clock_to(1);
    for _ in 0..2 {
        let running = world.start_with(config.clone());
        world.until_states(LABEL, &[(FIRST, "active"), ("brought", "opening")]).await;
        running.stop().await;
    }
    // One that is still to come waits until it has.
    let mut config = world.config();
    config.renew_period = None;
    config.cutoff = Some(world.now() + jiff::SignedDuration::from_hours(24));
    let running = world.start_with(config);
    world.until_states(LABEL, &[(FIRST, "active"), ("brought", "opening")]).await;
    world.turn_clock_to(3);
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active"), ("brought", "opening")]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_dated_in_the_future_neither_stops_renewal_nor_seals() {
    let world = World::new().await;
    world.turn_clock_to(3650);
    let running = world.start();
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    // The clock is right again: what it dated counts for nothing, and one key is made that does.
    world.turn_clock_to(0);
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    let keys = world.published(|keys| keys.len() == 2).await;
    assert_eq!(newest(&keys).unwrap()["id"], keys[1]["id"]);
    world.turn_clock_to(31);
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "opening"), (THIRD, "active")]).await;
    running.stop().await;
}

/// A clock that runs wild makes a key for each pause, not for each look at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_about_makes_no_storm() {
    let world = World::new().await;
    let mut config = world.config();
    config.pause = Duration::from_secs(3600);
    let running = world.start_with(config);
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    for round in 1..20 {
        world.turn_clock_to(40 * round);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(world.states(LABEL).await.len(), 1);
    running.stop().await;
}

/// A Secret that is no key under the next name is not in the way for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_is_passed_over() {
    let world = World::new().await;
    world.create::<Secret>(json!({"metadata": {"name": FIRST}, "stringData": {"a": "1"}})).await;
    let running = world.start();
    world.until_states(LABEL, &[(SECOND, "active")]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_asked_for_is_made_once() {
    let world = World::new().await;
    let running = [world.start(), world.start()];
    world.until_states(LABEL, &[(FIRST, "active")]).await;
    world.recipient().await;
    let ask = |at: &str| json!({"metadata": {"annotations": {"bulla.dev/rotate-requested-at": at}}});
    world.patch::<ConfigMap>("bulla-sealing-keys", ask("2026-11-21T10:00:00Z")).await;
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    let handled = world.map().await.unwrap().metadata.annotations.unwrap();
    assert_eq!(handled["bulla.dev/rotate-handled-at"], "2026-11-21T10:00:00Z");
    // Nonsense is no request; the same moment in other words is the same request.
    for text in ["now, please", "2026-11-21T11:00:00+01:00"] {
        world.patch::<ConfigMap>("bulla-sealing-keys", ask(text)).await;
        world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "active")]).await;
    }
    world.patch::<ConfigMap>("bulla-sealing-keys", ask("2026-11-21T12:00:00Z")).await;
    world.until_states(LABEL, &[(FIRST, "opening"), (SECOND, "opening"), (THIRD, "active")]).await;
    for running in running {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_public_keys_is_put_back() {
    let world = World::new().await;
    let running = world.start();
    let right = world.published(|keys| keys.len() == 1).await;
    let began = std::time::Instant::now();
    let forged = json!({"data": {"keys.json": "{\"keys\": []}", "more": "x"}, "binaryData": {"b": "AAAA"}});
    world.patch::<ConfigMap>("bulla-sealing-keys", forged).await;
    assert_eq!(world.published(|keys| !keys.is_empty()).await, right);
    let map = world.map().await.unwrap();
    assert_eq!((map.data.unwrap().len(), map.binary_data), (1, None));
    world.delete::<ConfigMap>("bulla-sealing-keys").await;
    assert_eq!(world.published(|keys| !keys.is_empty()).await, right);
    // Sealed against changes with a forged list.
    let forged = json!({"data": {"keys.json": "{\"keys\": []}"}, "immutable": true});
    world.patch::<ConfigMap>("bulla-sealing-keys", forged).await;
    assert_eq!(world.published(|keys| !keys.is_empty()).await, right);
    assert!(began.elapsed() < Duration::from_secs(15), "at once, not at the next occasion: {:?}", began.elapsed());
    running.stop().await;
}
