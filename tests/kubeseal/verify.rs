//! Verify: one bit, and only that.

use bulla::seal::{Binding, Place, Scope, seal};
use bulla::secret::Plaintext;
use serde_json::json;

use crate::world::{World, documents, rsa};

const VERIFY: &str = "/v1/verify";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn json_and_yaml_are_read_and_several_documents_refused() {
    let world = World::new(1).await;
    let object = world.object("db", &json!({"a": world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a")}));
    let yaml = documents(std::slice::from_ref(&object));
    for body in [object.to_string(), yaml.clone()] {
        let reply = world.call("POST", VERIFY, &[], body.as_bytes());
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    }
    for body in [documents(&[object.clone(), object.clone()]), format!("{object}{object}"), "[]".to_owned()] {
        for path in [VERIFY, "/v1/rotate"] {
            let reply = world.call("POST", path, &[], body.as_bytes());
            assert_eq!((reply.status, reply.header("content-type")), (400, Some("text/plain; charset=utf-8")));
            assert!(reply.body.contains("one SealedSecret"), "{}", reply.body);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_whole_secret_form_is_verified_too() {
    let world = World::new(1).await;
    let whole = json!({"data": {"a": "MQ=="}}).to_string();
    let binding = Binding::new(
        Scope::Strict,
        Place { namespace: &world.namespace, name: "old", key: "" },
        "2020-01-01".parse().unwrap(),
    );
    let value = seal(&[rsa(0).recipient()], &Plaintext::copy_of(whole.as_bytes()), &binding).unwrap();
    let mut object = world.object("old", &json!({}));
    object["spec"]["data"] = json!(value);
    assert_eq!(world.post(VERIFY, &object).status, 200);
    object["metadata"]["name"] = json!("other");
    assert_eq!(world.post(VERIFY, &object).status, 409);
    object["metadata"]["name"] = json!("old");
    object["spec"]["encryptedData"] = json!({"a": world.sealed(&rsa(0).recipient(), Scope::Strict, "old", "a")});
    assert_eq!(world.post(VERIFY, &object).status, 409, "both forms at once never open");
    world.stop().await;
}

/// Namespace and name are joined by a slash in the label that binds a value: a name with a slash would be another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn names_that_kubernetes_does_not_allow_are_refused() {
    let world = World::new(1).await;
    let value = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a");
    let mut object = world.object("db", &json!({"a": value}));
    object["metadata"] = json!({
        "namespace": format!("{}/db", world.namespace),
        "annotations": {"sealedsecrets.bitnami.com/namespace-wide": "true"},
    });
    for path in [VERIFY, "/v1/rotate"] {
        assert_eq!(world.post(path, &object).status, 400);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refusals_read_the_same_in_the_words_of_kubernetes() {
    let world = World::new(1).await;
    let object = world.object("db", &json!({"a": "AgA="})).to_string();
    for accept in ["application/json, */*", "application/x-pem-file, */*"] {
        let reply = world.call("POST", "/v1/rotate", &[("Accept", accept)], object.as_bytes());
        let status = reply.json();
        assert_eq!((reply.status, &status["kind"], &status["code"]), (422, &json!("Status"), &json!(422)));
        assert!(status["message"].as_str().unwrap().starts_with("the SealedSecret was not sealed again"));
    }
    world.stop().await;
}
