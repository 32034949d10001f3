//! A repository, checked without a cluster and without a private key.
//!
//! | module | what it is |
//! | --- | --- |
//! | `rules` | what can be found |
//! | `plan` | which files are looked at and how, and which kustomizations are built |
//! | `check` | the whole check |
//! | `encoding` | the text of a file, whatever its encoding |
//! | `file` | one file: everything that can be said of it without the others |
//! | `sealed` | SealedSecrets as they are written |
//! | `values` | sealed values outside of SealedSecrets |
//! | `template` | files that are no YAML before somebody renders them |
//! | `leak` | what is said of a plain Secret |
//! | `judge` | the rules for SealedSecrets and their values |
//! | `known` | the keys that values may be sealed to |
//! | `kustomize` | what kustomizations make of all that |
//! | `landing` | what is wrong because of where a kustomization makes values land |
//! | `duplicates` | objects that write the same Secret |
//! | `external` | ExternalSecrets and stores |
//! | `host` | Host documents |
//!
//! Files are looked at in parallel and not kept: what stays of one is what it says wrong, and, where a kustomization
//! pulls it in, the names and headers of its values. Plain Secrets are found by [`crate::leaks`].

mod check;
mod duplicates;
mod encoding;
mod external;
mod file;
mod host;
mod judge;
mod known;
mod kustomize;
mod landing;
mod leak;
mod plan;
mod rules;
mod sealed;
pub(crate) mod template;
mod values;

#[cfg(test)]
mod hidden;
#[cfg(test)]
mod hostile;

pub(crate) use self::check::{Check, Counts, Options, SOON, Texts, check, check_texts};
pub(crate) use self::encoding::text as text_of;
pub(crate) use self::rules::{RULES, SEALED_VALUE};
