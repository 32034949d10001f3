//! From what a provider answered to the values of a Secret.
//!
//! | module | what it is |
//! | --- | --- |
//! | `lookup` | [`property`] and [`fields`]: one value, or all values, out of one document |
//! | `json` | JSON as Go's `encoding/json` reads and writes it, without copies that stay behind |
//! | `path` | property paths in the syntax of gjson |
//! | `decoding`, `keys` | what is done to values and to the names of keys |
//! | `rewrite` | how `dataFrom` renames and merges keys |

mod decoding;
mod error;
mod json;
mod keys;
mod lookup;
mod path;
mod rewrite;
#[cfg(test)]
mod tests;

pub use decoding::{Decoding, NullBytes, check_null_bytes, decode, decode_all};
pub use error::ProjectionError;
pub use keys::{Conversion, convert_key, convert_keys, validate_keys};
pub use lookup::{fields, property};
pub use rewrite::{ConflictPolicy, Merge, MergeStrategy, PriorityPolicy, Rewrite, Transform, rewrite};
