//! A cluster that fails in the ways that clusters do. Each time the controller goes on by itself: the same process, and
//! what changed meanwhile, or comes afterwards, is brought into sync.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::front::{Fault, Front};
use crate::support::apiserver::free_port;
use crate::support::wire::Wire;
use crate::world::{Cluster, LONG, Replica};

/// Keeps its Lease through all that a test does, so that it is the watches that recover, and not a new term.
const PATIENT: [&str; 6] = ["--lease-duration", "120s", "--renew-deadline", "110s", "--retry-period", "2s"];

impl Cluster {
    /// Asserts that this replica, never started again, serves what is old and what is new.
    async fn assert_served_by(&self, replica: &mut Replica, place: &str, old: &str) -> Duration {
        let began = Instant::now();
        self.reseal(place, old, "edited").await;
        self.until_value(place, old, "edited").await;
        self.works(place, &format!("new-{}", free_port())).await;
        assert!(replica.leash.ended().is_none(), "{}", replica.leash.log_tail());
        began.elapsed()
    }

    /// Asks etcd itself.
    fn etcd(&self, path: &str, body: &Value) -> Value {
        let command = [
            "-sS".to_owned(),
            "--fail".to_owned(),
            format!("http://127.0.0.1:{}{path}", self.server.etcd_port()),
            "-d".to_owned(),
            body.to_string(),
        ];
        let output = std::process::Command::new("curl").args(command).output().expect("curl, to talk to etcd");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_all_the_time() {
    let cluster = Cluster::new().await;
    let places = cluster.places(2).await;
    let wire = Wire::to(cluster.address());
    let mut replica = cluster.replica_by(&wire.url(), "a", &PATIENT).await;
    cluster.works(&places[0], "old").await;
    let breaking = async {
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            wire.break_all();
        }
    };
    tokio::join!(cluster.seal_many(&places, "s", 300), breaking);
    cluster.until_many(&places, "s", 300, LONG).await;
    cluster.assert_served_by(&mut replica, &places[0], "old").await;
    assert!(replica.leash.log().contains("watch"), "nothing was noticed: the connections did not break");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_end_in_the_middle_of_an_event() {
    let cluster = Cluster::new().await;
    let places = cluster.places(2).await;
    let token = cluster.token("a").await;
    let front = Front::to(cluster.server.client_as(&token, "bulla-controller")).await;
    front.fault(|_, path| path.contains("watch=").then_some(Fault::Short(3)));
    let mut replica = cluster.replica_by(&front.url(), "a", &PATIENT).await;
    cluster.works(&places[0], "old").await;
    cluster.seal_many(&places, "s", 60).await;
    cluster.until_many(&places, "s", 60, LONG).await;
    assert!(front.faults() > 5, "{} watches were cut short", front.faults());
    front.well();
    cluster.assert_served_by(&mut replica, &places[0], "old").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_version_that_is_gone() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let wire = Wire::to(cluster.address());
    let flags = [&PATIENT[..], &["--log-level", "bulla=debug,info"]].concat();
    let mut replica = cluster.replica_by(&wire.url(), "a", &flags).await;
    for name in ["old", "other"] {
        cluster.works(&place, name).await;
    }
    // Cut off, it misses changes; when it is back, the server has forgotten what came after what it last saw.
    wire.cut();
    cluster.reseal(&place, "other", "missed").await;
    for number in 0..30 {
        cluster.seal(&place, &format!("missed-{number}"), "missed").await;
    }
    let revision = cluster.etcd("/v3/kv/range", &json!({"key": "AA=="}))["header"]["revision"].clone();
    cluster.etcd("/v3/kv/compaction", &json!({"revision": revision, "physical": true}));
    cluster.server.stop();
    cluster.server.restart();
    let mark = cluster.server.audit_mark();
    wire.mend();
    cluster.until_value(&place, "other", "missed").await;
    cluster.until_value(&place, "missed-29", "missed").await;
    cluster.assert_served_by(&mut replica, &place, "old").await;
    let asked = cluster.server.audit_since(mark);
    let watches = asked.iter().filter(|entry| entry.user == replica.user && matches!(&*entry.verb, "watch" | "list"));
    let watches: Vec<_> = watches.map(|entry| format!("{} {} {}", entry.verb, entry.code, entry.uri)).collect();
    let log = replica.leash.log();
    let gone = log.matches("the API server ended the watch").count();
    let lists = watches.iter().filter(|watch| watch.starts_with("list") && watch.contains("/sealedsecrets")).count();
    assert!(gone > 0 && lists > 0, "no version was gone: {watches:#?}\n{log}");
    println!("{gone} watches were told that their version is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_away_for_longer_than_the_lease() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let mut replica = cluster.replica("a", &[]).await;
    cluster.works(&place, "old").await;
    cluster.server.stop();
    replica.until_gauge("bulla_leader", 0).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    cluster.server.restart();
    let took = cluster.assert_served_by(&mut replica, &place, "old").await;
    println!("the API server is back; both objects were in sync {took:?} later");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(replica.gauge("bulla_leader"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_has_too_much_to_do() {
    let cluster = Cluster::new().await;
    let places = cluster.places(2).await;
    let token = cluster.token("a").await;
    let front = Front::to(cluster.server.client_as(&token, "bulla-controller")).await;
    let mut replica = cluster.replica_by(&front.url(), "a", &[]).await;
    cluster.works(&places[0], "old").await;
    // First every fourth request, then all of them, for longer than the Lease lives.
    let count = AtomicUsize::new(0);
    front.fault(move |_, _| count.fetch_add(1, Ordering::Relaxed).is_multiple_of(4).then_some(Fault::Throttled));
    cluster.seal_many(&places, "some", 60).await;
    cluster.until_many(&places, "some", 60, LONG).await;
    front.fault(|_, _| Some(Fault::Throttled));
    cluster.seal_many(&places, "none", 60).await;
    replica.until_gauge("bulla_leader", 0).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(front.faults() < 2000, "{} requests in a few seconds: it does not slow down", front.faults());
    println!("{} requests were answered with 429", front.faults());
    front.well();
    cluster.until_many(&places, "none", 60, LONG).await;
    cluster.assert_served_by(&mut replica, &places[0], "old").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_no_writes() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let mut replica = cluster.replica("a", &[]).await;
    for name in ["old", "waiting"] {
        cluster.works(&place, name).await;
    }
    // As when its disk is full: reads are answered, writes refused.
    let alarm = |action: &str| json!({"action": action, "memberID": 0, "alarm": "NOSPACE"});
    cluster.seal(&place, "late", "late").await;
    cluster.until_value(&place, "late", "late").await;
    cluster.etcd("/v3/maintenance/alarm", &alarm("ACTIVATE"));
    // It cannot renew its Lease, so it stops; nobody else could take it either.
    replica.until_gauge("bulla_leader", 0).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let alarms = cluster.etcd("/v3/maintenance/alarm", &json!({"action": "GET"}));
    for alarm in alarms["alarms"].as_array().unwrap() {
        let off = json!({"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": alarm["alarm"]});
        cluster.etcd("/v3/maintenance/alarm", &off);
    }
    let took = cluster.assert_served_by(&mut replica, &place, "old").await;
    println!("the store takes writes again; both objects were in sync {took:?} later");
    cluster.works(&place, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_slow_and_then_silent() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let wire = Wire::to(cluster.address());
    let mut replica = cluster.replica_by(&wire.url(), "a", &[]).await;
    cluster.works(&place, "old").await;
    wire.slow(Duration::from_millis(300));
    for number in 0..3 {
        cluster.works(&place, &format!("slow-{number}")).await;
    }
    assert_eq!(replica.gauge("bulla_leader"), Some(1), "slow is not silent");
    wire.silence();
    replica.until_gauge("bulla_leader", 0).await;
    cluster.seal(&place, "meanwhile", "meanwhile").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    wire.mend();
    cluster.until_value(&place, "meanwhile", "meanwhile").await;
    cluster.assert_served_by(&mut replica, &place, "old").await;
}
