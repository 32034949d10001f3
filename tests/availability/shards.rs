//! More than one replica at work, each over its shards of the namespaces.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;

use crate::support::audit::{AuditEntry, AuditMark};
use crate::world::{Cluster, LONG, Replica};

/// Who wrote in each of these namespaces, in order; the same one several times in a row is one.
async fn turns(
    cluster: &Cluster,
    mark: AuditMark,
    places: &[String],
    by: &[&Replica],
) -> BTreeMap<String, Vec<String>> {
    let mut turns = BTreeMap::<String, Vec<String>>::new();
    for entry in cluster.writes(mark, places, by).await.iter().filter(|entry| (200..300).contains(&entry.code)) {
        let turns = turns.entry(entry.namespace.clone()).or_default();
        if turns.last() != Some(&entry.user) {
            turns.push(entry.user.clone());
        }
    }
    turns
}

fn assert_one_at_a_time(turns: &BTreeMap<String, Vec<String>>) {
    for (place, turns) in turns {
        let different: BTreeSet<_> = turns.iter().collect();
        assert_eq!(different.len(), turns.len(), "{place} went to and fro: {turns:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_four_shards_and_no_namespace_is_served_by_two_at_once() {
    let cluster = Cluster::new().await;
    let places = cluster.places(12).await;
    let flags = ["--shards", "4"];
    let a = cluster.replica("a", &flags).await;
    cluster.until_held(4, &[(&a, 4)]).await;
    let mark = cluster.server.audit_mark();
    let mut written = 0;
    // Work goes on all the time, in all namespaces, while replicas come and go.
    let mut work = async |prefix: &str| {
        cluster.seal_many(&places, prefix, 120).await;
        cluster.until_many(&places, prefix, 120, LONG).await;
        written += 120;
    };
    let b = cluster.replica("b", &flags).await;
    let (_, ()) = tokio::join!(async { cluster.until_held(4, &[(&a, 2), (&b, 2)]).await }, work("join"));
    work("two").await;
    b.until_gauge("bulla_shards_held", 2).await;
    assert_eq!((a.gauge("bulla_leader"), b.gauge("bulla_leader")), (Some(1), Some(0)), "the leader stays the leader");
    let before = turns(&cluster, mark, &places, &[&a, &b]).await;
    assert_one_at_a_time(&before);
    let now = |turns: &BTreeMap<String, Vec<String>>| -> BTreeMap<_, usize> {
        let mut counts = BTreeMap::new();
        turns.values().filter_map(|turns| turns.last().cloned()).for_each(|user| *counts.entry(user).or_default() += 1);
        counts
    };
    let serving = now(&before);
    println!("namespaces served after the second replica came: {serving:?}");
    assert_eq!(serving.len(), 2, "both work");

    a.signal(Signal::KILL);
    let (_, ()) = tokio::join!(async { cluster.until_held(4, &[(&b, 4)]).await }, work("one"));
    assert_eq!(b.gauge("bulla_leader"), Some(1));
    let after = turns(&cluster, mark, &places, &[&a, &b]).await;
    assert!(after.values().all(|turns| turns.last() == Some(&b.user)), "{after:?}");
    // a, then b where b has not been from the beginning; never a again.
    assert_one_at_a_time(&after);

    let c = cluster.replica("c", &flags).await;
    let (_, ()) = tokio::join!(async { cluster.until_held(4, &[(&b, 2), (&c, 2)]).await }, work("third"));
    work("end").await;
    let all = turns(&cluster, mark, &places, &[&a, &b, &c]).await;
    assert_one_at_a_time(&all);
    let made = |entry: &AuditEntry| entry.code == 201;
    let writes = cluster.writes(mark, &places, &[&a, &b, &c]).await;
    assert_eq!(writes.iter().filter(|entry| made(entry)).count(), written, "each Secret was made once");
    assert_eq!(writes.iter().filter(|entry| entry.verb != "create" && entry.code < 300).count(), 0, "none was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_divides_otherwise_waits_until_the_others_are_gone() {
    let cluster = Cluster::new().await;
    let places = cluster.places(6).await;
    let mut old = cluster.replica("old", &["--shards", "4"]).await;
    cluster.until_held(4, &[(&old, 4)]).await;
    let mark = cluster.server.audit_mark();
    let new = cluster.replica("new", &["--shards", "2"]).await;
    new.until_ready().await;
    cluster.seal_many(&places, "before", 60).await;
    cluster.until_many(&places, "before", 60, LONG).await;
    assert!(new.leash.log().contains("divides the namespaces otherwise"), "{}", new.leash.log_tail());
    assert_eq!(new.gauge("bulla_shards_held"), Some(0));
    old.signal(Signal::TERM);
    old.until_ended().await;
    let (_, ()) =
        tokio::join!(async { cluster.until_held(2, &[(&new, 2)]).await }, cluster.seal_many(&places, "after", 60));
    cluster.until_many(&places, "after", 60, LONG).await;
    assert_one_at_a_time(&turns(&cluster, mark, &places, &[&old, &new]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_namespaces_are_shared_too() {
    let cluster = Cluster::new().await;
    let places = cluster.places(6).await;
    let named = places.join(",");
    let flags = ["--shards", "3", "--watch-namespace", &named];
    let (a, b) = (cluster.replica("a", &flags).await, cluster.replica("b", &flags).await);
    let c = cluster.replica("c", &flags).await;
    cluster.until_held(3, &[(&a, 1), (&b, 1), (&c, 1)]).await;
    for replica in [&a, &b, &c] {
        // Also one in whose shard no named namespace is.
        replica.until_ready().await;
    }
    cluster.seal_many(&places, "s", 60).await;
    cluster.until_many(&places, "s", 60, LONG).await;
}
