//! Property paths in the syntax of gjson.

use zeroize::Zeroizing;

use super::ProjectionError;

/// What a path leads to, as text: strings without quotes, objects and arrays as JSON, `null` as nothing.
pub(super) fn find(json: &str, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, ProjectionError> {
    let found = gjson::get(json, path);
    Ok(found.exists().then(|| Zeroizing::new(found.str().as_bytes().to_vec())))
}
