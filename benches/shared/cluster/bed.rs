//! A fresh API server, filled before any clock runs.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, PostParams};
use kube::core::{ObjectList, Request};
use kube::{Client, Resource as _};
use serde::Deserialize;
use serde_json::Value;

use super::process::Process;
use crate::support::apiserver::ApiServer;
use crate::support::servers;

/// Where the measured objects are.
pub(crate) const NAMESPACE: &str = "measured";
/// Where the sealing keys and the controller's account are.
pub(crate) const CONTROLLER_NAMESPACE: &str = "sealing";

/// Answers to writes are asked for without what was written, as Bulla does.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const LIST_OF_METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// Requests at the same time while filling.
const FILLERS: usize = 64;
/// So long without any progress is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Bed {
    pub(crate) kind: Kind,
    pub(crate) server: ApiServer,
    pub(crate) api_server: Process,
    client: Client,
    /// Secrets in the namespace of the measured objects that no object makes.
    others: usize,
}

/// What is synced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) plural: &'static str,
    /// As `group/version`.
    pub(crate) api_version: &'static str,
    /// The condition that is true of an object in sync.
    pub(crate) condition: &'static str,
}

/// One object that is synced.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// What an answer to a write is needed for.
#[derive(Clone, Deserialize)]
pub(crate) struct Written {
    pub(crate) metadata: ObjectMeta,
}

impl Kind {
    /// The URL path of the measured objects.
    pub(crate) fn path(self) -> String {
        format!("/apis/{}/namespaces/{NAMESPACE}/{}", self.api_version, self.plural)
    }
}

impl Bed {
    /// A server with CRDs, those in JSON or YAML, and two namespaces.
    pub(crate) async fn new(kind: Kind, crds: &[Vec<u8>]) -> anyhow::Result<Self> {
        let server = ApiServer::start();
        let api_server = Process::running(&servers::path("kube-apiserver")).context("the API server's process")?;
        for crd in crds {
            server.install_crd_yaml(crd).await;
        }
        server.create_namespace(NAMESPACE).await;
        server.create_namespace(CONTROLLER_NAMESPACE).await;
        let client = server.client();
        Ok(Self { kind, server, api_server, client, others: 0 })
    }

    /// Makes an account that may do everything; gives its token and the name that the audit log has for it.
    pub(crate) async fn account(&self, name: &str) -> (String, String) {
        let token = self.server.service_account(CONTROLLER_NAMESPACE, name).await;
        self.server.bind(CONTROLLER_NAMESPACE, name, "cluster-admin").await;
        (token, format!("system:serviceaccount:{CONTROLLER_NAMESPACE}:{name}"))
    }

    /// Puts a key into the controller's namespace.
    pub(crate) async fn add_key(&self, key: &Secret) -> anyhow::Result<()> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), CONTROLLER_NAMESPACE);
        api.create(&PostParams::default(), key).await.context("adding a sealing key")?;
        Ok(())
    }

    /// Makes something that the measured objects need, in their namespace; `path` is that of its kind.
    pub(crate) async fn add(&mut self, path: &str, object: &Value) -> anyhow::Result<()> {
        create(&self.client, path, serde_json::to_vec(object)?).await?;
        self.others += usize::from(path.ends_with("/secrets"));
        Ok(())
    }

    /// Makes `count` objects of what `body` says for a number and a name, then lets the server come to rest.
    pub(crate) async fn fill<B>(&self, count: usize, body: B) -> anyhow::Result<Vec<Object>>
    where
        B: Fn(usize, &str) -> anyhow::Result<Value> + Send + Sync + 'static,
    {
        let (client, path, body) = (self.client.clone(), self.kind.path(), Arc::new(body));
        let objects = in_parallel(count, FILLERS, move |number| {
            let (client, path, body) = (client.clone(), path.clone(), Arc::clone(&body));
            async move {
                let name = format!("object-{number:06}");
                let written = create(&client, &path, serde_json::to_vec(&body(number, &name)?)?).await?;
                Ok(Object { name, uid: written.metadata.uid.context("a uid")? })
            }
        });
        let objects = objects.await.context("filling the API server")?;
        self.rest().await;
        Ok(objects)
    }

    /// Waits until the API server has nothing to do, for some seconds at most.
    pub(crate) async fn rest(&self) {
        for _ in 0..20 {
            let before = self.api_server.cpu();
            tokio::time::sleep(Duration::from_millis(250)).await;
            if self.api_server.cpu().saturating_sub(before) <= Duration::from_millis(20) {
                break;
            }
        }
    }

    /// Waits until `count` Secrets and as many statuses that say so are there. Until the last Secret is
    /// there the server is only asked how many there are, a few times a second. `check` fails if there is no hope.
    pub(crate) async fn until_synced(
        &self,
        count: usize,
        check: impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut last, mut since, mut all_there) = (0, Instant::now(), false);
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            check()?;
            let there = if all_there { count + self.synced().await? } else { self.secrets().await? - self.others };
            if there >= 2 * count {
                break;
            }
            all_there |= there >= count;
            if there > last {
                (last, since) = (there, Instant::now());
            } else if since.elapsed() > PATIENCE {
                bail!("stuck at {} Secrets and {} statuses of {count}", last.min(count), last.saturating_sub(count));
            }
        }
        let secrets = self.secrets().await?;
        ensure!(secrets == count + self.others, "{secrets} Secrets of {count} {}", self.kind.plural);
        Ok(())
    }

    /// How many Secrets there are, from a list of one.
    async fn secrets(&self) -> anyhow::Result<usize> {
        let path = Secret::url_path(&(), Some(NAMESPACE));
        let mut request = Request::new(path).list(&ListParams::default().limit(1))?;
        request.headers_mut().insert("accept", LIST_OF_METADATA.parse()?);
        let list: ObjectList<Written> = self.client.request(request).await.context("counting Secrets")?;
        let rest = list.metadata.remaining_item_count.unwrap_or(0);
        Ok(list.items.len() + usize::try_from(rest)?)
    }

    /// How many objects say that they are in sync.
    async fn synced(&self) -> anyhow::Result<usize> {
        let (mut count, mut params) = (0, ListParams::default().limit(500));
        loop {
            let request = Request::new(self.kind.path()).list(&params)?;
            let page: ObjectList<Reported> = self.client.request(request).await.context("listing the objects")?;
            let is_synced = |object: &&Reported| {
                let mut conditions = object.status.conditions.iter();
                conditions.any(|condition| condition.r#type == self.kind.condition && condition.status == "True")
            };
            count += page.items.iter().filter(is_synced).count();
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => params = params.continue_token(&next),
                _ => return Ok(count),
            }
        }
    }
}

/// An object with its conditions.
#[derive(Clone, Deserialize)]
struct Reported {
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

/// Creates an object; the answer is its metadata.
pub(crate) async fn create(client: &Client, path: &str, body: Vec<u8>) -> anyhow::Result<Written> {
    let mut request = Request::new(path).create(&PostParams::default(), body)?;
    request.headers_mut().insert("accept", METADATA_ONLY.parse()?);
    client.request(request).await.with_context(|| format!("creating at {path}"))
}

/// Merges `body` into the status of an object; the answer is its metadata.
pub(crate) async fn patch_status(client: &Client, path: &str, name: &str, body: Vec<u8>) -> anyhow::Result<Written> {
    let request = http::Request::patch(format!("{path}/{name}/status?fieldManager=floor"))
        .header("content-type", "application/merge-patch+json")
        .header("accept", METADATA_ONLY)
        .body(body)?;
    client.request(request).await.with_context(|| format!("patching the status of {name}"))
}

/// Does `work` for each number below `count`, with `width` of them at the same time; the results in no order.
pub(crate) async fn in_parallel<T, W, F>(count: usize, width: usize, work: W) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    W: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..width {
        let (next, work) = (Arc::clone(&next), work.clone());
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(done);
                }
                done.push(work(number).await?);
            }
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(done) = workers.join_next().await {
        all.append(&mut done??);
    }
    Ok(all)
}
