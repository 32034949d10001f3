//! AWS in trouble: what is said, what stays, how often it is asked, and that it heals by itself.

use std::time::{Duration, Instant};

use bulla_crds::SecretStore;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::aws::signer;
use crate::canary::CANARY;
use crate::cloud::{ACCESS_KEY, Cloud, KEYS, login, spec, value};
use crate::support::proxy::{Call, Fault};
use crate::world::{QUIET, World, condition, data_of};

/// Long enough for a refresh that is due every second to have happened, or not.
const WHILE: Duration = Duration::from_secs(2);

/// An ExternalSecret of the data key `k` that is refreshed each second.
async fn lively(cloud: &Cloud, name: &str, key: &str) {
    let mut spec = spec("aws", &[("k", &cloud.key(key), "")]);
    spec["refreshInterval"] = json!("1s");
    cloud.world.external(name, spec).await;
}

async fn holds(world: &World<'_>, name: &str, value: &str) {
    assert_eq!(data_of(&world.secret(name).await.unwrap())["k"], value, "the last good Secret stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_is_said_to_be_and_asked_again_until_it_is_back() {
    let cloud = Cloud::new().await;
    cloud.put("a", &value("old")).await;
    cloud.store().await;
    lively(&cloud, "db", "a").await;
    cloud.world.until_data("db", &[("k", &value("old"))]).await;
    cloud.world.synced("db").await;
    cloud.proxy.fault("", None, Fault::Closed);
    let message = cloud.world.failed("db").await;
    assert!(message.contains(&cloud.key("a")) && message.contains("no answer from AWS"), "{message}");
    cloud.proxy.forget();
    tokio::time::sleep(WHILE).await;
    let calls = cloud.proxy.calls().len();
    assert!((1..=4).contains(&calls), "{calls} calls in 2 s: after 0.25 s at the earliest, then twice as long each");
    holds(&cloud.world, "db", &value("old")).await;
    assert!(condition(&cloud.world.object("db").await, "Stalled").is_none(), "it heals by itself");
    cloud.put("a", &value("new")).await;
    cloud.proxy.well();
    cloud.world.until_data("db", &[("k", &value("new"))]).await;
    cloud.world.synced("db").await;
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_holds_up_nobody_else() {
    let cloud = Cloud::new().await;
    cloud.put("slow", &value("slow")).await;
    cloud.put("fast", &value("fast")).await;
    let slow = cloud.key("slow");
    cloud.proxy.fault_where(None, Fault::Slow(Duration::from_secs(4)), move |call| call.body.contains(&slow));
    cloud.store().await;
    cloud.world.external("slow", spec("aws", &[("k", &cloud.key("slow"), "")])).await;
    let began = Instant::now();
    while cloud.proxy.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cloud.world.external("fast", spec("aws", &[("k", &cloud.key("fast"), "")])).await;
    cloud.world.until_data("fast", &[("k", &value("fast"))]).await;
    assert!(began.elapsed() < WHILE && cloud.world.secret("slow").await.is_none(), "{:?}", began.elapsed());
    cloud.world.until_data("slow", &[("k", &value("slow"))]).await;
    assert_eq!(cloud.proxy.names(), ["GetSecretValue"; 2], "nobody asked twice");
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_is_met_with_patience() {
    let cloud = Cloud::new().await;
    cloud.put("a", &value("a")).await;
    cloud.proxy.fault("", Some(2), Fault::throttling());
    cloud.store().await;
    cloud.world.external("db", spec("aws", &[("k", &cloud.key("a"), "")])).await;
    let message = cloud.world.failed("db").await;
    assert!(message.contains(&cloud.key("a")) && message.contains("ThrottlingException: Rate exceeded"), "{message}");
    cloud.world.until_data("db", &[("k", &value("a"))]).await;
    assert_eq!(cloud.proxy.calls().len(), 3);

    // One that says how long to wait, as a gateway does.
    cloud.proxy.forget();
    cloud.proxy.fault("", Some(1), Fault::Answer(429, vec!["Retry-After: 3".to_owned()], String::new()));
    cloud.put("a", &value("b")).await;
    cloud.world.force("db", "now").await;
    cloud.world.until("db", "throttled", |object| condition(object, "Ready").unwrap().status == false.into()).await;
    tokio::time::sleep(WHILE).await;
    assert_eq!(cloud.proxy.calls().len(), 1, "not before it may");
    holds(&cloud.world, "db", &value("a")).await;
    cloud.world.until_data("db", &[("k", &value("b"))]).await;
    assert_eq!(cloud.proxy.calls().len(), 2);
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_denied_does_not_harm_its_batch() {
    let mut cloud = Cloud::without_controller().await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        cloud.put(name, &value(name)).await;
        cloud.world.external(name, spec("aws", &[("k", &cloud.key(name), "")])).await;
    }
    let denied = cloud.key("c");
    let refusal = Fault::aws(400, "AccessDeniedException", "User: app is not authorized to perform: GetSecretValue");
    cloud.proxy.fault_where(None, refusal, move |call| call.body.contains(&denied));
    cloud.store().await;
    cloud.world.start();
    for name in names.into_iter().filter(|name| *name != "c") {
        cloud.world.until_data(name, &[("k", &value(name))]).await;
    }
    let message = cloud.world.failed("c").await;
    assert!(message.contains(&cloud.key("c")) && message.contains("is not authorized"), "{message}");
    assert!(cloud.world.secret("c").await.is_none());
    // One batch, and as that was refused, each by itself.
    assert_eq!(cloud.proxy.count("BatchGetSecretValue"), 1);
    assert_eq!(cloud.proxy.count("GetSecretValue"), 5);
    // A refusal costs money and does not go by itself: the next try is 5 s away.
    tokio::time::sleep(WHILE).await;
    assert_eq!(cloud.proxy.calls().len(), 6);
    cloud.proxy.well();
    cloud.world.until_data("c", &[("k", &value("c"))]).await;
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_deleted_at_the_source_follows_the_deletion_policy() {
    let cloud = Cloud::new().await;
    for name in ["going", "staying"] {
        cloud.put(name, &value(name)).await;
    }
    cloud.store().await;
    let (going, staying) = (cloud.key("going"), cloud.key("staying"));
    for policy in ["Retain", "Delete", "Merge"] {
        let mut spec = match policy {
            "Merge" => spec("aws", &[("k", &going, ""), ("stays", &staying, "")]),
            _ => spec("aws", &[("k", &going, "")]),
        };
        spec["target"] = json!({"deletionPolicy": policy});
        cloud.world.external(&policy.to_lowercase(), spec).await;
    }
    for name in ["retain", "delete", "merge"] {
        cloud.world.synced(name).await;
        holds(&cloud.world, name, &value("going")).await;
    }
    cloud.remove("going").await;
    for name in ["retain", "delete", "merge"] {
        cloud.world.force(name, "now").await;
    }
    cloud.world.until_data("merge", &[("stays", &value("staying"))]).await;
    let gone = |object: &bulla_crds::ExternalSecret| {
        condition(object, "Ready").and_then(|ready| ready.reason.clone()).as_deref() == Some("SecretDeleted")
    };
    cloud.world.until("delete", "deleted", gone).await;
    assert!(cloud.world.secret("delete").await.is_none());
    let failed = |object: &bulla_crds::ExternalSecret| condition(object, "Ready").unwrap().status == false.into();
    let object = cloud.world.until("retain", "failed", failed).await;
    let message = condition(&object, "Ready").unwrap().message.clone().unwrap_or_default();
    assert!(message.contains(&going), "{message}");
    holds(&cloud.world, "retain", &value("going")).await;
    // And it may come back.
    cloud.put("going", &value("again")).await;
    for name in ["retain", "delete", "merge"] {
        cloud.world.force(name, "again").await;
    }
    cloud.world.until_data("retain", &[("k", &value("again"))]).await;
    cloud.world.until_data("delete", &[("k", &value("again"))]).await;
    cloud.world.until_data("merge", &[("k", &value("again")), ("stays", &value("staying"))]).await;
    cloud.end().await;
}

fn signed_by(key: &'static str) -> impl Fn(&Call) -> bool + Send {
    move |call| signer(call) == key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_credentials_are_taken_up() {
    let cloud = Cloud::new().await;
    cloud.put("a", &value("a")).await;
    cloud.store().await;
    lively(&cloud, "db", "a").await;
    cloud.world.synced("db").await;
    let until_signed = async |key: &str| {
        let began = Instant::now();
        while !cloud.proxy.calls().iter().any(|call| signer(call) == key) {
            assert!(began.elapsed() < Duration::from_secs(8), "nothing is signed by {key}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until_signed(ACCESS_KEY).await;
    // While the old ones are good: nobody notices.
    cloud.rotate("AKIASECOND").await;
    until_signed("AKIASECOND").await;
    let ready = condition(&cloud.world.object("db").await, "Ready").cloned().unwrap();
    assert_eq!(ready.status, true.into());
    // The old ones end first.
    let refusal =
        Fault::aws(400, "UnrecognizedClientException", "The security token included in the request is invalid");
    cloud.proxy.fault_where(None, refusal, signed_by("AKIASECOND"));
    let message = cloud.world.failed("db").await;
    assert!(message.contains("UnrecognizedClientException") && message.contains(&cloud.key("a")), "{message}");
    holds(&cloud.world, "db", &value("a")).await;
    cloud.proxy.forget();
    tokio::time::sleep(WHILE).await;
    let calls = cloud.proxy.calls().len();
    assert!(calls <= 1, "{calls} calls with credentials that are no good");
    cloud.put("a", &value("b")).await;
    cloud.rotate("AKIATHIRD").await;
    let began = Instant::now();
    cloud.world.until_data("db", &[("k", &value("b"))]).await;
    // The store is looked at each 2 s in this test, and whoever waits for it is told.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_does_not_cut_off_a_call_that_is_under_way() {
    let cloud = Cloud::new().await;
    cloud.put("a", &value("a")).await;
    cloud.proxy.fault("GetSecretValue", None, Fault::Slow(Duration::from_secs(6)));
    cloud.store().await;
    cloud.world.external("db", spec("aws", &[("k", &cloud.key("a"), "")])).await;
    while cloud.proxy.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cloud.rotate("AKIASECOND").await;
    let object = cloud.world.until("db", "looked at", |object| condition(object, "Ready").is_some()).await;
    let ready = condition(&object, "Ready").unwrap();
    assert_eq!(ready.status, true.into(), "{:?}", ready.message);
    let calls = cloud.proxy.calls();
    assert_eq!(calls.iter().map(signer).collect::<Vec<_>>(), [ACCESS_KEY]);
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_store_goes_at_once_when_it_is_fixed() {
    let cloud = Cloud::new().await;
    let refusal = Fault::aws(400, "InvalidSignatureException", "The request signature we calculated does not match");
    cloud.proxy.fault_where(None, refusal, signed_by(ACCESS_KEY));
    cloud.store().await;
    let names = ["a", "b", "c"];
    for name in names {
        cloud.put(name, &value(name)).await;
        cloud.world.external(name, spec("aws", &[("k", &cloud.key(name), "")])).await;
        let message = cloud.world.failed(name).await;
        assert!(message.contains("InvalidSignatureException"), "{message}");
    }
    // Others keys, so another store.
    let other = json!({"id": "AKIAGOOD", "secret": format!("{CANARY}-good")});
    cloud.world.create::<Secret>(json!({"metadata": {"name": "good-keys"}, "stringData": other})).await;
    let mut provider = cloud.provider("SecretsManager");
    for field in ["accessKeyIDSecretRef", "secretAccessKeySecretRef"] {
        assert_eq!(provider["aws"]["auth"]["secretRef"][field]["name"], KEYS);
        provider["aws"]["auth"]["secretRef"][field]["name"] = json!("good-keys");
    }
    let began = Instant::now();
    cloud.world.patch::<SecretStore>("aws", json!({"spec": {"provider": provider}})).await;
    for name in names {
        cloud.world.until_data(name, &[("k", &value(name))]).await;
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}, which is before any of them is due", began.elapsed());
    cloud.end().await;
}

/// Five failures in a row shut the gate (`sync::pressure`), and up to three more calls may be under way then. It opens
/// for one call after 0.5 s at the earliest, then after 1, 2 and 4 s: three in the first five seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_objects_make_few_calls_to_a_provider_that_is_down_and_all_come_back() {
    let mut cloud = Cloud::without_controller().await;
    cloud.proxy.fault("", None, Fault::Closed);
    cloud.store().await;
    let names: Vec<_> = (0..50).map(|at| format!("es-{at}")).collect();
    for name in &names {
        cloud.put(name, &login(name)).await;
        cloud.world.external(name, spec("aws", &[("k", &cloud.key(name), "user")])).await;
    }
    let (mark, began) = (cloud.world.mark(), Instant::now());
    cloud.world.start();
    for name in &names {
        let message = cloud.world.failed(name).await;
        assert!(message.contains("does not answer") || message.contains("no answer from AWS"), "{message}");
    }
    tokio::time::sleep(Duration::from_secs(5).saturating_sub(began.elapsed())).await;
    let calls = cloud.proxy.calls().len();
    assert!((5..=5 + 3 + 3).contains(&calls), "{calls} calls");
    // A status is written when something new is known: that nobody answers, and what the answer to this one's call was.
    let writes = cloud.world.calls(mark).await.into_iter().filter(|call| call == "patch externalsecrets/status");
    let writes = writes.count();
    assert!((50..=100).contains(&writes), "{writes} writes for 50 objects that fail");
    cloud.proxy.well();
    let (outage, began) = (began.elapsed(), Instant::now());
    for name in &names {
        cloud.world.until_data(name, &[("k", &format!("{CANARY}-user-{name}"))]).await;
        cloud.world.synced(name).await;
    }
    // The gate's rests double, so what is left of one is at most twice the outage so far; then one of the objects looks
    // within 4 s, and its answer wakes the others.
    assert!(began.elapsed() < outage * 2 + Duration::from_secs(8), "{:?} after {outage:?}", began.elapsed());
    tokio::time::sleep(QUIET).await;
    cloud.end().await;
}

/// Values that do not make sense are not quoted in what is said about them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_makes_no_sense_is_not_repeated() {
    let cloud = Cloud::new().await;
    cloud.put("broken", &format!("{{\"user\": \"{CANARY}\", \"password\": ")).await;
    cloud.put("other", &login("x")).await;
    cloud.put("text", &value("%%% not base64")).await;
    cloud.store().await;
    let (broken, other, text) = (cloud.key("broken"), cloud.key("other"), cloud.key("text"));
    cloud.world.external("broken", spec("aws", &[("k", &broken, "nothing")])).await;
    cloud.world.external("absent", spec("aws", &[("k", &other, "no.such")])).await;
    cloud
        .world
        .external("template", {
            let mut spec = spec("aws", &[("k", &other, "")]);
            spec["target"] = json!({"template": {"data": {"k": "{{ .k | fromJson | fail }}"}}});
            spec
        })
        .await;
    cloud
        .world
        .external("encoded", {
            let mut spec = spec("aws", &[("k", &text, "")]);
            spec["data"][0]["remoteRef"]["decodingStrategy"] = json!("Base64");
            spec
        })
        .await;
    cloud
        .world
        .external(
            "extracted",
            json!({
                "secretStoreRef": {"name": "aws"}, "dataFrom": [{"extract": {"key": broken}}],
            }),
        )
        .await;
    cloud.world.external("good", spec("aws", &[("k", &other, "user")])).await;
    for name in ["broken", "absent", "template", "encoded", "extracted"] {
        let message = cloud.world.failed(name).await;
        assert!(!message.contains(CANARY) && !message.is_empty(), "{message}");
    }
    cloud.world.synced("good").await;
    tokio::time::sleep(QUIET).await;
    cloud.end().await;
}
