//! What a drill did not look at: counted and named, for it is not proven.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// How many are named.
const NAMED: usize = 1000;

/// A file, or a value in it, that was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unread {
    pub(crate) path: String,
    /// Object and data key, where it is a value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) value: String,
    pub(crate) why: &'static str,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotLookedAt {
    pub(crate) count: usize,
    /// Whether some of it is in the newest commit.
    pub(crate) in_newest: bool,
    /// The first of them, each once, however many versions of the file there are.
    pub(crate) things: BTreeSet<Unread>,
}

impl NotLookedAt {
    fn add(&mut self, one: Unread, in_newest: bool) {
        self.in_newest |= in_newest;
        if self.things.contains(&one) {
            return;
        }
        self.count += 1;
        if self.things.len() < NAMED {
            self.things.insert(one);
        }
    }
}

/// As it is found, on every core.
#[derive(Default)]
pub(super) struct Found(Mutex<NotLookedAt>);

impl Found {
    pub(super) fn add(&self, path: &str, value: String, why: &'static str, in_newest: bool) {
        let one = Unread { path: path.to_owned(), value, why };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(one, in_newest);
    }

    pub(super) fn all(&self) -> NotLookedAt {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
