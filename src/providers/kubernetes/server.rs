//! Talking to an API server without leaving traces of what was said.
//!
//! kube's typed calls log an answer that does not parse, and an answer may be a Secret. These do not: their errors are
//! facts (a status code, a reason), never a body.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::core::v1;
use kube::Resource;
use kube::api::{GetParams, ListParams};
use kube::client::Body;
use kube::core::request;
use serde::Deserialize;
use zeroize::Zeroize as _;

use super::secret::{self, Secret};
use crate::providers::{Cause, Gate, ProviderError};

/// Secrets of a page: a page of full ones may then be 50 MiB.
const PAGE: u32 = 50;

/// Asks for an answer without data.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// An API server, and the namespace in it that is ours to read.
pub(super) struct Server {
    client: kube::Client,
    namespace: String,
    gate: Gate,
}

/// Why a call failed.
enum Fault {
    /// An answer that is not a success.
    Status {
        code: u16,
        /// The reason in the words of Kubernetes; empty where the answer was not the API server's.
        reason: String,
        after: Option<Duration>,
    },
    /// No answer.
    Transport(kube::Error),
    /// An answer that does not parse.
    Unreadable,
    /// A request that cannot be written.
    Unwritable,
}

/// A refusal as an API server writes it.
#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    reason: String,
}

impl Server {
    pub(super) const fn new(client: kube::Client, namespace: String, gate: Gate) -> Self {
        Self { client, namespace, gate }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Reads one Secret, without its data unless that is needed.
    pub(super) async fn get(&self, name: &str, needs_data: bool) -> Result<Secret, ProviderError> {
        let exchange = async {
            let mut request = self.secrets().get(name, &GetParams::default()).map_err(|_| Fault::Unwritable)?;
            if !needs_data && let Ok(accept) = METADATA_ONLY.parse() {
                request.headers_mut().insert("accept", accept);
            }
            let body = self.send(request.map(Body::from)).await?;
            let secret = secret::one(&body);
            wipe(body);
            secret.ok_or(Fault::Unreadable)
        };
        let explained = async { exchange.await.map_err(|fault| self.explain(&fault, Some(name))) };
        self.gate.call("GetSecret", explained).await
    }

    /// Reads the Secrets that have the labels of the selector and a name that is wanted.
    pub(super) async fn list(
        &self,
        selector: Option<String>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Secret>, ProviderError> {
        let mut params = ListParams { label_selector: selector, limit: Some(PAGE), ..ListParams::default() };
        let mut found = BTreeMap::new();
        let mut has_expired = false;
        loop {
            let exchange = async {
                let request = self.secrets().list(&params).map_err(|_| Fault::Unwritable)?;
                let body = match self.send(request.map(Body::from)).await {
                    // The list has grown too old while we went through its pages.
                    Err(Fault::Status { code: 410, .. }) if !has_expired => return Ok(None),
                    sent => sent?,
                };
                let next = secret::page(&body, &mut found, &is_wanted);
                wipe(body);
                next.map(Some).ok_or(Fault::Unreadable)
            };
            let explained = async { exchange.await.map_err(|fault| self.explain(&fault, None)) };
            match self.gate.call("ListSecrets", explained).await? {
                Some(next) if next.is_empty() => return Ok(found),
                Some(next) => params.continue_token = Some(next),
                None => {
                    has_expired = true;
                    params.continue_token = None;
                    found.clear();
                }
            }
        }
    }

    /// Sends a review of our own rights; neither it nor its answer is secret.
    pub(super) async fn review(
        &self,
        call: &'static str,
        kind: &str,
        spec: &serde_json::Value,
    ) -> Result<Bytes, ProviderError> {
        let review = serde_json::json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
        let exchange = async {
            let path = format!("/apis/authorization.k8s.io/v1/{}s", kind.to_ascii_lowercase());
            let request = http::Request::post(path).header("content-type", "application/json");
            let request = request.body(Body::from(review.to_string().into_bytes()));
            self.send(request.map_err(|_| Fault::Unwritable)?).await
        };
        let explained = async { exchange.await.map_err(|fault| self.explain(&fault, None)) };
        self.gate.call(call, explained).await
    }

    fn secrets(&self) -> request::Request {
        request::Request::new(v1::Secret::url_path(&(), Some(&self.namespace)))
    }

    async fn send(&self, request: http::Request<Body>) -> Result<Bytes, Fault> {
        let answer = self.client.send(request).await.map_err(Fault::Transport)?;
        let (head, body) = answer.into_parts();
        let body = body.collect_bytes().await.map_err(Fault::Transport)?;
        if head.status.is_success() {
            return Ok(body);
        }
        let after = head.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let status: Status = serde_json::from_slice(&body).unwrap_or_default();
        Err(Fault::Status { code: head.status.as_u16(), reason: status.reason, after: after.map(Duration::from_secs) })
    }

    /// Says it with the kind and the name that were asked for.
    fn explain(&self, fault: &Fault, name: Option<&str>) -> ProviderError {
        let namespace = &self.namespace;
        let what = name.map_or_else(
            || format!("Secrets in namespace {namespace:?}"),
            |name| format!("Secret {name:?} in namespace {namespace:?}"),
        );
        let (cause, why) = match fault {
            Fault::Status { code, reason, after } => refused(*code, reason, *after, name.is_some()),
            Fault::Transport(kube::Error::Auth(_)) => {
                // What an authentication helper said may be in there.
                (Cause::Unauthenticated, "the credentials for the API server cannot be had".to_owned())
            }
            Fault::Transport(error) => (Cause::Unavailable, format!("no answer from the API server: {}", root(error))),
            Fault::Unreadable => (Cause::Unavailable, "the API server's answer does not make sense".to_owned()),
            Fault::Unwritable => (Cause::Invalid, "it cannot be asked for".to_owned()),
        };
        ProviderError::new(cause, format!("{what}: {why}"))
    }
}

fn refused(code: u16, reason: &str, after: Option<Duration>, is_one: bool) -> (Cause, String) {
    let cause = match code {
        401 => Cause::Unauthenticated,
        403 => Cause::Denied,
        // Only the API server knows what does not exist: any other server that says so is the wrong one.
        404 if is_one && reason == "NotFound" => return (Cause::Missing, "not found".to_owned()),
        400 | 422 => Cause::Invalid,
        429 => Cause::Throttled { after },
        503 if after.is_some() => Cause::Throttled { after },
        300..=499 if reason.is_empty() => Cause::Misconfigured,
        _ => Cause::Unavailable,
    };
    let why = match cause {
        Cause::Unauthenticated => "the API server does not accept the store's credentials".to_owned(),
        Cause::Denied => "the store's account is not allowed to read it".to_owned(),
        Cause::Throttled { .. } => "the API server asks to slow down".to_owned(),
        Cause::Misconfigured => format!("the server answered {code}, and not as an API server does"),
        Cause::Missing | Cause::Invalid | Cause::Unavailable => format!("the API server answered {code} {reason}"),
    };
    (cause, why.trim_end().to_owned())
}

/// The innermost cause: a refused connection, a certificate that is not trusted.
fn root(error: &kube::Error) -> String {
    let mut root = error.source();
    while let Some(next) = root.and_then(std::error::Error::source) {
        root = Some(next);
    }
    root.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// Overwrites an answer that held secrets, as far as it is ours alone.
fn wipe(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_api_server_can_say_that_a_secret_is_missing() {
        let cause = |code, reason, is_one| refused(code, reason, None, is_one).0;
        assert_eq!(cause(404, "NotFound", true), Cause::Missing);
        // A list that is not found, and a page of another server.
        assert_ne!(cause(404, "NotFound", false), Cause::Missing);
        assert_eq!(cause(404, "", true), Cause::Misconfigured);
        assert_eq!(cause(301, "", true), Cause::Misconfigured);
    }

    #[test]
    fn a_status_has_its_cause() {
        let after = Some(Duration::from_secs(3));
        assert_eq!(refused(401, "Unauthorized", None, true).0, Cause::Unauthenticated);
        assert_eq!(refused(403, "Forbidden", None, true).0, Cause::Denied);
        assert_eq!(refused(429, "TooManyRequests", after, true).0, Cause::Throttled { after });
        assert_eq!(refused(503, "", after, true).0, Cause::Throttled { after });
        assert_eq!(refused(503, "", None, true).0, Cause::Unavailable);
        assert_eq!(refused(500, "", None, true), (Cause::Unavailable, "the API server answered 500".to_owned()));
    }
}
