//! Secrets in the clear, found by structure and by shape.
//!
//! | module | what it is |
//! | --- | --- |
//! | `tree`, `staged`, `past` | where is searched: files, the index, history |
//! | `search`, `exclude`, `allowlist` | what comes of it, and what is left out |
//! | `rules` | what is searched for |
//! | `look` | one text, looked at by every detector |
//! | `manifests` | Kubernetes Secrets, generators and templates |
//! | `shapes`, `jwt`, `private_keys`, `logins`, `urls`, `commands`, `assigned` | the detectors |
//! | `stores` | key stores and keys that are no text |
//! | `encoded` | base64, to look inside |
//! | `worth`, `checksum` | what a value gives away; what tells the random from the made-up |
//! | `remarks` | `# bulla:allow REASON` |
//! | `gitleaks` | what gitleaks needs to be told |
//!
//! What was found is told by its place, its kind and its length. No byte of it is kept.

mod allowlist;
mod assigned;
mod checksum;
mod commands;
mod encoded;
mod exclude;
mod gitleaks;
mod hit;
mod jwt;
mod legible;
mod logins;
mod look;
mod manifests;
mod past;
mod private_keys;
mod remarks;
mod rules;
mod search;
mod shapes;
mod staged;
mod stores;
mod tree;
mod urls;
mod worth;

pub(crate) use self::assigned::is_sensitive_name;
pub(crate) use self::gitleaks::ALLOWLIST as GITLEAKS_ALLOWLIST;
pub(crate) use self::past::history;
pub(crate) use self::rules::RULES;
pub(crate) use self::search::{Counts, Options, Search};
pub(crate) use self::staged::{staged, staged_in};
pub(crate) use self::tree::tree;
pub(crate) use self::worth::looks_random;

use self::look::look;
