//! What a person is told about keys: everything but the private halves.

use std::collections::BTreeSet;

use bulla::seal::KeyState;
use jiff::Timestamp;
use serde::Serialize;

use super::key_secret::KeySecret;
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// A key; the names of the fields are part of the output.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) r#type: &'static str,
    pub(crate) state: &'static str,
    pub(crate) secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<Timestamp>,
    /// What it takes to use it, beside the file that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wrapped_by: Option<&'static str>,
}

/// The keys of some Secrets.
#[derive(Default)]
pub(crate) struct Inventory {
    /// In the order of the Secrets.
    pub(crate) keys: Vec<Item>,
    /// Names of Secrets without a key that can be read, and why.
    pub(crate) malformed: Vec<(String, String)>,
}

impl Inventory {
    pub(crate) fn of(secrets: &[KeySecret]) -> Self {
        let mut inventory = Self::default();
        for secret in secrets {
            let keys = match secret.keys() {
                Ok(keys) => keys,
                Err(problem) => {
                    inventory.malformed.push((secret.name.clone(), problem));
                    continue;
                }
            };
            inventory.keys.extend(keys.into_iter().map(|key| Item {
                id: key.id.to_string(),
                r#type: key.kind.as_str(),
                state: secret.state().map_or("unknown", KeyState::as_str),
                secret: secret.name.clone(),
                created: secret.made(),
                wrapped_by: key.wrapped,
            }));
        }
        inventory
    }

    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        self.keys.iter().map(|key| key.id.as_str()).collect()
    }

    /// One line a key.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for key in &self.keys {
            text.push_str(&format!("  {}\n", key.line()));
        }
        for (secret, problem) in &self.malformed {
            text.push_str(&format!("  {WARN}?{WARN:#} Secret {}: {problem}\n", output::plain(secret)));
        }
        text
    }

    /// What wraps some of the keys.
    pub(crate) fn wrappers(&self) -> BTreeSet<&'static str> {
        self.keys.iter().filter_map(|key| key.wrapped_by).collect()
    }
}

impl Item {
    fn line(&self) -> String {
        let style = match self.state {
            "active" => GOOD,
            "opening" => WARN,
            "retired" => DIM,
            _ => BAD,
        };
        let Self { id, r#type, state, secret, .. } = self;
        let made = self.created.map_or_else(String::new, |made| made.strftime(", made %Y-%m-%d").to_string());
        let wrapped = self.wrapped_by.map_or_else(String::new, |by| format!(", {WARN}wrapped by {by}{WARN:#}"));
        format!(
            "{id} {type:<6} {style}{state:<11}{style:#} {DIM}Secret {}{made}{DIM:#}{wrapped}",
            output::plain(secret)
        )
    }
}
