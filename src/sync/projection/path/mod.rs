//! Property paths in the syntax of gjson, which External Secrets takes over from the Go library of that name.
//!
//! The crate `gjson` is not used for this: it knows half of the modifiers, gives other results than the Go library
//! for multipaths, wildcards and comparisons with `~`, reads a text that it has not checked by unchecked means, and a
//! path of a few dozen bytes can keep it busy for ever or overflow the stack. Here every path has a budget of work and
//! depth, and what is made on the way is wiped.
//!
//! Where this differs from the Go library: a number keeps all its digits (Go's have about 17), an escaped `*` is
//! literal also beside one that is not, a glob is never given up, and what is no JSON may be read differently.

mod component;
mod evaluate;
mod modifier;
mod scan;

use zeroize::Zeroizing;

use self::evaluate::{Search, Stop};
use super::ProjectionError;

/// Longest path, in bytes.
const LONGEST: usize = 4096;

/// What a path leads to, as text: strings without quotes, objects and arrays as JSON, `null` as nothing.
pub(super) fn find(json: &str, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, ProjectionError> {
    let refused = |reason| ProjectionError::BadPath { length: path.len(), reason };
    if path.len() > LONGEST {
        return Err(refused("it is longer than 4096 bytes"));
    }
    match Search::new(json.len()).get(json, path, 0) {
        Ok(found) => Ok(found.map(|found| found.text())),
        Err(Stop::TooDeep) => Err(refused("it is nested too deeply")),
        Err(Stop::TooMuch) => Err(refused("it takes too much work")),
    }
}
