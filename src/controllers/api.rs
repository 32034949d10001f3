//! Talking to the API server without leaving traces of what was said.
//!
//! kube's typed calls log a response that does not parse, and a response may be a Secret. These calls do not: they hand
//! out bytes, and their errors are facts (a status code, the names of fields), never a body.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use kube::api::{GetParams, Patch, PatchParams};
use kube::client::Body;
use kube::core::{ObjectMeta, Status, request};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroize as _;

use super::leadership::Fence;
use crate::sync::schedule::Class;

/// Our name in `managedFields`.
pub(super) const FIELD_MANAGER: &str = "bulla";

/// How long one request may take; watches are not requests in this sense.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for an answer without spec, data and status.
pub(super) const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// A request as kube builds it.
pub(super) type Request = http::Request<Body>;

/// The API server.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// Shut while another replica may be at work.
    fence: Fence,
}

/// Why a call failed. Carries no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// 404.
    #[error("not found")]
    NotFound,
    /// 409 on a create.
    #[error("already exists")]
    AlreadyExists,
    /// 409 on a write.
    #[error("changed by somebody else meanwhile")]
    Conflict,
    /// 401 and 403.
    #[error("the controller may not do this: {0}")]
    Forbidden(String),
    /// 400, 413 and 422.
    #[error("the API server refuses it: {0}")]
    Invalid(String),
    /// 429 and 503 with a wish.
    #[error("the API server asks to slow down")]
    Throttled(Option<Duration>),
    /// Any other answer.
    #[error("the API server answered {0}")]
    Server(u16),
    /// No answer.
    #[error("the API server cannot be reached")]
    Unreachable,
    /// A write that was not sent, or not waited for: another replica may have the Lease by now.
    #[error("this replica does not hold the Lease any more")]
    Fenced,
    /// An answer that does not parse.
    #[error("the API server's answer does not make sense")]
    Unreadable,
}

impl ApiError {
    /// How soon another try makes sense.
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::NotFound | Self::AlreadyExists | Self::Conflict => Class::Blocked,
            Self::Forbidden(_) | Self::Server(_) | Self::Unreachable | Self::Fenced | Self::Unreadable => {
                Class::Transient
            }
            Self::Invalid(_) => Class::Terminal,
            Self::Throttled(after) => Class::Throttled { after: *after },
        }
    }

    /// The reason in `CamelCase`, for conditions and metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::AlreadyExists | Self::Conflict => "Conflict",
            Self::Forbidden(_) => "Forbidden",
            Self::Invalid(_) => "Invalid",
            Self::Throttled(_) => "Throttled",
            Self::Server(_) | Self::Unreadable => "ApiServerError",
            Self::Unreachable => "ApiServerUnreachable",
            Self::Fenced => "NotTheHolder",
        }
    }

    /// Whether the API server as such seems to be away. One that answers, if only to say that it has too much to do, is
    /// not: asking it sooner than it wants because somebody else got through would make that worse.
    pub(super) const fn is_outage(&self) -> bool {
        match self {
            // Whatever was fenced is tried again with the rest, where the replica gets so far.
            Self::Unreachable | Self::Fenced => true,
            Self::Server(_)
            | Self::Throttled(_)
            | Self::NotFound
            | Self::AlreadyExists
            | Self::Conflict
            | Self::Forbidden(_)
            | Self::Invalid(_)
            | Self::Unreadable => false,
        }
    }
}

impl From<request::Error> for ApiError {
    fn from(_: request::Error) -> Self {
        // Only a name or path that cannot stand in a URL gets here.
        Self::Invalid("the name cannot be used in a request".to_owned())
    }
}

/// What an answer in the form of [`METADATA_ONLY`] is needed for.
#[derive(Deserialize)]
pub(super) struct Written {
    metadata: WrittenMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMetadata {
    #[serde(default)]
    resource_version: String,
}

impl Written {
    /// The version that the write made.
    pub(super) fn into_resource_version(self) -> String {
        self.metadata.resource_version
    }
}

impl Api {
    pub(super) fn new(client: Client) -> Self {
        Self { client, fence: Fence::open() }
    }

    /// The same, which sends a write only while `fence` is open.
    pub(super) fn behind(&self, fence: &Fence) -> Self {
        Self { client: self.client.clone(), fence: fence.clone() }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sends a request and gives its answer's body.
    pub(super) async fn send(&self, request: Request) -> Result<Bytes, ApiError> {
        let is_read = request.method() == http::Method::GET;
        let exchange = async {
            let answer = self.client.send(request).await.map_err(|_| ApiError::Unreachable)?;
            let (head, body) = answer.into_parts();
            let body = body.collect_bytes().await.map_err(|_| ApiError::Unreachable)?;
            if head.status.is_success() {
                return Ok(body);
            }
            let after = head.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            Err(refused(head.status.as_u16(), after, &body))
        };
        let exchange = tokio::time::timeout(PATIENCE, exchange);
        let answer = if is_read { Some(exchange.await) } else { self.fenced(exchange).await };
        answer.map_or(Err(ApiError::Fenced), |answer| answer.unwrap_or(Err(ApiError::Unreachable)))
    }

    /// Runs a write as long as the fence is open, and no step further: one that waits for a connection must not be sent
    /// when it has become another replica's. `None` is one that was given up.
    async fn fenced<T>(&self, exchange: impl Future<Output = T>) -> Option<T> {
        let mut exchange = std::pin::pin!(exchange);
        let mut shut = std::pin::pin!(self.fence.shut());
        std::future::poll_fn(|context| {
            if shut.as_mut().poll(context).is_ready() || !self.fence.is_open() {
                return Poll::Ready(None);
            }
            exchange.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Sends a request whose answer is wanted as `T` and holds no secret.
    pub(super) async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T, ApiError> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|_| ApiError::Unreadable)
    }

    /// Reads one object that holds no secret.
    pub(super) async fn get<K>(&self, namespace: &str, name: &str) -> Result<K, ApiError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.call(with_body(at::<K>(namespace).get(name, &GetParams::default())?)).await
    }

    /// Patches the status of the object at `path` of this uid: another of the same name that has come since is refused a
    /// stranger's. Gives the version that it made.
    pub(super) async fn patch_status(
        &self,
        path: String,
        name: &str,
        uid: Option<&str>,
        status: impl Serialize,
    ) -> Result<String, ApiError> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "metadata": { "uid": uid }, "status": status }));
        let request = request::Request::new(path).patch_subresource("status", name, &parameters, &patch)?;
        self.write(with_body(request)).await
    }

    /// Leaves the object at `path` with these finalizers, if it still has that version; one that is gone needs none.
    pub(super) async fn leave_finalizers(
        &self,
        path: String,
        name: &str,
        rest: impl Serialize,
        version: Option<&str>,
    ) -> Result<(), ApiError> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": rest, "resourceVersion": version } }));
        match self.write(with_body(request::Request::new(path).patch(name, &parameters, &patch)?)).await {
            Ok(_) | Err(ApiError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a write and gives the version that it made. The answer holds metadata only.
    pub(super) async fn write(&self, mut request: Request) -> Result<String, ApiError> {
        if let Ok(accept) = METADATA_ONLY.parse() {
            request.headers_mut().insert("accept", accept);
        }
        self.call::<Written>(request).await.map(Written::into_resource_version)
    }
}

/// A request builder for the resources of type `K` in `namespace`.
pub(super) fn at<K: Resource<DynamicType = ()>>(namespace: &str) -> request::Request {
    request::Request::new(K::url_path(&(), Some(namespace)))
}

/// Gives a request the body type that the client takes.
pub(super) fn with_body(request: http::Request<Vec<u8>>) -> Request {
    request.map(Body::from)
}

/// Overwrites an answer that held secrets, as far as it is ours alone.
pub(super) fn wipe(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}

/// Name and namespace as a list gives them, empty where missing.
pub(super) fn place(metadata: &ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn refused(code: u16, after: Option<u64>, body: &[u8]) -> ApiError {
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    let after = after.map(Duration::from_secs);
    match code {
        404 => ApiError::NotFound,
        409 if status.reason == "AlreadyExists" => ApiError::AlreadyExists,
        409 => ApiError::Conflict,
        401 | 403 => ApiError::Forbidden(forbidden(&status)),
        400 | 413 | 422 => ApiError::Invalid(causes(&status)),
        429 => ApiError::Throttled(after),
        503 if after.is_some() => ApiError::Throttled(after),
        other => ApiError::Server(other),
    }
}

/// The kind that may not be touched; the server's sentence names users and roles, which do not belong in a status.
fn forbidden(status: &Status) -> String {
    let details = status.details.as_ref();
    let kind = details.map(|d| d.kind.as_str()).filter(|kind| !kind.is_empty()).unwrap_or("request");
    let terminating = details.is_some_and(|d| d.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"));
    if terminating { "the namespace is being deleted".to_owned() } else { format!("{kind} refused by the API server") }
}

/// The fields at fault and the kind of fault: the server's sentences may quote what is in the fields.
fn causes(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut words: Vec<_> = causes.map(|cause| format!("{} ({})", cause.field, cause.reason)).collect();
    words.dedup();
    words.truncate(5);
    if words.is_empty() { status.reason.clone() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(fence: &Fence) -> Api {
        let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:9"));
        Api::new(Client::try_from(config).unwrap()).behind(fence)
    }

    #[tokio::test]
    async fn behind_a_shut_fence_no_write_takes_a_single_step() {
        let fence = Fence::open();
        let api = api(&fence);
        assert_eq!(api.fenced(async { 1 }).await, Some(1));
        fence.shut_now();
        let step = async { panic!("it went on") };
        assert_eq!(api.fenced::<()>(step).await, None);
        let write = http::Request::post("/").body(Body::empty()).unwrap();
        assert_eq!(api.send(write).await.unwrap_err(), ApiError::Fenced);
        let read = http::Request::get("/").body(Body::empty()).unwrap();
        assert_eq!(api.send(read).await.unwrap_err(), ApiError::Unreachable, "reading is always allowed");
    }

    #[tokio::test]
    async fn a_write_under_way_ends_when_the_fence_shuts() {
        let fence = Fence::closed();
        fence.open_until(tokio::time::Instant::now() + Duration::from_millis(100));
        let api = api(&fence);
        let write = api.fenced(std::future::pending::<()>());
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), write).await, Ok(None));
    }
}
