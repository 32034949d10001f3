//! One replica works, another waits: what happens when the first one dies, leaves, sleeps or is cut off.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use rustix::process::Signal;

use crate::support::audit::AuditEntry;
use crate::support::wire::Wire;
use crate::world::{Cluster, LONG, Replica, assert_written_once};

/// The first Secret that `replica` made after `since`, and how long after.
fn first_write(writes: &[AuditEntry], replica: &Replica, since: Timestamp) -> Duration {
    let at = |entry: &AuditEntry| entry.at.parse::<Timestamp>().unwrap();
    let mut theirs = writes.iter().filter(|entry| entry.user == replica.user && entry.code == 201);
    let first = theirs.find(|entry| at(entry) >= since).expect("the other replica writes");
    Duration::try_from(at(first).duration_since(since)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_in_the_middle_of_2000_syncs_loses_nothing_and_nothing_is_written_twice() {
    const COUNT: usize = 2000;
    let cluster = Cluster::new().await;
    let places = cluster.places(8).await;
    let (leader, standby) = cluster.pair(&[]).await;
    let mark = cluster.server.audit_mark();
    let creating = cluster.seal_many(&places, "s", COUNT);
    let killing = async {
        let made = |entry: &AuditEntry| entry.user == leader.user && entry.is("create", "secrets") && entry.code == 201;
        let began = Instant::now();
        loop {
            let count = cluster.server.audit_since(mark).into_iter().filter(made).count();
            if count >= COUNT / 4 {
                leader.signal(Signal::KILL);
                return (count, Timestamp::now());
            }
            assert!(began.elapsed() < LONG, "only {count} Secrets; {}", leader.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ((), (before, killed)) = tokio::join!(creating, killing);
    cluster.until_many(&places, "s", COUNT, LONG).await;
    let writes = cluster.writes(mark, &places, &[&leader, &standby]).await;
    assert_written_once(&writes, COUNT);
    let by_leader = writes.iter().filter(|entry| entry.user == leader.user && entry.code == 201).count();
    assert!(by_leader < COUNT, "it was killed too late");
    let took = first_write(&writes, &standby, killed);
    println!("killed after {before} Secrets; the other one wrote its first {took:?} later");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(standby.gauge("bulla_leader"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let cluster = Cluster::new().await;
    let places = cluster.places(2).await;
    let (mut leader, standby) = cluster.pair(&["--concurrency", "16"]).await;
    assert_eq!((leader.gauge("bulla_leader"), leader.gauge("bulla_shards_held")), (Some(1), Some(1)));
    assert_eq!((standby.gauge("bulla_leader"), standby.gauge("bulla_shards_held")), (Some(0), Some(0)));
    let mark = cluster.server.audit_mark();
    let creating = cluster.seal_many(&places, "s", 300);
    let stopping = async {
        cluster.until_value(&places[0], "s-0", "s:0").await;
        let told = Timestamp::now();
        leader.signal(Signal::TERM);
        let began = Instant::now();
        cluster.until_held(1, &[(&standby, 1)]).await;
        (told, began.elapsed())
    };
    let ((), (told, handed_over)) = tokio::join!(creating, stopping);
    cluster.seal(&places[0], "after", "after").await;
    cluster.until_value(&places[0], "after", "after").await;
    cluster.until_many(&places, "s", 300, LONG).await;
    assert_eq!(leader.until_ended().await, Some(0), "{}", leader.leash.log_tail());
    let writes = cluster.writes(mark, &places, &[&leader, &standby]).await;
    assert_written_once(&writes, 301);
    let took = first_write(&writes, &standby, told);
    println!(
        "told to stop; the other one had the Lease {handed_over:?} later and wrote its first Secret after {took:?}"
    );
    assert!(handed_over < Duration::from_secs(3), "{handed_over:?}");
    // With hundreds of objects to list and to open, and their creation going on, on a machine that may be busy.
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_slept_through_its_lease_writes_nothing_when_it_wakes_up() {
    let cluster = Cluster::new().await;
    let places = cluster.places(2).await;
    let (leader, standby) = cluster.pair(&[]).await;
    cluster.seal_many(&places, "s", 20).await;
    cluster.until_many(&places, "s", 20, LONG).await;
    leader.signal(Signal::STOP);
    // What it will find in its watches when it wakes up: things to make, to change and to repair.
    cluster.seal_many(&places, "asleep", 40).await;
    for number in 0..10 {
        cluster.reseal(&places[number % 2], &format!("s-{number}"), "changed").await;
    }
    cluster.until_many(&places, "asleep", 40, LONG).await;
    for number in 0..10 {
        cluster.until_value(&places[number % 2], &format!("s-{number}"), "changed").await;
    }
    cluster.until_held(1, &[(&standby, 1)]).await;
    let mark = cluster.server.audit_mark();
    leader.signal(Signal::CONT);
    leader.until_gauge("bulla_leader", 0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tried = cluster.server.audit_since(mark);
    let tried =
        tried.iter().filter(|entry| entry.user == leader.user && entry.is_write() && entry.resource != "leases");
    assert_eq!(tried.count(), 0, "{}", leader.leash.log());
    // It is none the worse for it: ready, waiting, and of use when the other one goes.
    leader.until_ready().await;
    standby.signal(Signal::KILL);
    cluster.works(&places[0], "again").await;
    assert_eq!(leader.gauge("bulla_leader"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_stops_before_the_other_one_begins() {
    const COUNT: usize = 600;
    let cluster = Cluster::new().await;
    let places = cluster.places(4).await;
    let wire = Wire::to(cluster.address());
    let leader = cluster.replica_by(&wire.url(), "a", &[]).await;
    cluster.until_held(1, &[(&leader, 1)]).await;
    let standby = cluster.replica("b", &[]).await;
    standby.until_ready().await;
    let mark = cluster.server.audit_mark();
    let creating = cluster.seal_many(&places, "s", COUNT);
    let cutting = async {
        cluster.until_value(&places[0], "s-100", "s:100").await;
        wire.silence();
        let silenced = Instant::now();
        let (stopped, began) =
            tokio::join!(leader.until_gauge("bulla_leader", 0), standby.until_gauge("bulla_leader", 1));
        assert!(stopped < began, "both worked at the same time for {:?}", stopped - began);
        let (stopped, began) = (stopped - silenced, began - silenced);
        println!("cut off; it stopped {stopped:?} later, the other one began after {began:?}");
        assert!(stopped < Duration::from_secs(9) && began < Duration::from_secs(15));
    };
    tokio::join!(creating, cutting);
    cluster.until_many(&places, "s", COUNT, LONG).await;
    // What it had sent into the silent wire arrives now, long after it stopped.
    wire.mend();
    cluster.works(&places[0], "after").await;
    assert_written_once(&cluster.writes(mark, &places, &[&leader, &standby]).await, COUNT + 1);
    leader.until_ready().await;
    assert_eq!((leader.gauge("bulla_leader"), standby.gauge("bulla_leader")), (Some(0), Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_finds_its_own_name_in_the_lease_goes_on_without_waiting() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let first = cluster.replica("a", &[]).await;
    cluster.works(&place, "before").await;
    first.signal(Signal::KILL);
    let killed = Instant::now();
    let second = cluster.replica("a", &[]).await;
    cluster.works(&place, "after").await;
    let took = killed.elapsed();
    println!("started again under its own name; it worked after {took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}: it waited for itself");
    assert_eq!(second.gauge("bulla_leader"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_deleted_is_not_served_by_two() {
    let cluster = Cluster::new().await;
    let places = cluster.places(2).await;
    let (leader, standby) = cluster.pair(&[]).await;
    cluster.works(&places[0], "before").await;
    let mark = cluster.server.audit_mark();
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    leases.delete("bulla-controller-0", &DeleteParams::default()).await.unwrap();
    cluster.seal_many(&places, "s", 100).await;
    cluster.until_many(&places, "s", 100, LONG).await;
    let writes = cluster.writes(mark, &places, &[&leader, &standby]).await;
    assert_written_once(&writes, 100);
    // The holder heard of it at once and was the first to be allowed to take it again.
    assert!(writes.iter().all(|entry| entry.user == leader.user), "the other one began too early");
    let made_anew = cluster.lease(0).await.expect("the Lease was made again");
    assert_eq!(made_anew.spec.unwrap().holder_identity.as_deref(), Some("a"));
    assert!(leader.leash.log().contains("lost the Lease"));
}
