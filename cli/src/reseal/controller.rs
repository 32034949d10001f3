//! Values sealed again by the controller, which holds the keys: the plaintext never leaves the cluster.
//!
//! It is asked as kubeseal asks it, at `/v1/rotate` through the API server's service proxy, with the user's own rights.
//! It seals to its own newest key and to nobody whom a caller names: else whoever can ask could read every value. So
//! what takes other recipients, or another format, is refused here and needs private keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bulla::seal::{self, Binding, Format, KeyId, Recipient, Standing, Targets};
use bulla_crds::sealed_secret::{API_VERSION, KIND};
use http::{Request, StatusCode, header};
use jiff::civil::Date;
use k8s_openapi::api::core::v1::Service;
use kube::client::Body;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::cluster::{self, ClusterArguments, PublishedKey};
use crate::failure::{Failure, OrFail as _, Outcome, usage};

/// Names of the controller's Service, as our manifests, our chart and kubeseal have it.
const SERVICES: [&str; 3] = ["bulla-controller", "bulla", "sealed-secrets-controller"];
/// How often a request is sent before it counts as failed: the controller answers so many a second, and says when to
/// come back.
const TRIES: usize = 600;
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// The controller of a cluster.
pub(crate) struct Controller {
    runtime: Runtime,
    client: Client,
    proxy: String,
    newest: BTreeSet<KeyId>,
    /// Why nothing can be asked any more.
    broken: Mutex<Option<String>>,
}

/// The values of one object that are to be sealed again, and what binds them.
pub(super) struct Object<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) annotations: &'a BTreeMap<String, String>,
    pub(super) values: Vec<(&'a str, &'a str)>,
}

/// What became of one value.
pub(super) enum Answer {
    Kept,
    Sealed(String),
    Refused(String),
}

/// What the controller says to a request.
enum Reply {
    Values(BTreeMap<String, String>),
    /// Something is wrong with one of the values, or there are too many.
    Refused(String),
}

impl Controller {
    /// Connects with the user's own credentials and finds the controller's Service. Gives what the cluster publishes, too.
    pub(crate) fn connect(arguments: &ClusterArguments, service: Option<&str>) -> Outcome<(Self, Vec<PublishedKey>)> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let namespace = &arguments.controller_namespace;
        let (client, published, proxy) = runtime.block_on(async {
            let client = cluster::connect(&arguments.connection).await?;
            let published = cluster::published_in(&client, namespace).await?;
            let proxy = find(&client, namespace, service).await?;
            Outcome::Ok((client, published, proxy))
        })?;
        let newest = newest(&published)?;
        let newest = newest.iter().map(Recipient::key_id).collect();
        Ok((Self { runtime, client, proxy, newest, broken: Mutex::new(None) }, published))
    }

    /// Why nothing can be asked any more, if it is so.
    pub(super) fn broken(&self) -> Option<Failure> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.as_ref().map(|reason| usage!("{reason}"))
    }

    /// Why the controller cannot bring a value to whom it should be sealed to, as far as that is known before it is
    /// asked.
    pub(super) fn cannot(&self, targets: &Targets, format: Format, keys: &[KeyId]) -> Option<String> {
        let is_native = |recipient: &&Recipient| recipient.certificate().is_none();
        let becomes_native = targets.is_native_only || targets.exactly.iter().any(|recipient| is_native(&recipient));
        if format == Format::Kubeseal && becomes_native {
            return Some("is in kubeseal's format, which the controller keeps: moving it takes --identity".to_owned());
        }
        let wanted = targets.exactly.iter().chain(&targets.added).map(Recipient::key_id);
        let strangers: Vec<String> =
            wanted.filter(|id| !self.newest.contains(id) && !keys.contains(id)).map(|id| id.to_string()).collect();
        (!strangers.is_empty()).then(|| {
            format!(
                "is to be sealed to {} too, and the controller seals to nobody whom a caller names: that takes --identity",
                strangers.join(" and ")
            )
        })
    }

    /// Has the values of one object sealed again. Where one of them is refused, the others are asked for without it.
    pub(super) fn reseal(&self, object: &Object<'_>, targets: &Targets, today: Date) -> Vec<Answer> {
        self.some(object, &object.values, targets, today)
    }

    fn some(&self, object: &Object<'_>, values: &[(&str, &str)], targets: &Targets, today: Date) -> Vec<Answer> {
        let all = |answer: &dyn Fn() -> Answer| values.iter().map(|_| answer()).collect();
        if let Some(failure) = self.broken() {
            return all(&|| Answer::Refused(failure.to_string()));
        }
        match self.ask(object, values) {
            Ok(Reply::Values(mut answered)) => {
                let check = |(key, old): &(&str, &str)| match answered.remove(*key) {
                    None => Answer::Refused("is missing in the controller's answer".to_owned()),
                    Some(new) if new == *old => Answer::Kept,
                    Some(new) => {
                        is_right(old, &new, targets, today).map_or_else(|| Answer::Sealed(new), Answer::Refused)
                    }
                };
                values.iter().map(check).collect()
            }
            // Alone it is known which one it is about.
            Ok(Reply::Refused(reason)) if values.len() == 1 => all(&|| Answer::Refused(reason.clone())),
            Ok(Reply::Refused(_)) => {
                let (some, others) = values.split_at(values.len() / 2);
                let mut answers = self.some(object, some, targets, today);
                answers.extend(self.some(object, others, targets, today));
                answers
            }
            Err(failure) => {
                let reason = failure.to_string();
                self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.clone());
                all(&|| Answer::Refused(reason.clone()))
            }
        }
    }

    fn ask(&self, object: &Object<'_>, values: &[(&str, &str)]) -> Outcome<Reply> {
        // Only what binds the values is sent.
        let scopes = object.annotations.iter().filter(|(name, _)| {
            [seal::Scope::CLUSTER_WIDE_ANNOTATION, seal::Scope::NAMESPACE_WIDE_ANNOTATION].contains(&name.as_str())
        });
        let scopes: BTreeMap<_, _> = scopes.collect();
        let values: BTreeMap<_, _> = values.iter().copied().collect();
        let body = json!({
            "apiVersion": API_VERSION, "kind": KIND,
            "metadata": {"name": object.name, "namespace": object.namespace, "annotations": scopes},
            "spec": {"encryptedData": values},
        });
        let body = serde_json::to_vec(&body).or_usage("writing JSON")?;
        self.runtime.block_on(self.send(&body))
    }

    async fn send(&self, body: &[u8]) -> Outcome<Reply> {
        let named = || "asking the controller through the API server's service proxy";
        for _ in 0..TRIES {
            let request = Request::post(format!("{}/v1/rotate", self.proxy))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_vec()))
                .or_usage(named())?;
            let response = self.client.send(request).await.or_usage(named())?;
            let status = response.status();
            let wait = retry_after(response.headers());
            let answer = response.into_body().collect_bytes().await.or_usage(named())?;
            match status {
                StatusCode::OK => return read(&answer).map(Reply::Values),
                StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                    return Ok(Reply::Refused(reason(&answer)));
                }
                // The controller's own word for it; the API server's, where there is no endpoint, has no date.
                StatusCode::TOO_MANY_REQUESTS => {
                    tokio::time::sleep(wait.unwrap_or(Duration::from_millis(500)).min(LONGEST)).await;
                }
                StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => {
                    tokio::time::sleep(wait.unwrap_or_default().min(LONGEST)).await;
                }
                other => return Err(usage!("{}: {} {}", named(), other.as_u16(), reason(&answer))),
            }
        }
        Err(usage!("the controller was too busy for too long: see its --rate-limit, or use --identity"))
    }
}

/// The newest active key of each format that the cluster publishes.
pub(crate) fn newest(published: &[PublishedKey]) -> Outcome<Vec<Recipient>> {
    let newest = |is_native: bool| {
        let mut active = published.iter().rev().filter(|key| key.state == "active");
        active.find(|key| key.recipient.is_some() == is_native).map(PublishedKey::to_recipient).transpose()
    };
    Ok([newest(true)?, newest(false)?].into_iter().flatten().collect())
}

/// The path of the proxy to the controller's Service.
async fn find(client: &Client, namespace: &str, service: Option<&str>) -> Outcome<String> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let path = |name: &str, port: &str| format!("/api/v1/namespaces/{namespace}/services/http:{name}:{port}/proxy");
    let candidates = service.map_or_else(|| SERVICES.to_vec(), |service| vec![service]);
    for name in &candidates {
        match services.get_opt(name).await {
            Ok(Some(found)) => {
                // As kubeseal does: the name of the first port.
                let ports = found.spec.and_then(|spec| spec.ports).unwrap_or_default();
                return Ok(path(name, ports.first().and_then(|port| port.name.as_deref()).unwrap_or_default()));
            }
            Ok(None) => {}
            // Who may use the proxy may not always look at the Service.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                if service.is_some() {
                    return Ok(path(name, "http"));
                }
            }
            Err(error) => return Err(error).or_usage(format!("looking for Service {name} in namespace {namespace}")),
        }
    }
    Err(usage!(
        "found no Service of the controller in namespace {namespace} (looked for {}): name it with --controller-service, or \
         use --identity",
        candidates.join(", ")
    ))
}

fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

fn read(answer: &[u8]) -> Outcome<BTreeMap<String, String>> {
    let odd = || usage!("the controller's answer is not a SealedSecret");
    let mut object: Value =
        if answer.len() > MAX_ANSWER { None } else { serde_json::from_slice(answer).ok() }.ok_or_else(odd)?;
    let values = object.pointer_mut("/spec/encryptedData").map(Value::take).ok_or_else(odd)?;
    serde_json::from_value(values).map_err(|_| odd())
}

/// What an answer that says no says: Kubernetes' `Status`, or a text.
fn reason(answer: &[u8]) -> String {
    let status: Option<Value> = serde_json::from_slice(answer).ok();
    let message = status.as_ref().and_then(|status| status["message"].as_str()).map(str::to_owned);
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(&answer[..answer.len().min(500)]).into_owned());
    text.trim().to_owned()
}

/// What is wrong with an answer: a value must say of itself what it said before, but for its keys and its day.
fn is_right(old: &str, new: &str, targets: &Targets, today: Date) -> Option<String> {
    let (Ok(old), Ok(new)) = (seal::inspect(old), seal::inspect(new)) else {
        return Some("came back from the controller as something that is not sealed".to_owned());
    };
    let bound = |binding: &Binding| Binding { keys: Vec::new(), sealed: today, ..binding.clone() };
    let is_same = old.format == new.format
        && old.binding.as_ref().is_none_or(|old| new.binding.as_ref().is_some_and(|new| bound(old) == bound(new)));
    if !is_same {
        return Some("came back from the controller bound to another place or in another format".to_owned());
    }
    let keys: Vec<String> = new.binding.iter().flat_map(|binding| &binding.keys).map(ToString::to_string).collect();
    (targets.standing(&new, &seal::Keyring::new()) == Standing::Stale).then(|| {
        format!(
            "was sealed by the controller to {}, which is not to whom it should be: that takes --identity",
            keys.join(" and ")
        )
    })
}
