//! A Secret as the API server writes it, with its values held as [`Plaintext`] from the first moment.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::providers::{Cause, ProviderError};
use crate::secret::{Plaintext, Values};

/// What is wanted of a Secret.
pub(super) struct Secret {
    pub(super) data: Values,
    labels: Labels,
    annotations: Labels,
    resource_version: String,
}

/// Annotations may hold a whole manifest, with its secrets.
type Labels = BTreeMap<String, Zeroizing<String>>;

/// A Secret in JSON, borrowed from the answer: base64 has no escapes, so no value is copied before it is decoded.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    data: Option<BTreeMap<String, Cow<'a, str>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct WirePage<'a> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<Wire<'a>>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

/// Reads one Secret; nothing if it does not make sense.
pub(super) fn one(body: &[u8]) -> Option<Secret> {
    serde_json::from_slice(body).ok().and_then(read)
}

/// Reads a page of a list into `found`, as far as the names are wanted. Gives the token of the next page, which is
/// empty after the last; nothing if the page does not make sense.
pub(super) fn page(
    body: &[u8],
    found: &mut BTreeMap<String, Secret>,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<String> {
    let page: WirePage<'_> = serde_json::from_slice(body).ok()?;
    for wire in page.items.unwrap_or_default() {
        if is_wanted(&wire.metadata.name) {
            found.insert(wire.metadata.name.clone().into_owned(), read(wire)?);
        }
    }
    Some(page.metadata.next)
}

fn read(wire: Wire<'_>) -> Option<Secret> {
    let mut data = Values::new();
    for (key, value) in wire.data.unwrap_or_default() {
        data.insert(key, Plaintext::new(STANDARD.decode(value.as_bytes()).ok()?));
    }
    let Metadata { resource_version, labels, annotations, .. } = wire.metadata;
    Some(Secret { data, labels: guarded(labels), annotations: guarded(annotations), resource_version })
}

fn guarded(labels: Option<BTreeMap<String, String>>) -> Labels {
    labels.into_iter().flatten().map(|(key, value)| (key, Zeroizing::new(value))).collect()
}

impl Secret {
    /// Its resourceVersion.
    pub(super) fn version(&self) -> Option<String> {
        (!self.resource_version.is_empty()).then(|| self.resource_version.clone())
    }

    /// Labels and annotations as one JSON object.
    pub(super) fn metadata(&self) -> Result<Plaintext, ProviderError> {
        #[derive(Serialize)]
        struct Shape<'a> {
            labels: BTreeMap<&'a str, &'a str>,
            annotations: BTreeMap<&'a str, &'a str>,
        }
        fn texts(labels: &Labels) -> BTreeMap<&str, &str> {
            labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
        }
        // Escapes make a text six times as long at most: with this much room the buffer never moves.
        let room = |labels: &Labels| labels.iter().map(|(key, value)| (key.len() + value.len() + 1) * 6).sum::<usize>();
        let room = 64 + room(&self.labels) + room(&self.annotations);
        let mut json = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(
            &mut *json,
            &Shape { labels: texts(&self.labels), annotations: texts(&self.annotations) },
        )
        .map_err(|_| ProviderError::new(Cause::Invalid, "its metadata cannot be written as JSON"))?;
        Ok(Plaintext::from_guarded(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_far_as_it_is_wanted() {
        let mut found = BTreeMap::new();
        // What is not wanted is not decoded, so what is wrong with it does no harm.
        let body = br#"{"kind":"SecretList","metadata":{"continue":"more"},"items":[
            {"metadata":{"name":"a","resourceVersion":"7"},"data":{"k":"djE="}},{"metadata":{"name":"b"},"data":{"k":"*"}},
            {"metadata":{"name":"c"}}]}"#;
        assert_eq!(page(body, &mut found, |name| name != "b").unwrap(), "more");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert!(found["a"].data["k"].same_as(b"v1") && found["c"].data.is_empty());
        assert_eq!((found["a"].version(), found["c"].version()), (Some("7".to_owned()), None));
        assert_eq!(page(br#"{"metadata":{},"items":null}"#, &mut found, |_| true).unwrap(), "");
        assert!(page(body, &mut found, |_| true).is_none());
    }

    #[test]
    fn metadata_is_one_object_and_fits_its_buffer() {
        let body = r#"{"metadata":{"labels":{"a.b/c":"d"},"annotations":{"note":"\u0001\u0001\"\\ü"}}}"#;
        let json = one(body.as_bytes()).unwrap().metadata().unwrap();
        let text = "{\"labels\":{\"a.b/c\":\"d\"},\"annotations\":{\"note\":\"\\u0001\\u0001\\\"\\\\ü\"}}";
        assert!(json.same_as(text.as_bytes()));
        let none = one(b"{}").unwrap().metadata().unwrap();
        assert!(none.same_as(br#"{"labels":{},"annotations":{}}"#));
    }
}
