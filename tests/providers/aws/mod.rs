//! AWS Secrets Manager and Parameter Store against moto, through a proxy that counts.

mod credentials;
mod parameter_store;
mod proxy;
mod secrets_manager;
mod surroundings;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials as Keys, Region};
use bulla::providers::aws::{self, Credentials, Service, Settings};
use bulla::providers::{Cause, Gate, Provider, ProviderError};
use bulla::secret::Plaintext;
use bulla::sync::remote::{Answer, Document, Find, Lookup, Request};

use crate::support::moto::Moto;
use crate::support::proxy::Proxy;

/// A region of moto that one test has to itself, and the way there.
struct Bed {
    proxy: Proxy,
    region: &'static str,
    moto: String,
}

impl Bed {
    fn new(region: &'static str) -> Self {
        let moto = Moto::shared();
        Self { proxy: moto.proxy(), region, moto: moto.endpoint() }
    }

    fn settings(&self, service: Service) -> Settings {
        Settings {
            service,
            region: self.region.to_owned(),
            credentials: static_keys(),
            roles: Vec::new(),
            prefix: String::new(),
            endpoint: Some(self.proxy.endpoint()),
            sts_endpoint: Some(self.proxy.endpoint()),
            attempts: None,
            retry_interval: None,
        }
    }

    async fn store(&self, service: Service) -> Arc<dyn Provider> {
        connect(self.settings(service)).await
    }

    /// Goes to moto directly, so that nothing of it is counted.
    fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        let keys = Keys::new("test", "test", None, None, "test");
        let config = aws_sdk_secretsmanager::Config::builder().behavior_version(BehaviorVersion::latest());
        let config = config.region(Region::new(self.region)).credentials_provider(keys).endpoint_url(&self.moto);
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }

    fn parameters(&self) -> aws_sdk_ssm::Client {
        let keys = Keys::new("test", "test", None, None, "test");
        let config = aws_sdk_ssm::Config::builder().behavior_version(BehaviorVersion::latest());
        let config = config.region(Region::new(self.region)).credentials_provider(keys).endpoint_url(&self.moto);
        aws_sdk_ssm::Client::from_conf(config.build())
    }
}

fn static_keys() -> Credentials {
    Credentials::Static {
        access_key_id: "AKIATEST".to_owned(),
        secret_access_key: Plaintext::copy_of(b"canary-of-the-secret-key"),
        session_token: None,
    }
}

async fn connect(settings: Settings) -> Arc<dyn Provider> {
    let name = match settings.service {
        Service::SecretsManager => "AWS/SecretsManager",
        Service::ParameterStore => "AWS/ParameterStore",
    };
    let store = aws::connect(settings, Gate::unmetered(name)).await.unwrap();
    assert_eq!(store.name(), name);
    store
}

fn value(key: &str) -> Request {
    Request::Value(Lookup { key: key.to_owned(), version: None })
}

fn versioned(key: &str, version: &str) -> Request {
    Request::Value(Lookup { key: key.to_owned(), version: Some(version.to_owned()) })
}

fn metadata(key: &str) -> Request {
    Request::Metadata(Lookup { key: key.to_owned(), version: None })
}

fn find(path: Option<&str>, name: Option<&str>, tags: &[(&str, &str)]) -> Request {
    Request::Find(Find {
        path: path.map(str::to_owned),
        name: name.map(str::to_owned),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    })
}

fn text(document: &Document) -> String {
    match document {
        Document::Opaque(value) | Document::Object(value) => String::from_utf8_lossy(value.expose()).into_owned(),
        Document::Fields(_) => panic!("AWS has no fields"),
    }
}

/// The answers as text, or what kind of error there was.
async fn ask(store: &Arc<dyn Provider>, requests: Vec<Request>) -> Vec<Result<String, Cause>> {
    let count = requests.len();
    let answers: Vec<_> = store.fetch(requests).await.into_iter().map(one).collect();
    assert_eq!(answers.len(), count);
    answers.into_iter().map(|answer| answer.map_err(|error| error.cause)).collect()
}

fn one(answer: Result<Answer, ProviderError>) -> Result<String, ProviderError> {
    match answer? {
        Answer::One(fetched) => Ok(text(&fetched.document)),
        Answer::Many(found) => {
            let pairs = found.iter().map(|(name, fetched)| format!("{name}={}", text(&fetched.document)));
            Ok(pairs.collect::<Vec<_>>().join(" "))
        }
    }
}

async fn error(store: &Arc<dyn Provider>, request: Request) -> ProviderError {
    one(store.fetch(vec![request]).await.pop().unwrap()).unwrap_err()
}

async fn found(store: &Arc<dyn Provider>, request: Request) -> BTreeMap<String, String> {
    match store.fetch(vec![request]).await.pop().unwrap().unwrap() {
        Answer::Many(found) => found.iter().map(|(name, fetched)| (name.clone(), text(&fetched.document))).collect(),
        Answer::One(_) => panic!("one answer to a find"),
    }
}

fn ok(text: &str) -> Result<String, Cause> {
    Ok(text.to_owned())
}
