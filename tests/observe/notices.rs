//! Notices to webhooks: few of many, once each, and none of what heals by itself.

use std::fs;
use std::time::Duration;

use bulla_crds::SealedSecret;
use futures::future::join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::receiver::{Post, Receiver};
use crate::world::{CANARY, World, bad};

/// `occasion name` of each notice in the posts to the JSON webhook.
fn told(posts: &[Post]) -> Vec<String> {
    let bodies =
        posts.iter().filter(|post| post.path == "/json").map(|post| serde_json::from_slice(&post.body).unwrap());
    let told = |body: Value| {
        let notices = body["notices"].as_array().unwrap().clone();
        notices.into_iter().map(|n| format!("{} {}", n["occasion"].as_str().unwrap(), n["name"].as_str().unwrap()))
    };
    bodies.flat_map(told).collect()
}

/// How many notices the posts to the JSON webhook stand for.
fn total(posts: &[Post]) -> u64 {
    let bodies =
        posts.iter().filter(|post| post.path == "/json").map(|post| serde_json::from_slice::<Value>(&post.body));
    bodies
        .map(Result::unwrap)
        .map(|body| body["notices"].as_array().unwrap().len() as u64 + body["more"].as_u64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_and_its_end_are_told_once_each_and_what_heals_in_time_is_not() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (slack, json, key) = (world.file("slack"), world.file("json"), world.file("hmac"));
    fs::write(&slack, receiver.url("/slack/s3cr3t")).unwrap();
    fs::write(&json, format!("{}\n", receiver.url("/json"))).unwrap();
    fs::write(&key, "a key").unwrap();
    let flags = [
        ["--notify-slack-url-file", slack.to_str().unwrap()],
        ["--notify-webhook-url-file", json.to_str().unwrap()],
        ["--notify-webhook-key-file", key.to_str().unwrap()],
        ["--notify-after", "3s"],
    ];
    let mut program = world.start(&flags.concat(), &[]).await;
    world.sealed("fine").await;
    world.broken("heals").await;
    world.synced("heals", false).await;
    world.edit("heals", world.good("heals")).await;
    world.synced("heals", true).await;
    world.broken("lasts").await;
    let posts = receiver.until(|posts| told(posts) == ["failed lasts"] && posts.len() == 2).await;
    let post = posts.iter().find(|post| post.path == "/json").unwrap();
    let body: Value = serde_json::from_slice(&post.body).unwrap();
    let notice = &body["notices"][0];
    assert_eq!((&notice["kind"], &notice["namespace"]), (&json!("SealedSecret"), &json!(world.namespace)));
    assert!(!notice["reason"].as_str().unwrap().is_empty() && !notice["message"].as_str().unwrap().is_empty());
    assert_eq!(body["more"], 0);

    let header = |name: &str| post.headers[name].to_str().unwrap().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a key").unwrap();
    mac.update(format!("{}.{}", header("x-bulla-timestamp"), post.text()).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("x-bulla-signature"), format!("sha256={hex}"));

    let slack = posts.iter().find(|post| post.path == "/slack/s3cr3t").unwrap();
    let body: Value = serde_json::from_slice(&slack.body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.contains(&format!("*{}/lasts* failed: ", world.namespace)), "{text}");

    world.edit("lasts", world.good("lasts")).await;
    world.synced("lasts", true).await;
    let posts = receiver.until(|posts| told(posts).len() > 1 && posts.len() == 4).await;
    assert_eq!(told(&posts), ["failed lasts", "recovered lasts"]);
    program.until_line("bulla_notification_posts_total{receiver=\"slack\",outcome=\"sent\"} 2").await;
    world.holds_the_canary("lasts").await;
    assert_eq!(program.end(), Some(0));
    let all: String = posts.iter().map(Post::text).collect();
    assert!(!all.contains(CANARY) && !program.log().contains("s3cr3t"), "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_failures_are_a_few_posts_that_count_them_all() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let url = receiver.url("/json");
    let program = world.start(&["--notify-after", "1s"], &[("BULLA_NOTIFY_WEBHOOK_URL", &url)]).await;
    let names: Vec<_> = (0..500).map(|number| format!("n{number:03}")).collect();
    for names in names.chunks(50) {
        join_all(names.iter().map(|name| world.broken(name))).await;
    }
    let posts = receiver.until(|posts| total(posts) == 500).await;
    assert!(posts.len() <= 6, "{} posts", posts.len());
    assert!(posts.iter().all(|post| told(std::slice::from_ref(post)).len() <= 20));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(total(&receiver.posts()), 500, "each once");
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_gets_what_is_still_true_when_it_is_back() {
    let world = World::new().await;
    let mut receiver = Receiver::start().await;
    receiver.leave().await;
    let url = receiver.url("/json");
    let flags = ["--notify-after", "0s", "--notify-on", "failed,recovered"];
    let program = world.start(&flags, &[("BULLA_NOTIFY_WEBHOOK_URL", &url)]).await;
    world.broken("first").await;
    world.synced("first", false).await;
    program.until_line("bulla_notification_posts_total{receiver=\"webhook\",outcome=\"retried\"} 1").await;
    // These wait behind the post that cannot be delivered; two of them are over before anybody hears of them.
    for name in ["second", "gone", "healed"] {
        world.broken(name).await;
        world.synced(name, false).await;
    }
    world.delete::<SealedSecret>("gone").await;
    world.edit("healed", world.good("healed")).await;
    world.synced("healed", true).await;
    world.sealed("meanwhile").await;
    receiver.come_back().await;
    let posts = receiver.until(|posts| told(posts).len() >= 2).await;
    assert_eq!(told(&posts), ["failed first", "failed second"]);
    // A receiver that has a fault of its own is tried again as well.
    receiver.answers(503);
    world.edit("first", world.good("first")).await;
    world.synced("first", true).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    receiver.answers(200);
    receiver.until(|posts| told(posts).last().is_some_and(|told| told == "recovered first")).await;
    world.edit("first", bad()).await;
    world.synced("first", false).await;
    assert!(!program.log().contains(&url), "the address is a secret: {}", program.log());
}
