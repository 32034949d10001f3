//! An API server that goes away and comes back, and a controller that is told to stop.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bulla_crds::SealedSecret;
use serde_json::json;

use crate::support::apiserver::ApiServer;
use crate::world::{World, strings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_comes_back_is_taken_up_again() {
    let server = ApiServer::start();
    let mut world = World::on(&server).await;
    world.start();
    world.seal("before", &[("a", "1")]).await;
    world.synced("before").await;
    server.stop();
    tokio::time::sleep(Duration::from_secs(30)).await;
    server.restart();
    world.client = server.client();
    let back = Instant::now();
    world.seal("after", &[("a", "1")]).await;
    world.until_data("after", &[("a", "1")]).await;
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
    let sealed = world.sealed("before", "a", "2");
    world.patch::<SealedSecret>("before", json!({"spec": {"encryptedData": {"a": sealed}}})).await;
    world.until_data("before", &[("a", "2")]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_starts_before_its_api_server_and_stops_in_order() {
    let server = ApiServer::start();
    let mut world = World::on(&server).await;
    server.stop();
    let mut process = Command::new(env!("CARGO_BIN_EXE_bulla-controller"))
        .args(["run", "--kubeconfig"])
        .arg(server.kubeconfig())
        .args(["--controller-namespace", &world.namespace, "--watch-namespace", &world.namespace])
        .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--shutdown-delay", "0s"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.restart();
    world.client = server.client();
    world.seal("db", &[("a", "1")]).await;
    let began = Instant::now();
    let secret = loop {
        if let Some(secret) = world.secret("db").await {
            break secret;
        }
        if began.elapsed() > crate::world::SOON {
            process.kill().unwrap();
            panic!("no Secret");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(crate::world::data_of(&secret), strings(&[("a", "1")]));
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let told = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if told.elapsed() > Duration::from_secs(12) {
            process.kill().unwrap();
            panic!("it does not stop");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[test]
fn without_a_kubeconfig_the_message_says_what_was_looked_for() {
    let output = Command::new(env!("CARGO_BIN_EXE_bulla-controller"))
        .args(["run", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("KUBECONFIG") && text.contains("service account"), "{text}");
}
