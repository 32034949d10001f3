//! The Secrets of a namespace, of this cluster or another.
//!
//! A key is the name of a Secret; versions and paths mean nothing here. What a fetch asks of one Secret is answered
//! from one GET, and a GET that is to give labels and annotations only does not transfer the data.

mod access;
mod secret;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, StreamExt as _};

use self::secret::Secret;
use self::server::Server;
use super::names::Names;
use super::{Cause, Gate, Provider, ProviderError};
use crate::secret::Plaintext;
use crate::sync::remote::{Answer, Document, Fetched, Find, Lookup, Request};

/// GETs of one fetch that are under way at the same time.
const AT_ONCE: usize = 8;

/// A store in a namespace of a cluster.
pub struct Settings {
    /// Speaks to the cluster with the right credentials.
    pub client: kube::Client,
    /// The namespace whose Secrets are read.
    pub namespace: String,
}

struct Kubernetes {
    server: Server,
}

/// Makes the store. No call is made yet.
///
/// # Errors
/// If the namespace is no name of one.
pub fn connect(settings: Settings, gate: Gate) -> Result<Arc<dyn Provider>, ProviderError> {
    let Settings { client, namespace } = settings;
    if !is_name(&namespace) {
        let message = format!("{namespace:?} cannot be the name of a namespace");
        return Err(ProviderError::new(Cause::Misconfigured, message));
    }
    Ok(Arc::new(Kubernetes { server: Server::new(client, namespace, gate) }))
}

impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        "Kubernetes"
    }

    fn batch_size(&self) -> usize {
        AT_ONCE
    }

    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>> {
        async move {
            let mut ways = Vec::new();
            for (job, needs_data) in jobs(&requests) {
                ways.push(async move { (job, self.run(job, needs_data).await) });
            }
            let done: BTreeMap<_, _> = stream::iter(ways).buffer_unordered(AT_ONCE).collect().await;
            let answer = |request| match done.get(&Job::of(request)) {
                Some(Ok(found)) => found.answer(request),
                Some(Err(error)) => Err(error.clone()),
                None => Err(ProviderError::new(Cause::Unavailable, "it was not asked")),
            };
            requests.iter().map(answer).collect()
        }
        .boxed()
    }

    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        access::may_get_secrets(&self.server).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// What it takes one way to the server to find out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Job<'a> {
    Get(&'a str),
    Find(&'a Find),
}

impl<'a> Job<'a> {
    fn of(request: &'a Request) -> Self {
        match request {
            Request::Value(Lookup { key, .. }) | Request::Metadata(Lookup { key, .. }) => Self::Get(key),
            Request::Find(find) => Self::Find(find),
        }
    }
}

/// Each job once, and whether the data of the Secret is needed.
fn jobs(requests: &[Request]) -> BTreeMap<Job<'_>, bool> {
    let mut jobs = BTreeMap::new();
    for request in requests {
        *jobs.entry(Job::of(request)).or_default() |= !matches!(request, Request::Metadata(_));
    }
    jobs
}

/// What a job found.
enum Found {
    One(Secret),
    Many(BTreeMap<String, Secret>),
}

impl Kubernetes {
    async fn run(&self, job: Job<'_>, needs_data: bool) -> Result<Found, ProviderError> {
        match job {
            Job::Get(name) if !is_name(name) => {
                Err(ProviderError::new(Cause::Invalid, format!("{name:?} cannot be the name of a Secret")))
            }
            Job::Get(name) => self.server.get(name, needs_data).await.map(Found::One),
            Job::Find(find) => self.find(find).await.map(Found::Many),
        }
    }

    /// Tags are labels, which the server looks at; where there are any, the name is not asked for.
    async fn find(&self, find: &Find) -> Result<BTreeMap<String, Secret>, ProviderError> {
        if find.tags.is_empty() {
            let names = Names::of(find)?;
            self.server.list(None, |name| names.has(name)).await
        } else {
            self.server.list(Some(selector(&find.tags)?), |_| true).await
        }
    }
}

impl Found {
    fn answer(&self, request: &Request) -> Result<Answer, ProviderError> {
        match (self, request) {
            (Self::One(secret), Request::Metadata(_)) => {
                let document = Document::Object(secret.metadata()?);
                Ok(Answer::One(Fetched { document, version: secret.version() }))
            }
            (Self::One(secret), _) => Ok(Answer::One(fetched(secret))),
            (Self::Many(secrets), _) => {
                let all = secrets.iter().map(|(name, secret)| (name.clone(), fetched(secret)));
                Ok(Answer::Many(all.collect()))
            }
        }
    }
}

fn fetched(secret: &Secret) -> Fetched {
    let values = secret.data.iter().map(|(key, value)| (key.clone(), Plaintext::copy_of(value.expose())));
    Fetched { document: Document::Fields(values.collect()), version: secret.version() }
}

/// Whether it can be the name of an object. What cannot must not get into a URL.
fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let is_outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 253 && bytes.iter().copied().all(is_inner) && is_outer(bytes.first()) && is_outer(bytes.last())
}

/// A label selector for all of `tags`. What is no label would be read as another selector.
fn selector(tags: &BTreeMap<String, String>) -> Result<String, ProviderError> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|byte| is_inner(byte) || byte == b'/');
    let mut terms = Vec::with_capacity(tags.len());
    for (key, value) in tags {
        if !is_key(key) || !value.bytes().all(is_inner) {
            let message = format!("find.tags: {key:?} with {value:?} cannot be a label");
            return Err(ProviderError::new(Cause::Invalid, message));
        }
        terms.push(format!("{key}={value}"));
    }
    Ok(terms.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_get_into_a_url() {
        for name in ["a", "a.b-c", "0", &"a".repeat(253)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "../configmaps/a", "a?watch=1", "a/b", "A", "a%2f", "a#", "-a", "a-", "ä"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_name(&"a".repeat(254)));
    }

    #[test]
    fn tags_are_labels_and_nothing_else() {
        let tags = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(selector(&tags("app.kubernetes.io/name", "a_b-c.1")).unwrap(), "app.kubernetes.io/name=a_b-c.1");
        assert_eq!(selector(&tags("a", "")).unwrap(), "a=");
        for (key, value) in [("a", "b,c!=d"), ("a!", "b"), ("", "b"), ("a in (b)", "c"), ("a", "b=c")] {
            assert_eq!(selector(&tags(key, value)).unwrap_err().cause, Cause::Invalid, "{key}={value}");
        }
    }
}
