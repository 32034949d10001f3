//! What `data` and `dataFrom` ask for.

use std::{collections::HashSet, fmt};

use crate::sync::{
    projection::{Conversion, Decoding, NullBytes, Rewrite},
    remote::{Find, Lookup, Request},
};

/// Everything that an ExternalSecret asks for. A store is an index into a list that the caller keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// Single values; they win over what `data_from` brings.
    pub data: Vec<DataItem>,
    /// Many values at once; later ones win.
    pub data_from: Vec<SourceItem>,
}

/// Names one remote secret and what is done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteRef {
    /// The remote key, without the store's prefix.
    pub key: String,
    /// The property in it; `None` or empty is the whole of it.
    pub property: Option<String>,
    /// The version, in the provider's words; `None` or empty is the current one.
    pub version: Option<String>,
    /// Whether what the provider knows about the secret is meant, instead of its value.
    pub metadata: bool,
    /// How values are decoded.
    pub decoding: Decoding,
    /// How keys are converted; has no effect on `data`.
    pub conversion: Conversion,
    /// What becomes of null bytes.
    pub null_bytes: NullBytes,
}

impl RemoteRef {
    /// The question to the provider.
    #[must_use]
    pub fn request(&self) -> Request {
        let version = self.version.clone().filter(|version| !version.is_empty());
        let lookup = Lookup { key: self.key.clone(), version };
        if self.metadata { Request::Metadata(lookup) } else { Request::Value(lookup) }
    }
}

/// One item of `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataItem {
    /// Data key in the Secret.
    pub secret_key: String,
    /// What it gets.
    pub remote: RemoteRef,
    /// Which store is asked.
    pub store: usize,
}

/// Where an item of `dataFrom` takes its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// All values of one remote secret.
    Extract(RemoteRef),
    /// All remote secrets that match, one value each.
    Find {
        /// What to look for.
        find: Find,
        /// How values are decoded.
        decoding: Decoding,
        /// How names become keys.
        conversion: Conversion,
        /// What becomes of null bytes.
        null_bytes: NullBytes,
    },
}

/// One item of `dataFrom`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceItem {
    /// Where the values are.
    pub source: Source,
    /// How keys are renamed and values merged. If there are any, keys are not converted.
    pub rewrites: Vec<Rewrite>,
    /// Which store is asked.
    pub store: usize,
}

impl SourceItem {
    /// The question to the provider.
    #[must_use]
    pub fn request(&self) -> Request {
        match &self.source {
            Source::Extract(remote) => remote.request(),
            Source::Find { find, .. } => Request::Find(find.clone()),
        }
    }
}

/// An item by its place in the spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `spec.dataFrom[index].extract`
    Extract {
        /// From 0.
        index: usize,
        /// The remote key.
        key: String,
    },
    /// `spec.dataFrom[index].find`
    Find {
        /// From 0.
        index: usize,
    },
    /// `spec.data[index]`
    Data {
        /// From 0.
        index: usize,
        /// The remote key.
        key: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extract { index, .. } => write!(f, "spec.dataFrom[{index}].extract"),
            Self::Find { index } => write!(f, "spec.dataFrom[{index}].find"),
            Self::Data { index, key } => write!(f, "spec.data[{index}] (key: {key})"),
        }
    }
}

/// The questions that `items` take, each with the store that it goes to. Every question is there once, in the order
/// in which the items first ask it: `dataFrom`, then `data`.
#[must_use]
pub fn requests(items: &Items) -> Vec<(usize, Request)> {
    let many = items.data_from.iter().map(|item| (item.store, item.request()));
    let single = items.data.iter().map(|item| (item.store, item.remote.request()));
    let mut seen = HashSet::new();
    many.chain(single).filter(|request| seen.insert(request.clone())).collect()
}
