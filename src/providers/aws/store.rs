//! How requests become calls, whichever the service: each remote secret once, together where that is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::calls::Calls;
use crate::providers::{Cause, Provider, ProviderError};
use crate::secret::Plaintext;
use crate::sync::remote::{Answer, Document, Fetched, Find, Lookup, Request};

/// Calls of one fetch that are under way at the same time.
const AT_ONCE: usize = 8;
/// How long it is remembered that something cannot be asked for together.
const APART: Duration = Duration::from_secs(600);

/// One remote secret in one version, under its full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    /// The name with the store's prefix, or an ARN.
    pub(super) name: String,
    /// The version in the service's words; `None` is the current one.
    pub(super) version: Option<String>,
}

/// What a service found that a [`Find`] asks for.
pub(super) enum Found {
    /// Names only; the values are still to be read.
    Names(Vec<String>),
    /// Names and values.
    Values(BTreeMap<String, Fetched>),
}

/// What is read of a secret.
pub(super) type Read = Result<Fetched, ProviderError>;

/// A service of AWS that keeps secrets.
pub(super) trait Service: Send + Sync + 'static {
    /// The name that metrics have.
    const NAME: &'static str;
    /// How many secrets one call can read.
    const BATCH: usize;

    /// How calls are made.
    fn calls(&self) -> &Calls;
    /// What an error says that it is about.
    fn what(name: &str) -> String;
    /// The name that the service knows the version by; the current one has none.
    fn version(version: Option<&str>) -> Option<String>;
    /// Whether it can be read together with others.
    fn is_batched(id: &Id) -> bool;
    /// Reads one secret.
    fn one(&self, id: &Id) -> impl Future<Output = Read> + Send;
    /// Reads several secrets by one call. Those whose answer is not clear are left out. An error names none of them.
    fn several(&self, ids: &[&Id]) -> impl Future<Output = Result<BTreeMap<Id, Read>, ProviderError>> + Send;
    /// Reads the tags of a secret, as a JSON object of texts.
    fn tags(&self, name: &str) -> impl Future<Output = Read> + Send;
    /// Looks for secrets. `prefix` is the store's.
    fn find(&self, find: &Find, prefix: &str) -> impl Future<Output = Result<Found, ProviderError>> + Send;
}

/// A store of a service.
pub(super) struct Store<S> {
    service: S,
    prefix: String,
    apart: Mutex<Apart>,
}

/// What cannot be asked for together, and since when.
#[derive(Default)]
struct Apart {
    /// Anything: the policy does not allow the call.
    all: Option<Instant>,
    /// What spoils the call for the others.
    names: BTreeMap<Id, Instant>,
}

impl<S: Service> Store<S> {
    pub(super) fn new(service: S, prefix: String) -> Self {
        Self { service, prefix, apart: Mutex::default() }
    }

    fn id(&self, lookup: &Lookup) -> Id {
        let version = S::version(lookup.version.as_deref().filter(|version| !version.is_empty()));
        Id { name: format!("{}{}", self.prefix, lookup.key), version }
    }

    fn apart(&self) -> MutexGuard<'_, Apart> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads every one of `ids`, in as few calls as possible.
    async fn values(&self, ids: &BTreeSet<Id>) -> BTreeMap<Id, Read> {
        let (mut together, mut singly) = (Vec::new(), Vec::new());
        {
            let mut apart = self.apart();
            apart.names.retain(|_, since| since.elapsed() < APART);
            apart.all = apart.all.filter(|since| since.elapsed() < APART);
            for id in ids {
                let is_together = S::is_batched(id) && apart.all.is_none() && !apart.names.contains_key(id);
                if is_together { &mut together } else { &mut singly }.push(id);
            }
        }
        if together.len() == 1 {
            // The plain call needs the smaller permission.
            singly.append(&mut together);
        }
        let mut jobs: Vec<BoxFuture<'_, BTreeMap<Id, Read>>> = Vec::new();
        for batch in together.chunks(S::BATCH) {
            jobs.push(self.batch(batch).boxed());
        }
        for id in singly {
            jobs.push(async move { BTreeMap::from([(id.clone(), self.service.one(id).await)]) }.boxed());
        }
        stream::iter(jobs).buffer_unordered(AT_ONCE).concat().await
    }

    /// Reads secrets together, and those whose answer is not clear one by one.
    async fn batch(&self, ids: &[&Id]) -> BTreeMap<Id, Read> {
        let (mut read, is_denied) = match self.service.several(ids).await {
            Ok(read) => (read, false),
            Err(error) => match error.cause {
                // One of them may have spoilt it for the others.
                Cause::Missing | Cause::Invalid => (BTreeMap::new(), false),
                Cause::Denied => (BTreeMap::new(), true),
                Cause::Unauthenticated | Cause::Throttled { .. } | Cause::Unavailable | Cause::Misconfigured => {
                    return ids.iter().map(|&id| (id.clone(), Err(about(&S::what(&id.name), &error)))).collect();
                }
            },
        };
        let was_refused = read.is_empty();
        let unclear: Vec<_> = ids.iter().copied().filter(|id| !read.contains_key(*id)).collect();
        let mut jobs = Vec::new();
        for id in unclear {
            jobs.push(async move { (id.clone(), self.service.one(id).await) }.boxed());
        }
        let singles: Vec<_> = stream::iter(jobs).buffer_unordered(AT_ONCE).collect().await;
        if was_refused {
            let mut apart = self.apart();
            let spoils =
                |read: &Read| read.as_ref().is_err_and(|error| matches!(error.cause, Cause::Denied | Cause::Invalid));
            let spoilers: Vec<_> = singles.iter().filter(|(_, read)| spoils(read)).map(|(id, _)| id.clone()).collect();
            if is_denied && spoilers.is_empty() {
                tracing::debug!(service = S::NAME, "secrets cannot be read together; they are read one by one");
                apart.all = Some(Instant::now());
            }
            apart.names.extend(spoilers.into_iter().map(|id| (id, Instant::now())));
        }
        read.extend(singles);
        read
    }

    async fn find(&self, find: &Find) -> Result<Answer, ProviderError> {
        if find.name.is_none() && find.tags.is_empty() {
            return Err(ProviderError::new(Cause::Invalid, "find must have a name or tags"));
        }
        let names = match self.service.find(find, &self.prefix).await? {
            Found::Values(values) => return Ok(Answer::Many(values)),
            Found::Names(names) => names,
        };
        let ids = names.into_iter().map(|name| Id { name, version: None }).collect();
        let mut found = BTreeMap::new();
        for (id, read) in self.values(&ids).await {
            match read {
                Ok(fetched) => {
                    found.insert(id.name, fetched);
                }
                // It was deleted since it was listed.
                Err(error) if error.cause == Cause::Missing => {}
                // Otherwise a key would be gone from the Secret without a word.
                Err(error) => return Err(error),
            }
        }
        Ok(Answer::Many(found))
    }
}

impl<S: Service> Provider for Store<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn batch_size(&self) -> usize {
        S::BATCH
    }

    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>> {
        async move {
            let mut ids = BTreeSet::new();
            let mut others = Vec::new();
            for (at, request) in requests.iter().enumerate() {
                match request {
                    Request::Value(lookup) => {
                        ids.insert(self.id(lookup));
                    }
                    Request::Metadata(lookup) => {
                        let name = self.id(lookup).name;
                        others.push(async move { (at, self.service.tags(&name).await.map(Answer::One)) }.boxed());
                    }
                    Request::Find(find) => others.push(async move { (at, self.find(find).await) }.boxed()),
                }
            }
            let others = stream::iter(others).buffer_unordered(AT_ONCE).collect::<BTreeMap<_, _>>();
            let (read, mut others) = futures::join!(self.values(&ids), others);
            let mut answers = Vec::with_capacity(requests.len());
            for (at, request) in requests.iter().enumerate() {
                let answer = match request {
                    Request::Value(lookup) => read.get(&self.id(lookup)).map(|read| match read {
                        Ok(fetched) => Ok(Answer::One(copy(fetched))),
                        Err(error) => Err(error.clone()),
                    }),
                    Request::Metadata(_) | Request::Find(_) => others.remove(&at),
                };
                let unasked = || Err(ProviderError::new(Cause::Unavailable, "it was not asked"));
                answers.push(answer.unwrap_or_else(unasked));
            }
            answers
        }
        .boxed()
    }

    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        // Whether single secrets may be read is known once they are asked for: a policy need not allow anything else.
        async { self.service.calls().identity().ready().await.map(|_| ()) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// The error of a call about many, as one of them would have had it alone: the same words whoever it is asked with.
fn about(what: &str, error: &ProviderError) -> ProviderError {
    ProviderError { message: format!("{what}: {}", error.message), ..error.clone() }
}

/// Two requests may ask for the same secret in other words.
fn copy(fetched: &Fetched) -> Fetched {
    let document = match &fetched.document {
        Document::Opaque(value) => Document::Opaque(Plaintext::copy_of(value.expose())),
        Document::Object(value) => Document::Object(Plaintext::copy_of(value.expose())),
        Document::Fields(values) => Document::Fields(
            values.iter().map(|(name, value)| (name.clone(), Plaintext::copy_of(value.expose()))).collect(),
        ),
    };
    Fetched { document, version: fetched.version.clone() }
}

/// Tags as the JSON object that External Secrets makes of them.
pub(super) fn tags_document(tags: &BTreeMap<&str, &str>) -> Fetched {
    let json = serde_json::to_vec(tags).unwrap_or_default();
    Fetched { document: Document::Object(Plaintext::new(json)), version: None }
}
