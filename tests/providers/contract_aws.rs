//! The contract on AWS Secrets Manager and Parameter Store, as moto serves them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials as Keys, Region};
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_ssm::types::ParameterType;
use bulla::providers::aws::{self, Credentials, Service, Settings};
use bulla::providers::{Gate, Provider};
use bulla::secret::Plaintext;
use futures::{FutureExt as _, StreamExt as _};

use crate::contract::{self, Backend, Traits};
use crate::support::moto::Moto;

/// What one region holds is not seen in another, so each test has one.
const REGIONS: [&str; 20] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-east-1",
    "ca-central-1",
    "sa-east-1",
    "me-south-1",
];
/// Calls at the same time while a store is filled.
const AT_ONCE: usize = 8;

/// A region of a moto that only these tests use.
struct Bed {
    region: &'static str,
    moto: String,
}

impl Bed {
    fn new(used: &AtomicUsize) -> Self {
        static MOTO: OnceLock<Moto> = OnceLock::new();
        let region = REGIONS[used.fetch_add(1, Ordering::SeqCst)];
        Self { region, moto: MOTO.get_or_init(Moto::start).endpoint() }
    }

    fn keys() -> Keys {
        Keys::new("test", "test", None, None, "test")
    }

    fn provider(&self, service: Service, gate: Gate) -> Arc<dyn Provider> {
        let settings = Settings {
            service,
            region: self.region.to_owned(),
            credentials: Credentials::Static {
                access_key_id: "test".to_owned(),
                secret_access_key: Plaintext::copy_of(b"test"),
                session_token: None,
            },
            roles: Vec::new(),
            prefix: String::new(),
            endpoint: Some(self.moto.clone()),
            sts_endpoint: Some(self.moto.clone()),
            attempts: None,
            retry_interval: None,
        };
        aws::connect(settings, gate).now_or_never().expect("static keys need no waiting").unwrap()
    }
}

mod secrets_manager {
    use super::*;

    struct Secrets {
        bed: Bed,
        client: aws_sdk_secretsmanager::Client,
    }

    async fn secrets() -> Secrets {
        static USED: AtomicUsize = AtomicUsize::new(0);
        let bed = Bed::new(&USED);
        let config = aws_sdk_secretsmanager::Config::builder().behavior_version(BehaviorVersion::latest());
        let config = config.region(Region::new(bed.region)).credentials_provider(Bed::keys()).endpoint_url(&bed.moto);
        Secrets { client: aws_sdk_secretsmanager::Client::from_conf(config.build()), bed }
    }

    impl Secrets {
        async fn put_one(&self, key: &str, value: &[u8]) {
            let text = str::from_utf8(value).ok().map(str::to_owned);
            let binary = text.is_none().then(|| Blob::new(value));
            let create = self.client.create_secret().name(key).set_secret_string(text.clone());
            let Err(error) = create.set_secret_binary(binary.clone()).send().await else { return };
            assert!(error.into_service_error().is_resource_exists_exception(), "creating {key}");
            let put = self.client.put_secret_value().secret_id(key).set_secret_string(text);
            put.set_secret_binary(binary).send().await.unwrap();
        }
    }

    impl Backend for Secrets {
        async fn put(&self, entries: &[(String, Vec<u8>)]) {
            let puts = entries.iter().map(|(key, value)| self.put_one(key, value)).collect::<Vec<_>>();
            futures::stream::iter(puts).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        }

        async fn delete(&self, key: &str) {
            self.client.delete_secret().secret_id(key).force_delete_without_recovery(true).send().await.unwrap();
        }

        fn provider(&self, gate: Gate) -> Arc<dyn Provider> {
            self.bed.provider(Service::SecretsManager, gate)
        }

        fn traits(&self) -> Traits {
            // AWS takes no empty secret.
            Traits { empty: false, calls_for_100: 5, ..Traits::default() }
        }
    }

    contract::contract!(secrets());
}

mod parameter_store {
    use super::*;

    struct Parameters {
        bed: Bed,
        client: aws_sdk_ssm::Client,
    }

    async fn parameters() -> Parameters {
        static USED: AtomicUsize = AtomicUsize::new(0);
        let bed = Bed::new(&USED);
        let config = aws_sdk_ssm::Config::builder().behavior_version(BehaviorVersion::latest());
        let config = config.region(Region::new(bed.region)).credentials_provider(Bed::keys()).endpoint_url(&bed.moto);
        Parameters { client: aws_sdk_ssm::Client::from_conf(config.build()), bed }
    }

    impl Parameters {
        async fn put_one(&self, key: &str, value: &[u8]) {
            let text = str::from_utf8(value).expect("parameters are text");
            let put = self.client.put_parameter().name(key).value(text).r#type(ParameterType::SecureString);
            put.overwrite(true).send().await.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        }
    }

    impl Backend for Parameters {
        async fn put(&self, entries: &[(String, Vec<u8>)]) {
            let puts = entries.iter().map(|(key, value)| self.put_one(key, value)).collect::<Vec<_>>();
            futures::stream::iter(puts).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        }

        async fn delete(&self, key: &str) {
            self.client.delete_parameter().name(key).send().await.unwrap();
        }

        fn provider(&self, gate: Gate) -> Arc<dyn Provider> {
            self.bed.provider(Service::ParameterStore, gate)
        }

        fn traits(&self) -> Traits {
            // A standard parameter is text of 1 to 4,096 bytes.
            Traits { binary: false, empty: false, longest: 4_096, calls_for_100: 10, ..Traits::default() }
        }
    }

    contract::contract!(parameters());
}
