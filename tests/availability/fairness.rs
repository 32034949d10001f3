//! New objects come first, failing ones delay nobody, and no more is done at a time than was asked for.

use std::time::Duration;

use crate::front::{Fault, Front};
use crate::world::{Cluster, LONG};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_fail_delay_no_others() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let token = cluster.token("a").await;
    let front = Front::to(cluster.server.client_as(&token, "bulla-controller")).await;
    let replica = cluster.replica_by(&front.url(), "a", &["--concurrency", "4"]).await;
    cluster.works(&place, "first").await;
    // Some objects cannot be written, however often it is tried, and others not be opened; every write takes its time.
    let blocked = cluster.places(1).await.remove(0);
    let path_of_blocked = format!("/namespaces/{blocked}/secrets");
    let is_write_of_secret = |method: &str, path: &str| method == "POST" && path.contains("/secrets");
    front
        .fault(move |method, path| (method == "POST" && path.contains(&path_of_blocked)).then_some(Fault::Status(500)));
    front
        .fault(move |method, path| is_write_of_secret(method, path).then_some(Fault::Slow(Duration::from_millis(100))));
    for number in 0..60 {
        cluster.seal_for_others(&place, &format!("bad-{number}")).await;
    }
    cluster.seal_many(std::slice::from_ref(&blocked), "stuck", 60).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let tried = ["waiting", "queue_depth", "in_flight"]
        .map(|name| replica.gauge(&format!("bulla_{name}{{kind=\"SealedSecret\"}}")).unwrap());
    assert!(tried.iter().sum::<i64>() > 100, "{tried:?} of 120 are tried again");
    let mut longest = Duration::ZERO;
    for number in 0..10 {
        longest = longest.max(cluster.works(&place, &format!("new-{number}")).await);
    }
    println!("with 120 objects that fail, a new one took {longest:?} at most");
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    front.well();
    // In the end those that could not be written are.
    cluster.until_many(&[blocked], "stuck", 60, LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_written_at_a_time_than_was_asked_for() {
    let cluster = Cluster::new().await;
    let places = cluster.places(3).await;
    let token = cluster.token("a").await;
    let front = Front::to(cluster.server.client_as(&token, "bulla-controller")).await;
    let _replica = cluster.replica_by(&front.url(), "a", &["--concurrency", "4"]).await;
    cluster.works(&places[0], "first").await;
    front.fault(|method, _| (method != "GET").then_some(Fault::Slow(Duration::from_millis(50))));
    front.forget();
    cluster.seal_many(&places, "s", 120).await;
    cluster.until_many(&places, "s", 120, LONG).await;
    // Four for what is new, one for what is looked at again, and an event beside them. Leases have calls of their own.
    let most = front.most_at_once();
    assert!((4..=6).contains(&most), "{most} writes at once");
}
