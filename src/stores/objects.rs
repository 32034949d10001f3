//! Where the objects are that a store's settings name: in a cluster, or in what a host opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{StoreError, StoreId};
use crate::providers::{TokenSource, file};
use crate::seal::Identity;
use crate::secret::Plaintext;

/// What was read, and a number that changes when it does.
pub struct Part<T> {
    /// Changes with the object.
    pub version: u64,
    /// What was asked for.
    pub value: T,
}

/// What was read, or why not.
pub type Read<'a, T> = BoxFuture<'a, Result<Part<T>, StoreError>>;

/// The objects around.
pub trait Objects: Send + Sync {
    /// One value of a Secret; `None` if the Secret has no such key. Without the Secret it is an error.
    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str, key: &'a str) -> Read<'a, Option<Plaintext>>;

    /// One value of a ConfigMap; `None` if it has no such key. Without the ConfigMap it is an error.
    fn config_map<'a>(&'a self, namespace: &'a str, name: &'a str, key: &'a str) -> Read<'a, Option<Vec<u8>>>;

    /// The file that the `path` of a `file` store means.
    fn file<'a>(&'a self, store: &'a StoreId, path: &'a str) -> Read<'a, file::Source>;

    /// The private keys that open a `file` store which names none; `None` where each must name its own.
    fn identities(&self) -> Option<Vec<Identity>>;

    /// The service accounts; `None` outside of a cluster.
    fn accounts(&self) -> Option<&dyn Accounts>;
}

/// The service accounts of a cluster.
pub trait Accounts: Send + Sync {
    /// The annotations of a service account.
    fn annotations<'a>(&'a self, namespace: &'a str, name: &'a str) -> Read<'a, BTreeMap<String, String>>;

    /// A source of tokens of a service account.
    fn tokens(&self, account: Account) -> Arc<dyn TokenSource>;

    /// A source of tokens of the program's own service account.
    fn own_token(&self) -> Arc<dyn TokenSource>;
}

/// A service account, and what its tokens are to be like.
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// For whom the tokens are.
    pub audiences: Vec<String>,
    /// How long they live.
    pub seconds: i64,
}
