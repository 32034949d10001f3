//! Asks all stores of an ExternalSecret and makes values of what they answer.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;

use futures::future::join_all;
use jiff::Timestamp;

use super::{StoreError, StoreId};
use crate::providers::{Cause, ProviderError, Reply};
use crate::resource::external_secret as resource;
use crate::sync::external::{self, Assembled, Fault, ItemCause, ItemErrors};
use crate::sync::remote::Request;
use crate::sync::schedule::Class;

/// A provider's fault and the store that it is of.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which store.
    pub store: StoreId,
    /// Its fault.
    pub error: ProviderError,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.store, self.error)
    }
}

impl Fault for Asked {
    fn is_missing(&self) -> bool {
        self.error.cause == Cause::Missing
    }
}

/// Why an ExternalSecret has no values. Short and free of values: it goes into a status.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// A store cannot be used.
    #[error("could not get secret data from provider: {error}")]
    Store {
        /// Which.
        store: StoreId,
        /// Why.
        error: StoreError,
    },
    /// Items that could not be fetched or made sense of.
    #[error("could not get secret data from provider: {0}")]
    Items(ItemErrors<Asked>),
}

impl FetchError {
    /// How soon another try makes sense.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Store { error, .. } => error.class(),
            Self::Items(errors) => {
                // The most patient of the items' classes: the whole object is fetched again.
                let class = |cause: &ItemCause<Asked>| match cause {
                    ItemCause::Provider(asked) => asked.error.class(),
                    // The value is not what the item expects: asking again costs money and rarely helps.
                    ItemCause::Projection(_) | ItemCause::WrongAnswer => Class::Refused,
                };
                let patience = |class: &Class| match class {
                    Class::Transient => 0,
                    Class::Blocked => 1,
                    Class::Throttled { .. } => 2,
                    Class::Refused => 3,
                    Class::Terminal => 4,
                };
                errors.0.iter().map(|error| class(&error.cause)).max_by_key(patience).unwrap_or(Class::Refused)
            }
        }
    }
}

/// Asks all stores of an ExternalSecret in `namespace` at once, each by `ask`, and makes values of what they say.
///
/// # Errors
/// The first store that cannot be used, or every item that failed.
pub async fn fetch<A>(
    asked: &resource::Asked,
    namespace: &str,
    now: Timestamp,
    ask: impl Fn(StoreId, Vec<Request>) -> A,
) -> Result<Assembled, FetchError>
where
    A: Future<Output = Result<Vec<Reply>, StoreError>>,
{
    let ids: Vec<_> = asked.stores.iter().map(|store| StoreId::new(store.kind(), namespace, &store.name)).collect();
    let mut by_store: Vec<Vec<Request>> = vec![Vec::new(); ids.len()];
    for (store, request) in external::requests(&asked.items) {
        if let Some(requests) = by_store.get_mut(store) {
            requests.push(request);
        }
    }
    let asking = ids.iter().zip(&by_store).map(|(id, requests)| ask(id.clone(), requests.clone()));
    let mut answers: HashMap<(usize, &Request), Reply> = HashMap::new();
    for (index, ((id, requests), replies)) in ids.iter().zip(&by_store).zip(join_all(asking).await).enumerate() {
        let replies = replies.map_err(|error| FetchError::Store { store: id.clone(), error })?;
        answers.extend(requests.iter().map(|request| (index, request)).zip(replies));
    }
    let mut answer = |store: usize, request: &Request| {
        let reply = answers.get(&(store, request)).cloned();
        let id = ids.get(store).cloned().unwrap_or_else(|| StoreId::new(Default::default(), "", ""));
        let lost = || ProviderError::new(Cause::Unavailable, "no answer");
        reply.unwrap_or_else(|| Err(lost())).map_err(|error| Asked { store: id, error })
    };
    resource::assemble(asked, &mut answer, now).map_err(FetchError::Items)
}
