//! Values of AWS, as moto serves it.

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ssm::types::ParameterType;
use serde_json::{Value, json};

use super::{Host, only, refused, takes, text};
use crate::servers::moto::Moto;

const REGION: &str = "eu-west-2";

fn provider(service: &str, endpoint: &str) -> Value {
    json!({"aws": {
        "service": service, "region": REGION, "endpoint": endpoint,
        "auth": {"secretRef": {
            "accessKeyIDSecretRef": {"name": "aws", "key": "id"},
            "secretAccessKeySecretRef": {"name": "aws", "key": "key"}
        }}
    }})
}

#[tokio::test]
async fn secrets_and_parameters_are_read_with_sealed_keys_in_as_few_calls_as_can_be() {
    let moto = Moto::start();
    let proxy = moto.proxy();
    let keys = Credentials::new("test", "test", None, None, "test");
    let config = aws_sdk_secretsmanager::Config::builder().behavior_version(BehaviorVersion::latest());
    let config = config.region(Region::new(REGION)).credentials_provider(keys.clone()).endpoint_url(moto.endpoint());
    let secrets = aws_sdk_secretsmanager::Client::from_conf(config.build());
    let config = aws_sdk_ssm::Config::builder().behavior_version(BehaviorVersion::latest());
    let config = config.region(Region::new(REGION)).credentials_provider(keys).endpoint_url(moto.endpoint());
    let parameters = aws_sdk_ssm::Client::from_conf(config.build());

    let mut host = Host::new();
    host.seal("aws", &[("id", "AKIATEST"), ("key", "sealed-access-key")]);
    host.store("secrets", provider("SecretsManager", &proxy.endpoint()));
    host.store("parameters", provider("ParameterStore", &proxy.endpoint()));
    for number in 0..5 {
        let name = format!("host-{number}");
        let value = json!({"password": format!("s{number}")}).to_string();
        secrets.create_secret().name(&name).secret_string(value).send().await.unwrap();
        host.external_secret(&name, takes("secrets", &name, "1h"));
    }
    let parameter = parameters.put_parameter().name("/host/token").value("p0").r#type(ParameterType::SecureString);
    parameter.send().await.unwrap();
    host.external_secret(
        "parameter",
        json!({
            "secretStoreRef": {"name": "parameters"},
            "data": [{"secretKey": "token", "remoteRef": {"key": "/host/token"}}]
        }),
    );

    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    for (number, target) in answered.targets.iter().take(5).enumerate() {
        assert_eq!(text(target.as_ref().unwrap(), "password"), Some(format!("s{number}").as_str()));
    }
    assert_eq!(text(answered.targets[5].as_ref().unwrap(), "token"), Some("p0"));
    assert_eq!(proxy.count("BatchGetSecretValue"), 1, "{:?}", proxy.names());
    assert_eq!(proxy.names().len(), 2, "{:?}", proxy.names());
    let signed = |call: &crate::servers::proxy::Call| call.headers.contains("AKIATEST/");
    assert!(proxy.calls().iter().all(signed), "by the sealed keys");
    host.pass(&mut external).await;
    assert_eq!(proxy.names().len(), 2, "nothing is due");
    external.close().await;
}

#[tokio::test]
async fn the_machines_own_identity_is_not_sent_where_a_store_of_one_namespace_says() {
    let mut host = Host::new();
    host.store(
        "own",
        json!({"aws": {"service": "SecretsManager", "region": REGION, "endpoint": "http://127.0.0.1:1"}}),
    );
    host.external_secret("a", takes("own", "a", "1h"));
    let answered = host.pass(&mut host.external()).await;
    let said = refused(&answered);
    assert!(said.contains("endpoint and stsEndpoint of a SecretStore need credentials of its own"), "{said}");
    assert_eq!(only(&answered, "a"), None);
}
