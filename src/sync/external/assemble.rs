//! From the answers to the values of a Secret.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::items::{DataItem, Items, Place, RemoteRef, Source, SourceItem};
use crate::secret::{Plaintext, Values};
use crate::sync::{
    projection::{
        self, Conversion, Decoding, NullBytes, ProjectionError, Rewrite, Transform, check_null_bytes, convert_key,
    },
    remote::{Answer, Request},
};

/// What a provider's error has to tell.
pub trait Fault: Clone + fmt::Display {
    /// Whether the remote secret as a whole does not exist, which deletion policies ask for.
    fn is_missing(&self) -> bool;
}

/// What becomes of an item whose remote secret does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingPolicy {
    /// It is an error: deletion policy Retain.
    Error,
    /// It is left out: deletion policies Delete and Merge.
    Skip,
}

/// The values of a Secret before its template.
#[derive(Default)]
pub struct Assembled {
    /// Values by key.
    pub values: Values,
    /// Where each of [`Self::values`] is from.
    pub origins: BTreeMap<String, Origin>,
    /// Items that were left out, in the order of the merge.
    pub skipped: Vec<Skipped>,
}

/// Where a value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The item that brought it.
    pub place: Place,
    /// The store that the item names.
    pub store: usize,
    /// The remote key; unknown for what was found and then renamed.
    pub key: Option<String>,
    /// The property of it, where one was named.
    pub property: Option<String>,
    /// The version that the provider gave, where it names versions.
    pub version: Option<String>,
}

/// An item that was left out because its remote secret does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which item.
    pub place: Place,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Extract { index, .. } | Place::Find { index } => {
                write!(f, "secret does not exist at provider using spec.dataFrom[{index}]")
            }
            Place::Data { index, key } => {
                write!(f, "secret does not exist at provider using spec.data[{index}] (key={key})")
            }
        }
    }
}

/// Everything that is wrong with the items of an ExternalSecret, in the order of the merge; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemErrors<E>(pub Vec<ItemError<E>>);

impl<E: fmt::Display> fmt::Display for ItemErrors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ItemErrors<E> {}

/// What is wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemError<E> {
    /// Which item.
    pub place: Place,
    /// What is wrong.
    pub cause: ItemCause<E>,
}

/// Why an item brings no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemCause<E> {
    /// The provider did not answer.
    Provider(E),
    /// What it answered does not yield the values.
    Projection(ProjectionError),
    /// It answered another question.
    WrongAnswer,
}

impl<E: fmt::Display> fmt::Display for ItemError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error processing {}, err: ", self.place)?;
        match (&self.cause, &self.place) {
            (ItemCause::Provider(error), Place::Find { .. }) => write!(f, "error getting all secrets: {error}"),
            (ItemCause::Provider(error), Place::Extract { .. } | Place::Data { .. }) => error.fmt(f),
            (ItemCause::Projection(error), _) => error.fmt(f),
            (ItemCause::WrongAnswer, _) => f.write_str("the provider answered another question"),
        }
    }
}

impl<E> From<ProjectionError> for ItemCause<E> {
    fn from(error: ProjectionError) -> Self {
        Self::Projection(error)
    }
}

/// Gives the answer of a store, by its index, to a question.
pub type Answers<'a, E> = dyn FnMut(usize, &Request) -> Result<Arc<Answer>, E> + 'a;

/// Puts the values together: `dataFrom` in order, then `data`, what comes later wins.
///
/// `answer` gives what the store answered to each of [`requests`](super::requests); `transform` renders the templates
/// of rewrites.
///
/// # Errors
///
/// [`ItemErrors`] of all items that fail, not only of the first.
pub fn assemble<E: Fault>(
    items: &Items,
    answer: &mut Answers<'_, E>,
    missing: MissingPolicy,
    transform: &mut Transform<'_>,
) -> Result<Assembled, ItemErrors<E>> {
    let mut assembled = Assembled::default();
    let mut errors = Vec::new();
    for (index, item) in items.data_from.iter().enumerate() {
        let place = match &item.source {
            Source::Extract(remote) => Place::Extract { index, key: remote.key.clone() },
            Source::Find { .. } => Place::Find { index },
        };
        let values = answer(item.store, &item.request())
            .map_err(ItemCause::Provider)
            .and_then(|answer| many(&place, item, &answer, transform));
        add(&mut assembled, &mut errors, missing, place, values);
    }
    for (index, item) in items.data.iter().enumerate() {
        let place = Place::Data { index, key: item.remote.key.clone() };
        let values = answer(item.store, &item.remote.request())
            .map_err(ItemCause::Provider)
            .and_then(|answer| single(&place, item, &answer));
        add(&mut assembled, &mut errors, missing, place, values);
    }
    if errors.is_empty() { Ok(assembled) } else { Err(ItemErrors(errors)) }
}

type Brought = Vec<(String, Plaintext, Origin)>;

fn add<E: Fault>(
    assembled: &mut Assembled,
    errors: &mut Vec<ItemError<E>>,
    missing: MissingPolicy,
    place: Place,
    brought: Result<Brought, ItemCause<E>>,
) {
    match brought {
        Ok(brought) => {
            for (key, value, origin) in brought {
                assembled.origins.insert(key.clone(), origin);
                assembled.values.insert(key, value);
            }
        }
        Err(ItemCause::Provider(fault)) if missing == MissingPolicy::Skip && fault.is_missing() => {
            assembled.skipped.push(Skipped { place });
        }
        Err(cause) => errors.push(ItemError { place, cause }),
    }
}

fn single<E>(place: &Place, item: &DataItem, answer: &Answer) -> Result<Brought, ItemCause<E>> {
    let Answer::One(fetched) = answer else { return Err(ItemCause::WrongAnswer) };
    let remote = &item.remote;
    let value = projection::property(&fetched.document, remote.property.as_deref(), &remote.key)?;
    let value = projection::decode(remote.decoding, value)?;
    check_null_bytes(remote.null_bytes, &item.secret_key, &value)?;
    let origin = from_remote(place, item.store, remote, fetched.version.as_ref());
    Ok(vec![(item.secret_key.clone(), value, origin)])
}

fn from_remote(place: &Place, store: usize, remote: &RemoteRef, version: Option<&String>) -> Origin {
    Origin {
        place: place.clone(),
        store,
        key: Some(remote.key.clone()),
        property: remote.property.clone().filter(|property| !property.is_empty()),
        version: version.cloned(),
    }
}

fn many<E>(
    place: &Place,
    item: &SourceItem,
    answer: &Answer,
    transform: &mut Transform<'_>,
) -> Result<Brought, ItemCause<E>> {
    match (&item.source, answer) {
        (Source::Extract(remote), Answer::One(fetched)) => {
            let values = projection::fields(&fetched.document, remote.property.as_deref(), &remote.key)?;
            let policies = (remote.decoding, remote.conversion, remote.null_bytes);
            let values = renamed(values, &item.rewrites, policies, transform)?;
            let origin = from_remote(place, item.store, remote, fetched.version.as_ref());
            Ok(values.into_iter().map(|(key, value)| (key, value, origin.clone())).collect())
        }
        (Source::Find { decoding, conversion, null_bytes, .. }, Answer::Many(found)) => {
            let mut values = Values::new();
            for (name, fetched) in found {
                values.insert(name.clone(), projection::property(&fetched.document, None, name)?);
            }
            let values = renamed(values, &item.rewrites, (*decoding, *conversion, *null_bytes), transform)?;
            // Without rewrites it is known which name became which key.
            let found_as: BTreeMap<String, (&String, Option<&String>)> = found
                .iter()
                .filter(|_| item.rewrites.is_empty())
                .map(|(name, fetched)| (convert_key(*conversion, name), (name, fetched.version.as_ref())))
                .collect();
            let brought = values.into_iter().map(|(key, value)| {
                let source = found_as.get(&key);
                let origin = Origin {
                    place: place.clone(),
                    store: item.store,
                    key: source.map(|(name, _)| (*name).clone()),
                    property: None,
                    version: source.and_then(|(_, version)| version.cloned()),
                };
                (key, value, origin)
            });
            Ok(brought.collect())
        }
        (Source::Extract(_) | Source::Find { .. }, Answer::One(_) | Answer::Many(_)) => Err(ItemCause::WrongAnswer),
    }
}

/// Rewrites or converts keys, checks them, and decodes values, in this order.
fn renamed(
    values: Values,
    rewrites: &[Rewrite],
    (decoding, conversion, null_bytes): (Decoding, Conversion, NullBytes),
    transform: &mut Transform<'_>,
) -> Result<Values, ProjectionError> {
    let values = if rewrites.is_empty() {
        projection::convert_keys(conversion, values)?
    } else {
        projection::rewrite(values, rewrites, transform)?
    };
    let values = projection::decode_all(decoding, projection::validate_keys(values)?)?;
    for (key, value) in &values {
        check_null_bytes(null_bytes, key, value)?;
    }
    Ok(values)
}
