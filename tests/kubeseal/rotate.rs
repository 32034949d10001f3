//! What upstream's rotate got wrong: the scope, the template, the object's own metadata, values that were fresh.

use bulla::seal::{Identity, Scope, inspect};
use serde_json::{Value, json};

use crate::world::{CANARY, World, add_native, rsa};

const ROTATE: &str = "/v1/rotate";

fn values(object: &Value) -> &Value {
    &object["spec"]["encryptedData"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_values_only_the_stale_one_changes() {
    let world = World::new(2).await;
    let value = |index: usize, key: &str| world.sealed(&rsa(index).recipient(), Scope::Strict, "db", key);
    let before = world.object("db", &json!({"z": value(1, "z"), "stale": value(0, "stale"), "a": value(1, "a")}));
    let reply = world.post(ROTATE, &before);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let after = reply.json();
    assert_ne!(values(&before)["stale"], values(&after)["stale"]);
    let mut expected = before.clone();
    expected["spec"]["encryptedData"]["stale"] = values(&after)["stale"].clone();
    assert_eq!(reply.body, format!("{expected}\n"), "all else as it was, in the same order");
    assert_eq!(world.post(ROTATE, &after).json(), after, "a second time there is nothing to do");
    assert_eq!(world.post("/v1/verify", &after).status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn native_values_go_to_the_newest_native_key_and_keep_their_binding() {
    let world = World::new(1).await;
    let [old, new] = [(); 2].map(|()| Identity::generate_x25519().unwrap());
    add_native(&world, "old", &old, "opening").await;
    add_native(&world, "new", &new, "active").await;
    let native = world.sealed(old.recipient(), Scope::Strict, "db", "native");
    let rsa = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "rsa");
    let before = world.object("db", &json!({"native": native, "rsa": rsa}));
    let after = world.post(ROTATE, &before).json();
    assert_eq!(values(&after)["rsa"], values(&before)["rsa"], "its certificate is the newest");
    let binding = |object: &Value| inspect(values(object)["native"].as_str().unwrap()).unwrap().binding.unwrap();
    let (before, after) = (binding(&before), binding(&after));
    assert_eq!(after.keys, [new.key_id()]);
    assert_eq!(
        (after.scope, after.namespace, after.name, after.key),
        (before.scope, before.namespace, before.name, before.key)
    );
    assert!(after.sealed > before.sealed);
    world.stop().await;
}

/// CVE-2026-22728: the scope is the word of the object's own annotations. Those of the template, which say what the
/// Secret is to look like, once widened what was sealed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scope_smuggled_in_the_template_does_not_widen_the_value() {
    let world = World::new(2).await;
    let old = rsa(0).recipient();
    let mut object = world.object("db", &json!({"password": world.sealed(&old, Scope::Strict, "db", "password")}));
    object["spec"]["template"] = json!({"metadata": {"annotations": {
        "sealedsecrets.bitnami.com/cluster-wide": "true", "sealedsecrets.bitnami.com/namespace-wide": "true",
    }}});
    let after = world.post(ROTATE, &object).json();
    assert_ne!(values(&after), values(&object));
    assert_eq!(after["spec"]["template"], object["spec"]["template"], "kept, and without effect");
    assert_eq!(after["metadata"], object["metadata"]);
    // The new value opens where the old one did and nowhere else, whatever the object there claims.
    assert_eq!(world.post("/v1/verify", &after).status, 200);
    for annotation in ["cluster-wide", "namespace-wide"] {
        let mut elsewhere = world.object("attacker", values(&after));
        elsewhere["metadata"]["annotations"] = json!({format!("sealedsecrets.bitnami.com/{annotation}"): "true"});
        assert_eq!(world.post("/v1/verify", &elsewhere).status, 409, "{annotation}");
        assert_eq!(world.post(ROTATE, &elsewhere).status, 422, "{annotation}");
    }
    // Nor does a lie in the object's own annotations: the old value does not open under it.
    let mut lie = object.clone();
    lie["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
    assert_eq!(world.post(ROTATE, &lie).status, 422);
    // A wider scope that is the sealer's own stays.
    let mut wide = world.object("any", &json!({"a": world.sealed(&old, Scope::ClusterWide, "any", "a")}));
    wide["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
    let mut after = world.post(ROTATE, &wide).json();
    after["metadata"]["name"] = json!("other");
    assert_eq!(world.post("/v1/verify", &after).status, 200);
    world.stop().await;
}

/// Templates are neither rendered (each rendering told a stranger a bit of a value) nor lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn templates_are_never_rendered_and_come_back_as_they_were() {
    let world = World::new(2).await;
    let value = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "password");
    let asked = [
        r#"{{ if eq .password "canary-7f3a9e" }}{{ fail "yes" }}{{ end }}"#,
        r#"{{ if ne .password "canary-7f3a9e" }}{{ fail "no" }}{{ end }}"#,
        "{{ .password | b64enc | fail }}",
        "{{ this does not parse",
    ];
    for template in asked {
        let mut object = world.object("db", &json!({"password": value}));
        object["spec"]["template"] = json!({"data": {"oracle": template}, "metadata": {"creationTimestamp": null}});
        assert_eq!(world.post("/v1/verify", &object).status, 200, "{template}");
        let reply = world.post(ROTATE, &object);
        assert_eq!(reply.status, 200, "{template}");
        let after = reply.json();
        assert_eq!(after["spec"]["template"], object["spec"]["template"]);
        assert_eq!(values(&after).as_object().unwrap().len(), 1, "nothing rendered was sealed as a value");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_from_the_cluster_comes_back_fit_for_git() {
    let world = World::new(2).await;
    let value = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "password");
    let mut object = world.object("db", &json!({"password": value}));
    object["metadata"]["labels"] = json!({"team": "payments"});
    object["metadata"]["annotations"] = json!({"note": "n"});
    world.apply(&object).await;
    world.secret("db").await;
    let api: kube::Api<kube::core::DynamicObject> = kube::Api::namespaced_with(
        world.client.clone(),
        &world.namespace,
        &kube::core::ApiResource::erase::<bulla_crds::SealedSecret>(&()),
    );
    let live = serde_json::to_value(api.get("db").await.unwrap()).unwrap();
    assert!(live["metadata"]["uid"].is_string());
    let after = world.post(ROTATE, &live).json();
    assert_eq!(after["metadata"], object["metadata"]);
    assert!(after.get("status").is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_sealed_again_is_refused_as_a_whole_and_alike() {
    let world = World::new(2).await;
    let person = Identity::generate_x25519().unwrap();
    let good = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "good");
    let bad = [
        world.sealed(&rsa(2).recipient(), Scope::Strict, "db", "bad"),
        world.sealed(&rsa(0).recipient(), Scope::Strict, "other", "bad"),
        world.sealed(&rsa(0).recipient(), Scope::ClusterWide, "db", "bad"),
        world.sealed(person.recipient(), Scope::Strict, "db", "bad"),
        "rubbish".to_owned(),
        String::new(),
    ];
    let mut replies = Vec::new();
    for value in bad {
        for values in [json!({"bad": value, "good": good}), json!({"good": good, "bad": value}), json!({"bad": value})]
        {
            let reply = world.post(ROTATE, &world.object("db", &values));
            replies.push((reply.status, reply.header("content-type").map(str::to_owned), reply.body.clone()));
            let verified = world.post("/v1/verify", &world.object("db", &values));
            assert_eq!((verified.status, verified.body.as_str()), (409, ""));
        }
    }
    assert_eq!(replies[0].0, 422);
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    assert!(!replies[0].2.contains("bad") && !replies[0].2.contains(CANARY));

    let mut legacy = world.object("db", &json!({}));
    legacy["spec"]["data"] = json!(good);
    let reply = world.post(ROTATE, &legacy);
    assert_eq!(reply.status, 422);
    assert!(reply.body.contains("deprecated") && reply.body.contains("afresh"), "{}", reply.body);
    world.stop().await;
}
