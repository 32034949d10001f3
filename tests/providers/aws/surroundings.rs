//! What a store takes from its surroundings, and what it leaves there.

use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use bulla::providers::aws::{Credentials, Service, Settings};
use tracing_subscriber::fmt::MakeWriter;

use super::{Bed, ask, connect, ok, static_keys, value};

/// Tells a copy of this program that it is one; names the proxy.
const COPY: &str = "BULLA_TEST_ENVIRONMENT";

/// Variables belong to a whole process: the part that needs them runs in a copy of this program.
#[test]
fn only_the_default_chain_reads_the_environment() {
    if let Some(proxy) = std::env::var_os(COPY) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(in_the_copy(&proxy.into_string().unwrap()));
    }
    let bed = Bed::new("il-central-1");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws::surroundings::only_the_default_chain_reads_the_environment", "--nocapture"])
        .env(COPY, bed.proxy.endpoint())
        .env("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
        .env("AWS_SECRET_ACCESS_KEY", "canary")
        .env("AWS_REGION", "eu-nowhere-1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_MAX_ATTEMPTS", "7")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let authorizations: Vec<_> =
        bed.proxy.calls().iter().map(|call| call.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(authorizations.len(), 2);
    assert!(authorizations[0].contains("Credential=AKIATEST/"), "{}", authorizations[0]);
    assert!(authorizations[1].contains("Credential=AKIAENVIRONMENT/"), "{}", authorizations[1]);
    assert!(authorizations.iter().all(|text| text.contains("/il-central-1/secretsmanager/")), "{authorizations:?}");
}

async fn in_the_copy(proxy: &str) {
    for credentials in [static_keys(), Credentials::Default] {
        let store = connect(Settings {
            service: Service::SecretsManager,
            region: "il-central-1".to_owned(),
            credentials,
            roles: Vec::new(),
            prefix: String::new(),
            endpoint: Some(proxy.to_owned()),
            sts_endpoint: None,
            attempts: None,
            retry_interval: None,
        })
        .await;
        store.validate().await.unwrap();
        let answers = ask(&store, vec![value("missing")]).await;
        assert_eq!(answers, [Err(bulla::providers::Cause::Missing)]);
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let bed = Bed::new("mx-central-1");
    for name in ["a", "b"] {
        bed.secrets().create_secret().name(name).secret_string("canary-of-the-value").send().await.unwrap();
        let kind = aws_sdk_ssm::types::ParameterType::SecureString;
        let call = bed.parameters().put_parameter().name(name).value("canary-of-the-value").r#type(kind);
        call.send().await.unwrap();
    }
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for service in [Service::SecretsManager, Service::ParameterStore] {
        let roles = vec![bulla::providers::aws::AssumedRole {
            arn: "arn:aws:iam::123456789012:role/reader".to_owned(),
            ..Default::default()
        }];
        let store = connect(Settings { roles, ..bed.settings(service) }).await;
        let expected = ok("canary-of-the-value");
        assert_eq!(ask(&store, vec![value("a")]).await, std::slice::from_ref(&expected));
        assert_eq!(ask(&store, vec![value("a"), value("b")]).await, [expected.clone(), expected]);
    }
    drop(guard);
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("TRACE"), "something is logged at all");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("canary")).collect();
    assert!(lines.is_empty(), "{} lines, such as {:.2000}", lines.len(), lines[0]);
}
