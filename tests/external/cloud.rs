//! AWS as moto serves it, behind a proxy of this test's own, and a world whose stores go there.

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ssm::types::ParameterType;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::support::moto::Moto;
use crate::support::proxy::Proxy;
use crate::world::World;

pub(crate) const REGION: &str = "eu-central-1";
/// The name of the Secret with the keys for AWS.
pub(crate) const KEYS: &str = "aws-keys";
/// The access key in it at first.
pub(crate) const ACCESS_KEY: &str = "AKIAFIRST";

/// See the module.
pub(crate) struct Cloud {
    pub(crate) world: World<'static>,
    pub(crate) proxy: Proxy,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) parameters: aws_sdk_ssm::Client,
}

impl Cloud {
    /// A cloud and a running controller.
    pub(crate) async fn new() -> Self {
        let mut cloud = Self::without_controller().await;
        cloud.world.start();
        cloud
    }

    /// A cloud with keys in a Secret, and no controller.
    pub(crate) async fn without_controller() -> Self {
        Self::around(World::without_controller().await).await
    }

    /// The same with a world that is given.
    pub(crate) async fn around(world: World<'static>) -> Self {
        let moto = Moto::shared();
        let keys = Credentials::new("test", "test", None, None, "test");
        let (region, endpoint) = (Region::new(REGION), moto.endpoint());
        let config = aws_sdk_secretsmanager::Config::builder().behavior_version(BehaviorVersion::latest());
        let config = config.region(region.clone()).credentials_provider(keys.clone()).endpoint_url(&endpoint);
        let secrets = aws_sdk_secretsmanager::Client::from_conf(config.build());
        let config = aws_sdk_ssm::Config::builder().behavior_version(BehaviorVersion::latest());
        let config = config.region(region).credentials_provider(keys).endpoint_url(&endpoint);
        let parameters = aws_sdk_ssm::Client::from_conf(config.build());
        let cloud = Self { world, proxy: moto.proxy(), secrets, parameters };
        cloud.world.create::<Secret>(json!({"metadata": {"name": KEYS}, "stringData": keys_of(ACCESS_KEY)})).await;
        cloud
    }

    /// A key that is this test's alone, for either service.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("/{}/{name}", self.world.namespace)
    }

    /// Puts a secret into Secrets Manager, not through the proxy. The value has to hold the canary.
    pub(crate) async fn put(&self, name: &str, value: &str) {
        assert!(value.contains(CANARY));
        let key = self.key(name);
        if self.secrets.put_secret_value().secret_id(&key).secret_string(value).send().await.is_err() {
            self.secrets.create_secret().name(&key).secret_string(value).send().await.unwrap();
        }
    }

    /// Takes it away, as if it had never been.
    pub(crate) async fn remove(&self, name: &str) {
        let delete = self.secrets.delete_secret().secret_id(self.key(name)).force_delete_without_recovery(true);
        delete.send().await.unwrap();
    }

    /// Puts a parameter into Parameter Store.
    pub(crate) async fn put_parameter(&self, name: &str, value: &str) {
        assert!(value.contains(CANARY));
        let put = self.parameters.put_parameter().name(self.key(name)).value(value).overwrite(true);
        put.r#type(ParameterType::SecureString).send().await.unwrap();
    }

    /// The provider of a store that goes through the proxy with the keys of [`KEYS`].
    pub(crate) fn provider(&self, service: &str) -> Value {
        let key = |key: &str| json!({"name": KEYS, "key": key});
        json!({"aws": {
            "service": service,
            "region": REGION,
            "endpoint": self.proxy.endpoint(),
            "stsEndpoint": self.proxy.endpoint(),
            "auth": {"secretRef": {"accessKeyIDSecretRef": key("id"), "secretAccessKeySecretRef": key("secret")}},
        }})
    }

    /// A store named `aws` of Secrets Manager.
    pub(crate) async fn store(&self) {
        self.world.store("aws", self.provider("SecretsManager")).await;
    }

    /// Changes the keys in the Secret.
    pub(crate) async fn rotate(&self, access_key: &str) {
        self.world.patch::<Secret>(KEYS, json!({"stringData": keys_of(access_key)})).await;
    }

    /// The end of every test: nothing leaked.
    pub(crate) async fn end(mut self) {
        self.world.leaks_nothing(&[]).await;
        self.world.stop().await;
    }
}

/// What the Secret [`KEYS`] holds.
pub(crate) fn keys_of(access_key: &str) -> Value {
    json!({"id": access_key, "secret": format!("{CANARY}-of-{access_key}")})
}

/// A value that holds the canary.
pub(crate) fn value(text: &str) -> String {
    format!("{CANARY}-{text}")
}

/// JSON with the properties `user` and `password`.
pub(crate) fn login(text: &str) -> String {
    json!({"user": format!("{CANARY}-user-{text}"), "password": format!("{CANARY}-password-{text}")}).to_string()
}

/// The spec of an ExternalSecret: data key, remote key, property.
pub(crate) fn spec(store: &str, data: &[(&str, &str, &str)]) -> Value {
    let item = |(secret_key, key, property): &(&str, &str, &str)| {
        let mut remote = json!({"key": key});
        if !property.is_empty() {
            remote["property"] = json!(property);
        }
        json!({"secretKey": secret_key, "remoteRef": remote})
    };
    json!({"secretStoreRef": {"name": store}, "data": data.iter().map(item).collect::<Vec<_>>()})
}
