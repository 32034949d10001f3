//! What a stranger can cost us.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bulla::seal::Scope;
use bulla::server::ServerConfig;
use serde_json::json;

use crate::client;
use crate::world::{World, rsa};

const PATHS: [&str; 2] = ["/v1/verify", "/v1/rotate"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_beyond_the_rate_is_told_when_to_come_back_on_both_paths() {
    let mut config = ServerConfig::default();
    // Slow enough that a busy machine does not earn a request meanwhile.
    (config.rate, config.burst) = (1, 3);
    let world = World::with(1, config).await;
    let body = world.object("db", &json!({})).to_string();
    let ask = |path: &str, from: &str| world.call("POST", path, &[("X-Forwarded-For", from)], body.as_bytes());
    for path in PATHS {
        let statuses: Vec<u16> = (0..12).map(|_| ask(path, "192.0.2.1").status).collect();
        assert_eq!(statuses[..4], [200; 4], "{path}: the burst and one more");
        assert!(statuses.contains(&429), "{path}: {statuses:?}");
        let refused = (0..20).map(|_| ask(path, "192.0.2.1")).find(|reply| reply.status == 429).unwrap();
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(refused.body.contains("Retry-After"), "{}", refused.body);
        // Another caller of the same proxy has a share of its own; what the client claims before it counts for nothing.
        assert_eq!(ask(path, "192.0.2.2").status, 200);
        let spoofed: Vec<u16> =
            (0..12).map(|claim| ask(path, &format!("198.51.100.{claim}, 192.0.2.2")).status).collect();
        assert!(spoofed.contains(&429), "{path}: {spoofed:?}");
    }
    world.stop().await;
}

/// Somebody who reaches the controller without the API server can claim to be anybody, but not without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_claims_to_be_many_meets_a_limit_too() {
    let mut config = ServerConfig::default();
    (config.rate, config.burst) = (1, 0);
    let world = World::with(1, config).await;
    let port = world.port;
    // Answers are padded: many at a time. Each claims an address of its own and asks once.
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let ask = move |claim| {
                let claim = format!("192.0.{thread}.{claim}");
                client::call(port, "POST", PATHS[0], &[("X-Forwarded-For", &claim)], b"{}").status
            };
            std::thread::spawn(move || (0..30).map(ask).collect::<Vec<u16>>())
        })
        .collect();
    let statuses =
        tokio::task::block_in_place(|| threads.into_iter().flat_map(|t| t.join().unwrap()).collect::<Vec<_>>());
    assert!(statuses.contains(&400) && statuses.contains(&429), "{statuses:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_bodies_are_refused_however_they_are_sent() {
    let world = World::new(1).await;
    let long = vec![b' '; (4 << 20) + 1];
    for path in PATHS {
        let reply = world.call("POST", path, &[], &long);
        assert_eq!(reply.status, 413, "{path}");
        assert!(reply.body.contains("4 MiB"), "{}", reply.body);
        // In pieces, without a length.
        let mut chunked =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
                .into_bytes();
        for chunk in long.chunks(1 << 16) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let reply = tokio::task::block_in_place(|| client::raw(world.port, &chunked)).unwrap();
        assert_eq!(reply.status, 413, "{path}");
        // Announced only: nobody waits for it.
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\nConnection: close\r\n\r\n");
        let reply = tokio::task::block_in_place(|| client::raw(world.port, head.as_bytes())).unwrap();
        assert_eq!(reply.status, 413, "{path}");
    }
    // As long as is allowed, and nothing in it.
    let padded = [world.object("db", &json!({})).to_string().as_bytes(), &vec![b' '; 3 << 20]].concat();
    assert_eq!(world.call("POST", PATHS[0], &[], &padded).status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_clients_are_given_up_and_hold_nobody_up() {
    let mut config = ServerConfig::default();
    config.rate = 0;
    config.read_timeout = Duration::from_millis(1500);
    let world = World::with(1, config).await;
    let slow = |bytes: &[u8], drip: u8| {
        let mut stream = client::connect(world.port);
        stream.write_all(bytes).unwrap();
        let mut dripping = stream.try_clone().unwrap();
        let dripper = std::thread::spawn(move || {
            while dripping.write_all(&[drip]).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        (stream, dripper)
    };
    let began = Instant::now();
    let head = b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n";
    let (mut body, one) = slow(head, b' ');
    let (mut header, other) = slow(b"POST /v1/verify HTTP/1.1\r\nX: ", b'x');
    // Meanwhile others are served.
    assert_eq!(world.post("/v1/verify", &world.object("db", &json!({}))).status, 200);
    tokio::task::block_in_place(|| {
        assert_eq!(client::read(&mut body).expect("an answer").status, 408);
        assert!(client::read(&mut header).is_none_or(|reply| reply.status == 408));
        drop((body, header));
        one.join().unwrap();
        other.join().unwrap();
    });
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_who_hold_all_connections_keep_nobody_out() {
    let world = World::new(1).await;
    // More than there are places for one address: nothing said, a piece of a head, a piece of a body.
    let mut strangers: Vec<_> = (0..150).map(|_| client::connect(world.port)).collect();
    for (index, stranger) in strangers.iter_mut().enumerate() {
        let body = "POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
        // The first ones have lost their places by now.
        drop(stranger.write_all(["", "GET / HT", body][index % 3].as_bytes()));
    }
    let object = world.object("db", &json!({"a": world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a")}));
    for _ in 0..5 {
        assert_eq!((world.get("/healthz").status, world.post("/v1/verify", &object).status), (200, 200));
    }
    let probe = tokio::task::block_in_place(|| client::call(world.metrics_port, "GET", "/healthz", &[], b""));
    assert_eq!(probe.status, 200);
    drop(strangers);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_bodies_that_stall_are_told_busy_and_short_ones_are_served() {
    let world = World::new(1).await;
    let object = world.object("db", &json!({"a": world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a")}));
    let port = world.port;
    // Each takes room for 4 MiB, and there is room for eight.
    let stalled: Vec<_> = (0..12)
        .map(|_| {
            std::thread::spawn(move || {
                let mut stream = client::connect(port);
                let head =
                    "POST /v1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4000000\r\n\r\n";
                drop(stream.write_all(&[head.as_bytes(), &vec![b' '; 3 << 20]].concat()));
                (client::read(&mut stream).map(|reply| reply.status), Instant::now())
            })
        })
        .collect();
    tokio::task::block_in_place(|| std::thread::sleep(Duration::from_secs(3)));
    assert_eq!(world.post("/v1/verify", &object).status, 200);
    let answers = tokio::task::block_in_place(|| stalled.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>());
    let count = |status| answers.iter().filter(|(answer, _)| *answer == Some(status)).count();
    // Two that find no room at the same moment both give theirs back.
    assert!(count(503) >= 4 && count(408) >= 1 && count(503) + count(408) == 12, "{answers:?}");
    let last = |status| answers.iter().filter(|(answer, _)| *answer == Some(status)).map(|(_, at)| *at).max();
    assert!(last(503) < last(408), "nobody waits for those who stall");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_all_answered_and_a_stop_in_between_is_orderly() {
    let world = World::new(2).await;
    let values: serde_json::Map<_, _> = (0..10)
        .map(|n| (n.to_string(), json!(world.sealed(&rsa(n % 2).recipient(), Scope::Strict, "db", &n.to_string()))))
        .collect();
    let body = world.object("db", &values.into()).to_string();
    let port = world.port;
    let threads: Vec<_> = (0..24)
        .map(|n| {
            let body = body.clone();
            std::thread::spawn(move || client::call(port, "POST", PATHS[n % 2], &[], body.as_bytes()).status)
        })
        .collect();
    let statuses = tokio::task::block_in_place(|| threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>());
    assert_eq!(statuses, [200; 24]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sealing_again_can_be_switched_off() {
    let mut config = ServerConfig::default();
    config.rotate = false;
    let world = World::with(1, config).await;
    let object = world.object("db", &json!({"a": world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a")}));
    let reply = world.post("/v1/rotate", &object);
    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("--disable-rotate-api"), "{}", reply.body);
    assert_eq!(world.post("/v1/verify", &object).status, 200);
    world.stop().await;
}
