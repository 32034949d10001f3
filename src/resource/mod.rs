//! From an API object to the Secret that it asks for: the one step that controllers, host mode and the command line
//! share.
//!
//! Conversion only; the rules are in `seal` (opening), `sync` (what to fetch and what to make of it) and `secret`
//! (rendering and Kubernetes' own limits).

pub mod external_secret;
mod sealed_secret;
pub mod secret_store;

use std::cell::Cell;

use jiff::Timestamp;

use crate::secret::template::{self, Delimiters, Environment, MissingKey};
use crate::secret::{Plaintext, Values};

pub use self::sealed_secret::{Desired, ResourceError, declared_scope, open, shape};

/// A missing key is an error here although upstream's SealedSecrets write `<no value>`: a configuration that is silently
/// broken helps nobody.
fn render(template: &str, values: &Values, now: Timestamp, delimiters: Delimiters<'_>) -> Result<Plaintext, String> {
    let out_of_randomness = Cell::new(false);
    let random = |bytes: &mut [u8]| out_of_randomness.set(out_of_randomness.get() | getrandom::fill(bytes).is_err());
    let environment = Environment { now, random: &random, missing_key: MissingKey::Error, delimiters };
    let rendered = template::render(template, values, &environment).map_err(|error| error.to_string())?;
    if out_of_randomness.get() { Err("the system gives no random bytes".to_owned()) } else { Ok(rendered) }
}
