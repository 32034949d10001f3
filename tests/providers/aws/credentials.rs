//! Who a store is: keys, roles, web identities, at moto's STS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulla::providers::aws::{AssumedRole, Credentials, Service, Settings, connect as connect_to};
use bulla::providers::{Cause, Gate, ProviderError, TokenSource};
use bulla::secret::Plaintext;
use futures::future::{BoxFuture, FutureExt as _};

use super::{Bed, ask, connect, error, ok, static_keys, value};
use crate::support::proxy::{Call, Fault};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

/// Gives a token and counts.
#[derive(Default)]
struct Tokens(AtomicUsize);

impl TokenSource for Tokens {
    fn token(&self) -> BoxFuture<'_, Result<Plaintext, ProviderError>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Plaintext::from(format!("canary-token-{number}"))) }.boxed()
    }
}

async fn bed(region: &'static str) -> Bed {
    let bed = Bed::new(region);
    bed.secrets().create_secret().name("own").secret_string("1").send().await.unwrap();
    bed
}

fn role(arn: &str) -> AssumedRole {
    AssumedRole { arn: arn.to_owned(), ..AssumedRole::default() }
}

/// The access key that a call was signed with.
fn signer(call: &Call) -> String {
    let authorization = call.header("authorization").unwrap_or_default();
    let (_, after) = authorization.split_once("Credential=").unwrap_or_default();
    after.split('/').next().unwrap_or_default().to_owned()
}

fn answer_of_sts(action: &str, key: &str, lasts: Duration) -> Fault {
    let end = jiff::Timestamp::now() + lasts;
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
         <Expiration>{end:.0}</Expiration></Credentials></{action}Result></{action}Response>"
    );
    Fault::Answer(200, vec!["Content-Type: text/xml".to_owned()], body)
}

#[tokio::test]
async fn a_role_is_assumed_once_for_many_fetches() {
    let bed = bed("sa-east-1").await;
    let settings = Settings { roles: vec![role(ROLE)], ..bed.settings(Service::SecretsManager) };
    let store = connect(settings).await;
    assert_eq!(bed.proxy.names(), [""; 0], "nothing is called before it is needed");
    store.validate().await.unwrap();
    assert_eq!(bed.proxy.names(), ["AssumeRole"]);
    let asks = (0..10).map(|_| ask(&store, vec![value("own")]));
    for answers in futures::future::join_all(asks).await {
        assert_eq!(answers, [ok("1")]);
    }
    assert_eq!(bed.proxy.count("AssumeRole"), 1);
    assert_eq!(bed.proxy.count("GetSecretValue"), 10);
    for call in bed.proxy.calls() {
        let is_assumed = signer(&call).starts_with("ASIA") && call.header("x-amz-security-token").is_some();
        assert_eq!(is_assumed, call.name != "AssumeRole", "{}", call.name);
    }
    // Together, and none was there before.
    let settings = Settings { roles: vec![role(ROLE)], ..bed.settings(Service::SecretsManager) };
    let store = connect(settings).await;
    bed.proxy.forget();
    futures::future::join_all((0..10).map(|_| ask(&store, vec![value("own")]))).await;
    assert_eq!(bed.proxy.count("AssumeRole"), 1);
}

#[tokio::test]
async fn roles_follow_each_other_and_the_last_has_the_tags() {
    let bed = bed("ca-central-1").await;
    let last = AssumedRole {
        arn: ROLE.to_owned(),
        external_id: Some("outside".to_owned()),
        tags: vec![("team".to_owned(), "a".to_owned()), ("env".to_owned(), "prod".to_owned())],
        transitive_tags: vec!["team".to_owned()],
    };
    let roles = vec![role("arn:aws:iam::123456789012:role/first"), last];
    let store = connect(Settings { roles, ..bed.settings(Service::SecretsManager) }).await;
    assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
    assert_eq!(bed.proxy.names(), ["AssumeRole", "AssumeRole", "GetSecretValue"]);
    let calls = bed.proxy.calls();
    assert_eq!(signer(&calls[0]), "AKIATEST");
    assert!(calls[0].body.contains("role%2Ffirst"));
    assert!(!calls[0].body.contains("ExternalId") && !calls[0].body.contains("Tag"), "{}", calls[0].body);
    let body = &calls[1].body;
    for part in [
        "role%2Freader",
        "ExternalId=outside",
        "Tags.member.1.Key=team",
        "Tags.member.1.Value=a",
        "Tags.member.2.Key=env",
        "TransitiveTagKeys.member.1=team",
        "RoleSessionName=external-secrets-provider-aws",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    assert_ne!(signer(&calls[1]), "AKIATEST");
    assert_ne!(signer(&calls[1]), signer(&calls[2]));
}

#[tokio::test]
async fn a_token_is_exchanged_once() {
    let bed = bed("eu-south-1").await;
    let tokens = Arc::new(Tokens::default());
    let source: Arc<dyn TokenSource> = Arc::<Tokens>::clone(&tokens);
    let credentials = Credentials::WebIdentity { role_arn: ROLE.to_owned(), token: source };
    let store = connect(Settings { credentials, ..bed.settings(Service::SecretsManager) }).await;
    for _ in 0..5 {
        assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
    }
    assert_eq!(tokens.0.load(Ordering::SeqCst), 1);
    assert_eq!(bed.proxy.count("AssumeRoleWithWebIdentity"), 1);
    let exchange = &bed.proxy.calls()[0];
    assert!(exchange.header("authorization").is_none());
    assert!(exchange.body.contains("RoleSessionName=external-secrets-provider-aws"), "{}", exchange.body);
    assert!(exchange.body.contains("WebIdentityToken=canary-token-0"));
}

#[tokio::test]
async fn credentials_are_renewed_before_they_end() {
    let bed = bed("me-south-1").await;
    bed.proxy.fault("AssumeRole", Some(1), answer_of_sts("AssumeRole", "ASIAFIRST", Duration::from_secs(4)));
    let settings = Settings { roles: vec![role(ROLE)], ..bed.settings(Service::SecretsManager) };
    let store = connect(settings).await;
    // moto does not know the key, and looks into its first account therefore.
    assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
    tokio::time::sleep(Duration::from_millis(3200)).await;
    assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
    let signers: Vec<_> = bed.proxy.calls().iter().filter(|call| call.name == "GetSecretValue").map(signer).collect();
    assert_eq!(bed.proxy.count("AssumeRole"), 2);
    assert_eq!(signers[0], "ASIAFIRST");
    assert_ne!(signers[1], "ASIAFIRST");
}

#[tokio::test]
async fn credentials_that_aws_takes_back_are_replaced_once() {
    let bed = bed("af-south-1").await;
    let settings = Settings { roles: vec![role(ROLE)], ..bed.settings(Service::SecretsManager) };
    let store = connect(settings).await;
    assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
    let expired = Fault::aws(400, "ExpiredTokenException", "The security token included in the request is expired");
    bed.proxy.fault("GetSecretValue", Some(1), expired.clone());
    assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
    assert_eq!(bed.proxy.count("AssumeRole"), 2);
    bed.proxy.fault("GetSecretValue", None, expired);
    assert_eq!(ask(&store, vec![value("own")]).await, [Err(Cause::Unauthenticated)]);
    assert_eq!(bed.proxy.count("AssumeRole"), 3);
}

#[tokio::test]
async fn a_role_that_is_refused_is_said_to_be() {
    let bed = bed("ap-east-1").await;
    let refusal = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                   <Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x is not authorized to perform: \
                   sts:AssumeRole</Message></Error><RequestId>0-1</RequestId></ErrorResponse>";
    let refusal = Fault::Answer(403, vec!["Content-Type: text/xml".to_owned()], refusal.to_owned());
    bed.proxy.fault("AssumeRole", None, refusal);
    let tokens: Arc<dyn TokenSource> = Arc::new(Tokens::default());
    let web = Credentials::WebIdentity { role_arn: ROLE.to_owned(), token: tokens };
    for settings in [
        Settings { roles: vec![role(ROLE)], ..bed.settings(Service::SecretsManager) },
        Settings { credentials: web, ..bed.settings(Service::ParameterStore) },
    ] {
        let store = connect(settings).await;
        for error in [store.validate().await.unwrap_err(), error(&store, value("own")).await] {
            assert_eq!(error.cause, Cause::Unauthenticated);
            assert!(error.message.contains(ROLE) && error.message.contains("AccessDenied"), "{error}");
            assert!(!error.message.contains("canary"), "{error}");
        }
    }
    assert_eq!(bed.proxy.count("GetSecretValue"), 0);
}

#[tokio::test]
async fn sts_that_does_not_answer_is_an_outage() {
    let bed = bed("eu-central-2").await;
    bed.proxy.fault("AssumeRole", Some(1), Fault::status(500));
    let settings = Settings { roles: vec![role(ROLE)], ..bed.settings(Service::SecretsManager) };
    let store = connect(settings).await;
    assert_eq!(error(&store, value("own")).await.cause, Cause::Unavailable);
    assert_eq!(ask(&store, vec![value("own")]).await, [ok("1")]);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let bed = bed("eu-south-2").await;
    for region in ["", "eu west", "a.b/c"] {
        let settings = Settings { region: region.to_owned(), ..bed.settings(Service::SecretsManager) };
        let error = connect_to(settings, Gate::unmetered("AWS/SecretsManager")).await.err().unwrap();
        assert_eq!(error.cause, Cause::Misconfigured);
        assert!(error.message.contains("region not found"), "{error}");
    }
    let credentials = Credentials::Static {
        access_key_id: "a".to_owned(),
        secret_access_key: Plaintext::new(vec![0xff]),
        session_token: None,
    };
    let settings = Settings { credentials, ..bed.settings(Service::SecretsManager) };
    let error = connect_to(settings, Gate::unmetered("AWS/SecretsManager")).await.err().unwrap();
    assert_eq!(error.cause, Cause::Misconfigured);
}

#[tokio::test]
async fn keys_of_the_store_sign_the_calls() {
    let bed = bed("us-gov-west-1").await;
    let store = connect(Settings { credentials: static_keys(), ..bed.settings(Service::SecretsManager) }).await;
    store.validate().await.unwrap();
    assert_eq!(bed.proxy.names(), [""; 0], "keys need no call");
    ask(&store, vec![value("own")]).await;
    assert_eq!(signer(&bed.proxy.calls()[0]), "AKIATEST");
    assert!(!format!("{:?}", bed.proxy.calls()).contains("canary"));
}
