//! Secrets Manager.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::Tag;
use bulla::providers::Cause;
use bulla::providers::aws::{Service, Settings};

use super::{Bed, ask, connect, error, find, found, metadata, ok, value, versioned};
use crate::support::proxy::Fault;

const SERVICE: Service = Service::SecretsManager;

async fn put(bed: &Bed, name: &str, text: &str, tags: &[(&str, &str)]) -> String {
    let mut call = bed.secrets().create_secret().name(name).secret_string(text);
    for (key, value) in tags {
        call = call.tags(Tag::builder().key(*key).value(*value).build());
    }
    call.send().await.unwrap().arn.unwrap()
}

async fn put_many(bed: &Bed, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|at| format!("many/{at:03}")).collect();
    for name in &names {
        put(bed, name, &format!("value of {name}"), &[]).await;
    }
    names
}

#[tokio::test]
async fn many_are_read_together() {
    let bed = Bed::new("eu-west-1");
    let names = put_many(&bed, 45).await;
    let store = bed.store(SERVICE).await;
    assert_eq!(store.batch_size(), 20);
    let answers = ask(&store, names.iter().map(|name| value(name)).collect()).await;
    for (name, answer) in names.iter().zip(&answers) {
        assert_eq!(*answer, Ok(format!("value of {name}")));
    }
    assert_eq!(bed.proxy.names(), ["BatchGetSecretValue"; 3]);
    // What is asked for twice is read once.
    bed.proxy.forget();
    let twice = vec![value(&names[0]), value(&names[1]), value(&names[0]), versioned(&names[1], "AWSCURRENT")];
    let answers = ask(&store, twice).await;
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[1], answers[3]);
    assert_eq!(bed.proxy.names(), ["BatchGetSecretValue"]);
    assert_eq!(bed.proxy.calls()[0].body.matches("many/000").count(), 1);
    // One alone needs no more than the permission to read it.
    bed.proxy.forget();
    assert_eq!(ask(&store, vec![value("many/007")]).await, [ok("value of many/007")]);
    assert_eq!(bed.proxy.names(), ["GetSecretValue"]);
}

#[tokio::test]
async fn what_is_missing_does_not_harm_the_others() {
    let bed = Bed::new("eu-west-2");
    put(&bed, "there", "1", &[]).await;
    put(&bed, "deleted", "2", &[]).await;
    bed.secrets().delete_secret().secret_id("deleted").send().await.unwrap();
    let store = bed.store(SERVICE).await;
    let answers = ask(&store, vec![value("missing"), value("there"), value("deleted")]).await;
    assert_eq!(answers, [Err(Cause::Missing), ok("1"), Err(Cause::Missing)]);
    let answers = ask(&store, vec![value("deleted")]).await;
    assert_eq!(answers, [Err(Cause::Missing)]);
    let answers = ask(&store, vec![metadata("missing"), metadata("deleted")]).await;
    assert_eq!(answers, [Err(Cause::Missing), Err(Cause::Missing)]);
    let message = error(&store, value("missing")).await.message;
    assert!(message.contains("\"missing\"") && message.contains("ResourceNotFoundException"), "{message}");
}

/// AWS names those that it could not read, which moto does not: the answer is put into the proxy.
#[tokio::test]
async fn errors_of_a_batch_belong_to_their_secrets() {
    let bed = Bed::new("eu-west-3");
    let arn = put(&bed, "other", "1", &[]).await;
    let body = serde_json::json!({
        "SecretValues": [{"Name": "a", "ARN": arn.replace("other", "a"), "SecretString": "A", "VersionId": "v"}],
        "Errors": [
            {"SecretId": "b", "ErrorCode": "ResourceNotFoundException", "Message": "no such"},
            {"SecretId": "c", "ErrorCode": "AccessDeniedException", "Message": "not allowed"},
            {"SecretId": "d", "ErrorCode": "InvalidRequestException", "Message": "it was marked for deletion."},
            {"SecretId": "e", "ErrorCode": "DecryptionFailure", "Message": "the key is gone"},
        ],
    });
    bed.proxy.fault("BatchGetSecretValue", None, Fault::aws_answer(&body));
    let store = bed.store(SERVICE).await;
    let asked = ["a", "b", "c", "d", "e", "other"];
    let answers = ask(&store, asked.iter().map(|name| value(name)).collect()).await;
    let expected =
        [ok("A"), Err(Cause::Missing), Err(Cause::Denied), Err(Cause::Missing), Err(Cause::Invalid), ok("1")];
    assert_eq!(answers, expected);
    // Only the one that the answer said nothing about was asked for again.
    assert_eq!(bed.proxy.names(), ["BatchGetSecretValue", "GetSecretValue"]);
}

/// A batch that is too large for one answer comes in pages, also in ones without values.
#[tokio::test]
async fn a_batch_may_come_in_pages() {
    let bed = Bed::new("eu-south-1");
    let arn = |name: &str| format!("arn:aws:secretsmanager:eu-south-1:1:secret:{name}-AbCdEf");
    let page = |names: &[&str], next: Option<&str>| {
        let value = |name: &&str| serde_json::json!({"Name": name, "ARN": arn(name), "SecretString": name});
        let values: Vec<_> = names.iter().map(value).collect();
        Fault::aws_answer(&serde_json::json!({"SecretValues": values, "NextToken": next}))
    };
    for page in [page(&["a"], Some("1")), page(&[], Some("2")), page(&["b", "c"], None)] {
        bed.proxy.fault("BatchGetSecretValue", Some(1), page);
    }
    let store = bed.store(SERVICE).await;
    assert_eq!(ask(&store, vec![value("a"), value("b"), value("c")]).await, [ok("a"), ok("b"), ok("c")]);
    assert_eq!(bed.proxy.names(), ["BatchGetSecretValue"; 3]);
    assert!(bed.proxy.calls()[2].body.contains(r#""NextToken":"2""#), "{}", bed.proxy.calls()[2].body);
}

#[tokio::test]
async fn versions_stages_bytes_and_arns() {
    let bed = Bed::new("eu-central-1");
    let arn = put(&bed, "app/db", "old", &[]).await;
    let first = bed.secrets().get_secret_value().secret_id("app/db").send().await.unwrap().version_id.unwrap();
    bed.secrets().put_secret_value().secret_id("app/db").secret_string("new").send().await.unwrap();
    let bytes = [0xff, 0x00, b'a'];
    bed.secrets().create_secret().name("bytes").secret_binary(Blob::new(bytes)).send().await.unwrap();
    let store = bed.store(SERVICE).await;
    let requests = vec![
        value("app/db"),
        versioned("app/db", "AWSCURRENT"),
        versioned("app/db", "AWSPREVIOUS"),
        versioned("app/db", &format!("uuid/{first}")),
        // In AWS this too says that there is no such value of the secret; here it says that there is no such secret.
        versioned("app/db", "NOSUCHSTAGE"),
        versioned("app/db", "uuid/00000000-0000-4000-8000-000000000000"),
        value(&arn),
        value(&arn[..arn.len() - 7]),
    ];
    let answers = ask(&store, requests).await;
    assert_eq!(answers[..4], [ok("new"), ok("new"), ok("old"), ok("old")]);
    assert_eq!(answers[4..], [Err(Cause::Missing), Err(Cause::Invalid), ok("new"), ok("new")]);
    for requests in [vec![value("bytes")], vec![value("bytes"), value("app/db")]] {
        let answer = store.fetch(requests).await.remove(0).unwrap();
        let bulla::sync::remote::Answer::One(fetched) = answer else { panic!("not one") };
        let bulla::sync::remote::Document::Opaque(read) = fetched.document else { panic!("not opaque") };
        assert!(read.same_as(&bytes));
        assert!(fetched.version.is_some());
    }
}

#[tokio::test]
async fn a_prefix_is_applied_once() {
    let bed = Bed::new("eu-north-1");
    put(&bed, "prod/a", "1", &[("env", "prod")]).await;
    put(&bed, "prod/b", "2", &[]).await;
    put(&bed, "test/a", "3", &[("env", "prod")]).await;
    let store = connect(Settings { prefix: "prod/".to_owned(), ..bed.settings(SERVICE) }).await;
    let answers = ask(&store, vec![value("a"), value("prod/a"), metadata("a")]).await;
    assert_eq!(answers, [ok("1"), Err(Cause::Missing), ok(r#"{"env":"prod"}"#)]);
    let answers = [
        find(None, Some("."), &[]),
        find(Some("a"), Some("."), &[]),
        find(Some("prod/a"), Some("."), &[]),
        find(None, None, &[("env", "prod")]),
    ];
    let answers = ask(&store, answers.to_vec()).await;
    assert_eq!(answers, [ok("prod/a=1 prod/b=2"), ok("prod/a=1"), ok("prod/a=1"), ok("prod/a=1")]);
}

#[tokio::test]
async fn tags_are_the_metadata() {
    let bed = Bed::new("us-east-1");
    put(&bed, "tagged", "1", &[("b", "2"), ("a.b", "x \"y\""), ("c", "")]).await;
    put(&bed, "bare", "1", &[]).await;
    let store = bed.store(SERVICE).await;
    let answers = ask(&store, vec![metadata("tagged"), metadata("bare")]).await;
    assert_eq!(answers, [ok(r#"{"a.b":"x \"y\"","b":"2","c":""}"#), ok("{}")]);
    let answer = store.fetch(vec![metadata("tagged")]).await.remove(0).unwrap();
    let bulla::sync::remote::Answer::One(fetched) = answer else { panic!("not one") };
    let tag = bulla::sync::projection::property(&fetched.document, Some("a.b"), "tagged").unwrap();
    assert!(tag.same_as(b"x \"y\""));
}

#[tokio::test]
async fn finding_by_name_path_and_tags() {
    let bed = Bed::new("us-east-2");
    for at in 0..120 {
        // Pairs that a filter of keys and one of values would confuse.
        let tags: &[_] = match at % 3 {
            0 => &[("team", "a"), ("tier", "b")],
            1 => &[("team", "b"), ("tier", "a")],
            _ => &[],
        };
        put(&bed, &format!("app/{at:03}"), &at.to_string(), tags).await;
    }
    put(&bed, "other/app/1", "o", &[("team", "a")]).await;
    let store = bed.store(SERVICE).await;
    assert_eq!(found(&store, find(None, Some("^app/"), &[])).await.len(), 120);
    assert_eq!(bed.proxy.count("ListSecrets"), 2);
    assert_eq!(bed.proxy.count("BatchGetSecretValue"), 6);
    assert_eq!(bed.proxy.count("GetSecretValue"), 0);
    assert_eq!(ask(&store, vec![find(None, Some("app/(00)?1$"), &[])]).await, [ok("app/001=1 other/app/1=o")]);
    assert_eq!(
        ask(&store, vec![find(Some("app/"), Some("1$"), &[])]).await[0].as_ref().unwrap().split(' ').count(),
        12
    );
    let tagged = found(&store, find(None, None, &[("team", "a")])).await;
    assert_eq!(tagged.len(), 41);
    assert_eq!(found(&store, find(None, None, &[("team", "a"), ("tier", "b")])).await.len(), 40);
    assert_eq!(found(&store, find(Some("app/"), None, &[("team", "a")])).await.len(), 40);
    assert_eq!(found(&store, find(None, Some("app/00"), &[("team", "b")])).await.len(), 3);
    assert_eq!(found(&store, find(None, None, &[("team", "c")])).await.len(), 0);
    let answers = ask(&store, vec![find(None, None, &[]), find(None, Some("("), &[])]).await;
    assert_eq!(answers, [Err(Cause::Invalid), Err(Cause::Invalid)]);
}

/// moto asks no policy without a great deal of set-up: AWS's refusal is put into the proxy.
#[tokio::test]
async fn a_policy_without_batches_is_remembered() {
    let bed = Bed::new("us-west-1");
    let names = put_many(&bed, 20).await;
    let refusal = "User: x is not authorized to perform: secretsmanager:BatchGetSecretValue";
    bed.proxy.fault("BatchGetSecretValue", None, Fault::aws(400, "AccessDeniedException", refusal));
    let store = bed.store(SERVICE).await;
    let requests: Vec<_> = names.iter().map(|name| value(name)).collect();
    for _ in 0..3 {
        assert!(ask(&store, requests.clone()).await.iter().all(Result::is_ok));
    }
    assert_eq!(bed.proxy.count("BatchGetSecretValue"), 1);
    assert_eq!(bed.proxy.count("GetSecretValue"), 60);
    // Eight at once, and the proxy may still be closing those before.
    assert!(bed.proxy.most_at_once() <= 16, "{}", bed.proxy.most_at_once());
}

#[tokio::test]
async fn one_that_spoils_the_batch_is_asked_alone() {
    let bed = Bed::new("us-west-2");
    let names = put_many(&bed, 3).await;
    let invalid = || Fault::aws(400, "ValidationException", "Invalid name");
    bed.proxy.fault_where(None, invalid(), |call| call.body.contains("spoiler"));
    let store = bed.store(SERVICE).await;
    let mut requests: Vec<_> = names.iter().map(|name| value(name)).collect();
    requests.push(value("spoiler"));
    for _ in 0..2 {
        let answers = ask(&store, requests.clone()).await;
        assert_eq!(answers[3], Err(Cause::Invalid));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    }
    // The second time it was known.
    assert_eq!(bed.proxy.count("BatchGetSecretValue"), 2);
    assert_eq!(bed.proxy.count("GetSecretValue"), 4 + 1);
}

#[tokio::test]
async fn faults_of_aws_have_causes_and_no_tries_of_the_sdk() {
    let bed = Bed::new("ap-south-1");
    put(&bed, "a", "1", &[]).await;
    let throttled = Fault::Answer(
        400,
        vec!["Content-Type: application/x-amz-json-1.1".to_owned(), "Retry-After: 7".to_owned()],
        r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#.to_owned(),
    );
    for (fault, cause) in [
        (throttled, Cause::Throttled { after: Some(Duration::from_secs(7)) }),
        (Fault::throttling(), Cause::Throttled { after: None }),
        (Fault::status(429), Cause::Throttled { after: None }),
        (Fault::status(500), Cause::Unavailable),
        (Fault::aws(503, "ServiceUnavailableException", "x"), Cause::Unavailable),
        (Fault::Closed, Cause::Unavailable),
        (Fault::aws(400, "UnrecognizedClientException", "The security token is invalid."), Cause::Unauthenticated),
        (Fault::aws(400, "InvalidSignatureException", "x"), Cause::Unauthenticated),
        (Fault::aws(400, "AccessDeniedException", "x"), Cause::Denied),
        (Fault::Answer(404, Vec::new(), "<html>canary</html>".to_owned()), Cause::Misconfigured),
        (Fault::Answer(200, Vec::new(), "{\"SecretString\": \"canary".to_owned()), Cause::Unavailable),
    ] {
        // A store of its own each time: the breaker of one would open.
        let store = bed.store(SERVICE).await;
        bed.proxy.fault("GetSecretValue", None, fault.clone());
        let error = error(&store, value("a")).await;
        assert_eq!(error.cause, cause, "{fault:?}: {error}");
        assert!(!error.message.contains("canary"), "{error}");
        assert_eq!(bed.proxy.names(), ["GetSecretValue"], "{fault:?}");
        bed.proxy.well();
        bed.proxy.forget();
    }
}

#[tokio::test]
async fn a_store_may_ask_for_more_tries() {
    let bed = Bed::new("ap-south-2");
    put(&bed, "a", "1", &[]).await;
    let wait = Duration::from_millis(200);
    let settings = || Settings { attempts: Some(3), retry_interval: Some(wait), ..bed.settings(SERVICE) };
    bed.proxy.fault("GetSecretValue", Some(2), Fault::status(500));
    let began = Instant::now();
    assert_eq!(ask(&connect(settings()).await, vec![value("a")]).await, [ok("1")]);
    assert!(began.elapsed() >= wait * 2);
    assert_eq!(bed.proxy.count("GetSecretValue"), 3);
    bed.proxy.forget();
    bed.proxy.fault("GetSecretValue", None, Fault::throttling());
    let answers = ask(&connect(settings()).await, vec![value("a")]).await;
    assert_eq!(answers, [Err(Cause::Throttled { after: None })]);
    assert_eq!(bed.proxy.count("GetSecretValue"), 3);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let bed = Bed::new("ap-southeast-1");
    put(&bed, "a", "1", &[]).await;
    bed.proxy.fault("GetSecretValue", Some(1), Fault::Slow(Duration::from_secs(2)));
    assert_eq!(ask(&bed.store(SERVICE).await, vec![value("a")]).await, [ok("1")]);
}

#[tokio::test]
async fn where_nobody_answers_the_error_says_so() {
    let bed = Bed::new("ap-southeast-2");
    let settings = Settings { endpoint: Some("http://127.0.0.1:1".to_owned()), ..bed.settings(SERVICE) };
    let error = error(&connect(settings).await, value("a")).await;
    assert_eq!(error.cause, Cause::Unavailable);
    assert!(error.message.contains("refused"), "{error}");
}
