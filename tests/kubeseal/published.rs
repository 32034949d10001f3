//! Health, public keys and metrics: what is where, and for which methods.

use bulla::server::ServerConfig;
use serde_json::json;

use crate::client;
use crate::world::{World, rsa};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_path_has_its_methods() {
    let world = World::new(1).await;
    let status = |method: &str, path: &str| world.call(method, path, &[], b"").status;
    for path in ["/healthz", "/readyz", "/v1/cert.pem", "/v1/keys"] {
        let expected = [("GET", 200), ("HEAD", 200), ("POST", 405), ("PUT", 405), ("DELETE", 405)];
        assert_eq!(expected.map(|(method, _)| (method, status(method, path))), expected, "{path}");
    }
    for path in ["/v1/verify", "/v1/rotate"] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let reply = world.call(method, path, &[], b"");
            assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method} {path}");
        }
    }
    for path in ["/", "/v1", "/v1/verify/", "/v1/../healthz", "/metrics", "/debug/pprof/"] {
        assert_eq!(status("GET", path), 404, "{path}");
    }
    assert_eq!(world.get("/healthz").body, "ok\n");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_newest_certificate_and_all_public_keys_are_served() {
    let world = World::new(2).await;
    let reply = world.get("/v1/cert.pem");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-pem-file")));
    assert_eq!(reply.body, rsa(1).certificate);
    let head = world.call("HEAD", "/v1/cert.pem", &[], b"");
    assert_eq!(
        (head.status, head.body.as_str(), head.header("content-type")),
        (200, "", Some("application/x-pem-file"))
    );
    // Native is the default beside them: the controller makes such a key at its start.
    world.until("a native key", || world.get("/v1/keys").body.contains("hybrid"));
    let keys = world.get("/v1/keys");
    assert_eq!(keys.header("content-type"), Some("application/json"));
    let kinds: Vec<_> = keys.json()["keys"].as_array().unwrap().iter().map(|key| key["type"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == json!("rsa")).count(), 2);
    assert!(!keys.body.contains("PRIVATE") && !keys.body.contains("AGE-SECRET"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_certificate_the_answer_says_how_to_get_one() {
    let world = World::new(0).await;
    let reply = world.get("/v1/cert.pem");
    assert_eq!((reply.status, reply.header("retry-after")), (503, None));
    assert!(reply.body.contains("has no certificate") && reply.body.contains("docs/kubeseal.md"), "{}", reply.body);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn metrics_have_a_listener_of_their_own_and_upstreams_names() {
    let world = World::with(1, ServerConfig::default()).await;
    let on_metrics =
        |path: &str| tokio::task::block_in_place(|| client::call(world.metrics_port, "GET", path, &[], b""));
    world.get("/v1/cert.pem");
    for path in ["/a", "/b", "/c?canary=1"] {
        world.get(path);
    }
    world.post("/v1/verify", &json!({}));
    let text = on_metrics("/metrics").body;
    for series in [
        r#"sealed_secrets_controller_http_requests_total{path="/v1/cert.pem",code="200",method="get"} 1"#,
        r#"sealed_secrets_controller_http_requests_total{path="other",code="404",method="get"} 3"#,
        r#"sealed_secrets_controller_http_requests_total{path="/v1/verify",code="400",method="post"} 1"#,
        r#"sealed_secrets_controller_http_request_duration_seconds_count{path="/v1/verify",method="post"} 1"#,
        r#"sealed_secrets_controller_http_request_duration_seconds_bucket{le="0.005",path="/v1/cert.pem",method="get"}"#,
        "sealed_secrets_controller_unseal_requests_total",
    ] {
        assert!(text.contains(series), "{series} is not in\n{text}");
    }
    assert!(!text.contains("canary") && !text.contains(r#"path="/a""#));
    assert_eq!(on_metrics("/healthz").status, 200, "a probe that a flood of requests does not reach");
    assert_eq!(on_metrics("/v1/keys").status, 404);
    world.stop().await;
}
