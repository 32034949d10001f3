//! Parameter Store.

use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag};
use bulla::providers::Cause;
use bulla::providers::aws::{Service, Settings};
use serde_json::json;

use super::{Bed, ask, connect, error, find, found, metadata, ok, value, versioned};
use crate::support::proxy::Fault;

const SERVICE: Service = Service::ParameterStore;

async fn put(bed: &Bed, name: &str, text: &str, tags: &[(&str, &str)]) {
    let call = bed.parameters().put_parameter().name(name).value(text).r#type(ParameterType::SecureString);
    call.overwrite(true).send().await.unwrap();
    for (key, value) in tags {
        let tag = Tag::builder().key(*key).value(*value).build().unwrap();
        let kind = ResourceTypeForTagging::Parameter;
        let call = bed.parameters().add_tags_to_resource().resource_type(kind).resource_id(name).tags(tag);
        call.send().await.unwrap();
    }
}

async fn put_many(bed: &Bed, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|at| format!("/many/{at:03}")).collect();
    for name in &names {
        put(bed, name, &format!("value of {name}"), &[]).await;
    }
    names
}

#[tokio::test]
async fn many_are_read_together() {
    let bed = Bed::new("eu-west-1");
    let names = put_many(&bed, 25).await;
    let store = bed.store(SERVICE).await;
    assert_eq!(store.batch_size(), 10);
    let answers = ask(&store, names.iter().map(|name| value(name)).collect()).await;
    for (name, answer) in names.iter().zip(&answers) {
        assert_eq!(*answer, Ok(format!("value of {name}")));
    }
    assert_eq!(bed.proxy.names(), ["GetParameters"; 3]);
    bed.proxy.forget();
    assert_eq!(ask(&store, vec![value("/many/007")]).await, [ok("value of /many/007")]);
    assert_eq!(bed.proxy.names(), ["GetParameter"]);
}

#[tokio::test]
async fn versions_arns_and_what_is_missing() {
    let bed = Bed::new("eu-west-2");
    put(&bed, "/app/db", "old", &[]).await;
    put(&bed, "/app/db", "new", &[]).await;
    put(&bed, "plain", "p", &[]).await;
    let label = bed.parameters().label_parameter_version().name("/app/db").parameter_version(1).labels("before");
    label.send().await.unwrap();
    let arn = bed.parameters().get_parameter().name("/app/db").send().await.unwrap().parameter.unwrap().arn.unwrap();
    let store = bed.store(SERVICE).await;
    let requests = vec![
        value("/app/db"),
        versioned("/app/db", "1"),
        versioned("/app/db", "2"),
        versioned("/app/db", "before"),
        value("/missing"),
        value("plain"),
        value("/app/db:1"),
    ];
    let answers = ask(&store, requests).await;
    assert_eq!(answers, [ok("new"), ok("old"), ok("new"), ok("old"), Err(Cause::Missing), ok("p"), ok("old")]);
    // moto takes an ARN only where one parameter is asked for.
    assert_eq!(ask(&store, vec![value(&arn)]).await, [ok("new")]);
    // A version that does not exist is a mistake, and no reason to delete anything.
    let answers = ask(&store, vec![versioned("/app/db", "9"), value("plain"), versioned("/missing", "1")]).await;
    assert_eq!(answers, [Err(Cause::Invalid), ok("p"), Err(Cause::Missing)]);
    assert_eq!(ask(&store, vec![versioned("/app/db", "9")]).await, [Err(Cause::Invalid)]);
    let message = error(&store, value("/missing")).await.message;
    assert!(message.contains("\"/missing\"") && message.contains("ParameterNotFound"), "{message}");
}

/// AWS takes ARNs in batches, which moto does not: the answer is put into the proxy.
#[tokio::test]
async fn arns_in_a_batch() {
    let bed = Bed::new("eu-west-3");
    let arn = "arn:aws:ssm:eu-west-3:111122223333:parameter/shared/a";
    let answer = json!({
        "Parameters": [
            {"Name": arn, "ARN": arn, "Value": "theirs", "Version": 4},
            {"Name": "/shared/a", "ARN": arn.replace("111122223333", "123456789012"), "Value": "ours", "Version": 1},
        ],
        "InvalidParameters": [format!("{arn}b")],
    });
    bed.proxy.fault("GetParameters", None, Fault::aws_answer(&answer));
    let store = bed.store(SERVICE).await;
    let answers = ask(&store, vec![value("/shared/a"), value(arn), value(&format!("{arn}b"))]).await;
    assert_eq!(answers, [ok("ours"), ok("theirs"), Err(Cause::Missing)]);
}

#[tokio::test]
async fn one_that_spoils_the_batch_is_asked_alone() {
    let bed = Bed::new("eu-central-1");
    let names = put_many(&bed, 3).await;
    for (code, cause, key) in [
        ("ValidationException", Cause::Invalid, "/spoiler"),
        // AWS refuses the whole batch if one parameter of it may not be read.
        ("AccessDeniedException", Cause::Denied, "/forbidden"),
    ] {
        bed.proxy.forget();
        let fault = Fault::aws(400, code, "no");
        bed.proxy.fault_where(None, fault, move |call| call.body.contains(key));
        let store = bed.store(SERVICE).await;
        let mut requests: Vec<_> = names.iter().map(|name| value(name)).collect();
        requests.push(value(key));
        for _ in 0..3 {
            let answers = ask(&store, requests.clone()).await;
            assert_eq!(answers[3], Err(cause));
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
        }
        // The first time all of them are asked for alone, and then only the one.
        assert_eq!(bed.proxy.count("GetParameters"), 3);
        assert_eq!(bed.proxy.count("GetParameter"), 4 + 1 + 1);
    }
}

#[tokio::test]
async fn a_policy_without_batches_is_remembered() {
    let bed = Bed::new("eu-north-1");
    let names = put_many(&bed, 4).await;
    let refusal = Fault::aws(400, "AccessDeniedException", "not authorized to perform: ssm:GetParameters");
    bed.proxy.fault_where(None, refusal, |call| call.name == "GetParameters");
    let store = bed.store(SERVICE).await;
    for _ in 0..2 {
        assert!(ask(&store, names.iter().map(|name| value(name)).collect()).await.iter().all(Result::is_ok));
    }
    assert_eq!(bed.proxy.count("GetParameters"), 1);
    assert_eq!(bed.proxy.count("GetParameter"), 8);
}

#[tokio::test]
async fn tags_are_the_metadata() {
    let bed = Bed::new("us-east-1");
    put(&bed, "/tagged", "1", &[("b", "2"), ("a.b", "x")]).await;
    put(&bed, "/bare", "1", &[]).await;
    let store = bed.store(SERVICE).await;
    let answers = ask(&store, vec![metadata("/tagged"), metadata("/bare"), metadata("/missing")]).await;
    assert_eq!(answers, [ok(r#"{"a.b":"x","b":"2"}"#), ok("{}"), Err(Cause::Missing)]);
}

#[tokio::test]
async fn finding_by_name_path_and_tags() {
    let bed = Bed::new("us-east-2");
    for at in 0..55 {
        let tags: &[_] = match at % 3 {
            0 => &[("team", "a"), ("tier", "b")],
            1 => &[("team", "b"), ("tier", "a")],
            _ => &[],
        };
        put(&bed, &format!("/app/x/{at:03}"), &at.to_string(), tags).await;
    }
    put(&bed, "/other/1", "o", &[("team", "a")]).await;
    let store = bed.store(SERVICE).await;
    assert_eq!(found(&store, find(Some("/app"), Some("."), &[])).await.len(), 55);
    assert_eq!(bed.proxy.names(), ["GetParametersByPath"; 6]);
    assert_eq!(ask(&store, vec![find(None, Some("00?1$"), &[])]).await, [ok("/app/x/001=1")]);
    assert_eq!(found(&store, find(None, Some("1$"), &[])).await.len(), 7);
    assert_eq!(found(&store, find(None, None, &[("team", "a")])).await.len(), 20);
    assert_eq!(found(&store, find(None, None, &[("team", "a"), ("tier", "b")])).await.len(), 19);
    assert_eq!(found(&store, find(Some("/app"), None, &[("team", "a")])).await.len(), 19);
    assert_eq!(found(&store, find(Some("/app"), Some("/00"), &[("team", "b")])).await.len(), 3);
    assert_eq!(ask(&store, vec![find(None, None, &[])]).await, [Err(Cause::Invalid)]);
    // Without the permission for whole paths.
    bed.proxy.forget();
    bed.proxy.fault("GetParametersByPath", None, Fault::aws(400, "AccessDeniedException", "no"));
    assert_eq!(found(&store, find(Some("/app"), Some("."), &[])).await.len(), 55);
    // moto's pages are of ten, whatever is asked for.
    assert_eq!(bed.proxy.count("DescribeParameters"), 6);
    assert_eq!(bed.proxy.count("GetParameters"), 6);
}

#[tokio::test]
async fn a_prefix_is_applied_once() {
    let bed = Bed::new("us-west-1");
    put(&bed, "/prod/app-a", "1", &[("env", "prod")]).await;
    put(&bed, "/prod/web-b", "2", &[("env", "prod")]).await;
    put(&bed, "/test/app-a", "3", &[("env", "prod")]).await;
    let store = connect(Settings { prefix: "/prod/app-".to_owned(), ..bed.settings(SERVICE) }).await;
    let answers = ask(&store, vec![value("a"), value("b"), metadata("a")]).await;
    assert_eq!(answers, [ok("1"), Err(Cause::Missing), ok(r#"{"env":"prod"}"#)]);
    let finds = [find(None, Some("."), &[]), find(None, None, &[("env", "prod")])];
    assert_eq!(ask(&store, finds.to_vec()).await, [ok("/prod/app-a=1"), ok("/prod/app-a=1")]);
    let store = connect(Settings { prefix: "/prod/".to_owned(), ..bed.settings(SERVICE) }).await;
    assert_eq!(ask(&store, finds.to_vec()).await[0], ok("/prod/app-a=1 /prod/web-b=2"));
}

#[tokio::test]
async fn faults_of_aws_have_causes() {
    let bed = Bed::new("us-west-2");
    put(&bed, "/a", "1", &[]).await;
    for (fault, cause) in [
        (Fault::throttling(), Cause::Throttled { after: None }),
        (Fault::aws(500, "InternalServerError", "x"), Cause::Unavailable),
        (Fault::Closed, Cause::Unavailable),
        (Fault::aws(400, "ExpiredTokenException", "x"), Cause::Unauthenticated),
    ] {
        let store = bed.store(SERVICE).await;
        bed.proxy.fault("GetParameter", None, fault);
        // Two keys and so a batch: none of it is asked for again one by one.
        let answers = ask(&store, vec![value("/a"), value("/b")]).await;
        assert_eq!(answers, [Err(cause), Err(cause)]);
        assert_eq!(bed.proxy.names(), ["GetParameters"]);
        bed.proxy.well();
        bed.proxy.forget();
    }
}
