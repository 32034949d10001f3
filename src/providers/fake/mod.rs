//! Values written in the store itself: for tests and first steps.
//!
//! The values belong to the store that was made from them: two stores of one name share nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};

use super::names::Names;
use super::{Cause, Gate, Provider, ProviderError};
use crate::secret::Plaintext;
use crate::sync::remote::{Answer, Document, Fetched, Find, Lookup, Request};

/// A store that holds its values itself.
pub struct Settings {
    /// The values. Of two with the same key and version the later one counts.
    pub data: Vec<Entry>,
    /// Whether the store is to be found unusable, to try out what happens then.
    pub fails_validation: bool,
}

/// One value.
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its version; a lookup must name the same, or none if there is none. An empty one is none.
    pub version: Option<String>,
    /// The value.
    pub value: Plaintext,
}

struct Fake {
    /// Values by key and version; no version is the empty one.
    data: BTreeMap<String, BTreeMap<String, Plaintext>>,
    fails_validation: bool,
    gate: Gate,
}

/// Makes the store.
///
/// # Errors
/// None so far: there is nothing to be wrong.
pub fn connect(settings: Settings, gate: Gate) -> Result<Arc<dyn Provider>, ProviderError> {
    let mut data: BTreeMap<String, BTreeMap<String, Plaintext>> = BTreeMap::new();
    for Entry { key, version, value } in settings.data {
        data.entry(key).or_default().insert(version.unwrap_or_default(), value);
    }
    Ok(Arc::new(Fake { data, fails_validation: settings.fails_validation, gate }))
}

impl Provider for Fake {
    fn name(&self) -> &'static str {
        "Fake"
    }

    fn batch_size(&self) -> usize {
        1000
    }

    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>> {
        async move {
            if requests.is_empty() {
                return Vec::new();
            }
            // It takes no call to look into ourselves; it is counted as one, as a real store would be.
            let answers = async { Ok(requests.iter().map(|request| self.answer(request)).collect()) };
            let answered: Result<Vec<_>, _> = self.gate.call("GetSecrets", answers).await;
            answered.unwrap_or_else(|error| requests.iter().map(|_| Err(error.clone())).collect())
        }
        .boxed()
    }

    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        let refused = || ProviderError::new(Cause::Misconfigured, "the store's settings say that it fails validation");
        async move { if self.fails_validation { Err(refused()) } else { Ok(()) } }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl Fake {
    fn answer(&self, request: &Request) -> Result<Answer, ProviderError> {
        match request {
            Request::Value(lookup) => self.value(lookup).map(Answer::One),
            Request::Metadata(lookup) => {
                let message = format!("{:?}: the values of a fake store have no metadata", lookup.key);
                Err(ProviderError::new(Cause::Invalid, message))
            }
            Request::Find(find) => self.find(find).map(Answer::Many),
        }
    }

    fn value(&self, Lookup { key, version }: &Lookup) -> Result<Fetched, ProviderError> {
        let version = version.as_deref().unwrap_or_default();
        let value = self.data.get(key).and_then(|versions| versions.get(version)).ok_or_else(|| {
            let which =
                if version.is_empty() { "without a version".to_owned() } else { format!("version {version:?}") };
            ProviderError::new(Cause::Missing, format!("the store holds no {key:?} {which}"))
        })?;
        Ok(fetched(version, value))
    }

    /// Of each key that matches, the highest version as text.
    fn find(&self, find: &Find) -> Result<BTreeMap<String, Fetched>, ProviderError> {
        if !find.tags.is_empty() {
            return Err(ProviderError::new(Cause::Invalid, "find.tags: the values of a fake store have no tags"));
        }
        let names = Names::of(find)?;
        let newest = self.data.iter().filter_map(|(key, versions)| Some((key, versions.last_key_value()?)));
        let found = newest.filter(|(key, _)| names.has(key));
        Ok(found.map(|(key, (version, value))| (key.clone(), fetched(version, value))).collect())
    }
}

fn fetched(version: &str, value: &Plaintext) -> Fetched {
    Fetched {
        document: Document::Opaque(Plaintext::copy_of(value.expose())),
        version: (!version.is_empty()).then(|| version.to_owned()),
    }
}
