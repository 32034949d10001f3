//! The key Secrets of a cluster, with their private halves: read, and created. Nothing else is read, nothing is changed.

use bulla_crds::names;
use bytes::Bytes;
use http::Method;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, GetParams, ListParams, PostParams};
use kube::client::Body;
use kube::core::{Request, Status};
use kube::{Client, Resource as _};
use zeroize::Zeroize as _;

use super::key_secret::KeySecret;
use super::manifest;
use crate::cluster::{self, ClusterArguments};
use crate::failure::{Failure, OrFail as _, Outcome, usage};
use crate::keys::LEGACY;

/// Where a controller keeps its keys.
pub(crate) struct Cluster {
    client: Client,
    pub(crate) namespace: String,
}

/// What came of creating a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Created {
    Yes,
    /// The name is taken.
    Taken,
    /// There is no such namespace.
    NoNamespace,
    /// The API server does not take it: these fields, or this status.
    Invalid(String),
}

/// Why the API server did not do it.
struct Refused {
    code: u16,
    message: String,
}

impl Cluster {
    pub(crate) async fn connect(arguments: &ClusterArguments) -> Outcome<Self> {
        let client = cluster::connect(&arguments.connection).await?;
        Ok(Self { client, namespace: arguments.controller_namespace.clone() })
    }

    /// Every key Secret, oldest first.
    pub(crate) async fn key_secrets(&self) -> Outcome<Vec<KeySecret>> {
        let mut secrets: Vec<KeySecret> = Vec::new();
        let place = self.path();
        for label in [names::SEALING_KEY, names::UPSTREAM_SEALING_KEY] {
            let request = Request::new(&place).list(&ListParams::default().labels(label));
            let found = self.read(request.or_usage("asking for the key Secrets")?).await;
            let found = found.map_err(|refused| self.cannot("list", &refused))?;
            secrets.extend(found);
        }
        // With both labels it comes twice.
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        secrets.dedup_by(|a, b| a.name == b.name);
        if !secrets.iter().any(|secret| secret.name == LEGACY) {
            secrets.extend(self.get(LEGACY).await?.filter(KeySecret::is_of_keys));
        }
        // By name where the dates are the same, as the numbered ones are.
        secrets.sort_by_key(KeySecret::made);
        Ok(secrets)
    }

    /// One Secret.
    pub(super) async fn get(&self, name: &str) -> Outcome<Option<KeySecret>> {
        let request = Request::new(self.path()).get(name, &GetParams::default());
        match self.read(request.or_usage(format!("asking for Secret {name}"))?).await {
            Ok(found) => Ok(found.into_iter().next()),
            Err(refused) if refused.code == 404 => Ok(None),
            Err(refused) => Err(self.cannot(&format!("get {name} among"), &refused)),
        }
    }

    /// Creates a Secret under this name; never changes one.
    pub(super) async fn create(&self, secret: &KeySecret, name: &str, is_dry: bool) -> Outcome<Created> {
        let body = manifest::body(secret, name, &self.namespace);
        let body = body.ok_or_else(|| usage!("Secret {name} cannot be written as JSON"))?;
        let dry = if is_dry { "&dryRun=All" } else { "" };
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(format!("{}?fieldManager=bulla{dry}", self.path()))
            .header("content-type", "application/json")
            .body(Body::from(Bytes::from_owner(body)))
            .or_usage(format!("creating Secret {name}"))?;
        match self.send(request).await {
            Ok(body) => {
                wipe(body);
                Ok(Created::Yes)
            }
            Err(refused) if refused.code == 409 => Ok(Created::Taken),
            Err(refused) if refused.code == 404 => Ok(Created::NoNamespace),
            Err(Refused { code: 400 | 422, message }) => Ok(Created::Invalid(message)),
            Err(refused) => Err(self.cannot(&format!("create {name} among"), &refused)),
        }
    }

    /// Makes the namespace.
    pub(super) async fn create_namespace(&self) -> Outcome {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(self.namespace.clone());
        match api.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            made => made.map(drop).or_usage(format!("creating namespace {}", self.namespace)),
        }
    }

    /// The ids of the keys that a controller publishes; `None` where none ever ran, or it cannot be asked.
    pub(crate) async fn published(&self) -> Option<Vec<String>> {
        let keys = cluster::published_in(&self.client, &self.namespace).await.ok()?;
        Some(keys.into_iter().map(|key| key.id).collect())
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    fn path(&self) -> String {
        Secret::url_path(&(), Some(&self.namespace))
    }

    async fn read(&self, request: http::Request<Vec<u8>>) -> Result<Vec<KeySecret>, Refused> {
        let body = self.send(request.map(Body::from)).await?;
        let secrets = std::str::from_utf8(&body).ok().and_then(KeySecret::parse_json);
        wipe(body);
        let unreadable = || Refused { code: 0, message: "its answer cannot be read".to_owned() };
        secrets.ok_or_else(unreadable)
    }

    async fn send(&self, request: http::Request<Body>) -> Result<Bytes, Refused> {
        let away = |error: kube::Error| Refused { code: 0, message: error.to_string() };
        let (head, body) = self.client.send(request).await.map_err(away)?.into_parts();
        let body = body.collect_bytes().await.map_err(away)?;
        if head.status.is_success() {
            return Ok(body);
        }
        let said: Option<Status> = serde_json::from_slice(&body).ok();
        wipe(body);
        let message = match head.status.as_u16() {
            // What a server says about a Secret that it refuses may quote it: only the fields are repeated.
            400 | 422 => said
                .and_then(|status| status.details)
                .map(|details| details.causes.into_iter().map(|cause| cause.field).collect::<Vec<_>>().join(", ")),
            _ => said.map(|status| status.message),
        };
        let message = message.filter(|message| !message.is_empty()).unwrap_or_else(|| head.status.to_string());
        Err(Refused { code: head.status.as_u16(), message })
    }

    fn cannot(&self, what: &str, refused: &Refused) -> Failure {
        let Refused { code, message } = refused;
        let hint = match code {
            401 | 403 => "; it takes the rights in docs/recovery.md",
            _ => "",
        };
        usage!("cannot {what} the key Secrets of namespace {}: {message}{hint}", self.namespace)
    }
}

/// Overwrites an answer that held secrets, as far as it is ours alone.
fn wipe(body: Bytes) {
    match body.try_into_mut() {
        Ok(mut body) => body.as_mut().zeroize(),
        Err(shared) => drop(shared),
    }
}
