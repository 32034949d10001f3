//! Bodies and requests that nobody means well with: always an answer or a closed connection, never the end of it.

use bulla::seal::Scope;
use serde_json::json;

use crate::client;
use crate::support::dice::Dice;
use crate::world::{CANARY, World, documents, rsa};

fn mutated(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len());
        match dice.below(6) {
            0 if !input.is_empty() => input[at] ^= 1 << dice.below(8),
            1 => input.truncate(at),
            2 => input.insert(at, b"\"{}[]:,-&*!|>%@\n\0\xff"[dice.below(18)]),
            3 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len());
                let piece: Vec<u8> = other[from..].iter().take(dice.below(200)).copied().collect();
                input.splice(at..at, piece);
            }
            4 => drop(input.drain(at..(at + dice.below(40)).min(input.len()))),
            _ => input.extend_from_slice(&input.clone()[..at.min(500)]),
        }
    }
    input
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_body_is_answered() {
    let world = World::new(1).await;
    let object = world.object("db", &json!({"a": world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a")}));
    let mut template = object.clone();
    template["spec"]["template"] = json!({"data": {"x": "{{ .a }}"}, "metadata": {"annotations": {"a": "b"}}});
    let mut legacy = object.clone();
    legacy["spec"] = json!({"data": "AgA=", "encryptedData": null});
    let seeds: Vec<Vec<u8>> = [
        object.to_string(),
        template.to_string(),
        legacy.to_string(),
        documents(std::slice::from_ref(&template)),
        documents(&[object.clone(), legacy.clone()]),
        "a: &a [*a, *a]".to_owned(),
        "<<: *x".to_owned(),
        "!!binary AAAA".to_owned(),
        "{".repeat(2000),
        "[".repeat(2000),
        "- ".repeat(2000),
        "\u{feff}{}".to_owned(),
        "? a\n: b\n".to_owned(),
        r#"{"apiVersion":"bitnami.com/v1alpha1","kind":"SealedSecret","metadata":{},"spec":{"encryptedData":{"":""}}}"#
            .to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    let mut dice = Dice(0x5eed);
    let bodies: Vec<Vec<u8>> = seeds.iter().cloned().chain((0..250).map(|_| mutated(&mut dice, &seeds))).collect();
    let port = world.port;
    // Answers are padded: several at a time.
    let threads: Vec<_> = bodies
        .chunks(bodies.len().div_ceil(8))
        .map(|bodies| {
            let bodies = bodies.to_vec();
            std::thread::spawn(move || {
                for (index, body) in bodies.iter().enumerate() {
                    let path = ["/v1/verify", "/v1/rotate"][index % 2];
                    let reply = client::call(port, "POST", path, &[], body);
                    let text = String::from_utf8_lossy(body);
                    assert!([200, 400, 409, 413, 422].contains(&reply.status), "{} {text}", reply.status);
                    assert!(!reply.body.contains(CANARY));
                }
            })
        })
        .collect();
    tokio::task::block_in_place(|| threads.into_iter().for_each(|thread| thread.join().unwrap()));
    assert_eq!(world.post("/v1/verify", &object).status, 200, "and it goes on");
    assert!(!crate::support::logs::so_far().contains("panicked"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_request_is_answered_or_closed() {
    let world = World::new(1).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let requests: [&[u8]; 9] = [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for request in requests {
        tokio::task::block_in_place(|| {
            let mut stream = client::connect(world.port);
            drop(std::io::Write::write_all(&mut stream, request));
            // Nothing more is coming.
            drop(stream.shutdown(std::net::Shutdown::Write));
            if let Some(reply) = client::read(&mut stream) {
                assert!((400..500).contains(&reply.status), "{reply:?}");
            }
        });
    }
    assert_eq!(world.get("/healthz").status, 200);
    world.stop().await;
}
