//! The only writer of Secrets.
//!
//! The body is written straight from the plaintext into one buffer of the right size, which is wiped once the request
//! is done with it. What TLS and the HTTP library copy on the way cannot be wiped from here. Answers hold metadata only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use kube::client::Body;
use serde::Serialize;
use zeroize::Zeroizing;

use super::api::{Api, ApiError, FIELD_MANAGER};
use crate::secret::{Plaintext, Values};
use crate::sync::{Data, Head, Live, OwnerRef, Update};

/// Creates the Secret and gives its version.
pub(super) async fn create(
    api: &Api,
    namespace: &str,
    name: &str,
    head: &Head,
    data: &Values,
) -> Result<String, ApiError> {
    let metadata = Metadata { name: Some(name), ..Metadata::of(namespace, head) };
    let body = body(&metadata, head, data.iter())?;
    send(api, Method::POST, &Secret::url_path(&(), Some(namespace)), &head.manager, body).await
}

/// Replaces `live` as `update` says and gives the new version; fails with a conflict if it changed meanwhile.
pub(super) async fn replace(
    api: &Api,
    namespace: &str,
    name: &str,
    update: &Update,
    live: &Live,
    opened: &Values,
) -> Result<String, ApiError> {
    let head = &update.head;
    let version = Some(update.resource_version.as_str());
    let metadata = Metadata { name: Some(name), resource_version: version, ..Metadata::of(namespace, head) };
    let body = match update.data {
        Data::Opened => body(&metadata, head, opened.iter()),
        Data::Live => body(&metadata, head, live.data.iter()),
        Data::Merged => {
            let theirs =
                live.data.iter().filter(|(key, _)| !opened.contains_key(*key) && !update.dropped.contains(*key));
            body(&metadata, head, theirs.chain(opened))
        }
    }?;
    let path = format!("{}/{name}", Secret::url_path(&(), Some(namespace)));
    send(api, Method::PUT, &path, &head.manager, body).await
}

async fn send(
    api: &Api,
    method: Method,
    path: &str,
    manager: &str,
    body: Zeroizing<Vec<u8>>,
) -> Result<String, ApiError> {
    let manager = if manager.is_empty() { FIELD_MANAGER } else { manager };
    // The owner is dropped, and with it the buffer wiped, when the last part of the request is gone.
    let body = Body::from(Bytes::from_owner(body));
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}?fieldManager={manager}"))
        .header("content-type", "application/json")
        .body(body)
        .map_err(|_| ApiError::Invalid("the name cannot be used in a request".to_owned()))?;
    api.write(request).await
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a str>,
    labels: Option<&'a std::collections::BTreeMap<String, String>>,
    annotations: Option<&'a std::collections::BTreeMap<String, String>>,
    finalizers: &'a [String],
    owner_references: Vec<Reference<'a>>,
}

impl<'a> Metadata<'a> {
    fn of(namespace: &'a str, head: &'a Head) -> Self {
        Self {
            namespace,
            labels: Some(&head.labels),
            annotations: Some(&head.annotations),
            finalizers: &head.finalizers,
            owner_references: head.owners.iter().map(Reference::of).collect(),
            ..Self::default()
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    controller: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_owner_deletion: Option<bool>,
}

impl<'a> Reference<'a> {
    fn of(owner: &'a OwnerRef) -> Self {
        Self {
            api_version: &owner.api_version,
            kind: &owner.kind,
            name: &owner.name,
            uid: &owner.uid,
            controller: owner.controller,
            block_owner_deletion: owner.block_owner_deletion,
        }
    }
}

/// The Secret in JSON, in one buffer that never grows: a growing one leaves copies behind.
fn body<'a>(
    metadata: &Metadata<'_>,
    head: &Head,
    data: impl Iterator<Item = (&'a String, &'a Plaintext)> + Clone,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let unwritable = |_| ApiError::Invalid("it cannot be written as JSON".to_owned());
    let metadata = serde_json::to_vec(metadata).map_err(unwritable)?;
    let kind = serde_json::to_vec(&head.kind).map_err(unwritable)?;
    // A key may double by escapes, though no valid key needs any.
    let values: usize = data.clone().map(|(key, value)| key.len() * 6 + value.len().div_ceil(3) * 4 + 8).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(metadata.len() + kind.len() + values + 128));
    body.extend_from_slice(br#"{"apiVersion":"v1","kind":"Secret","metadata":"#);
    body.extend_from_slice(&metadata);
    body.extend_from_slice(br#","type":"#);
    body.extend_from_slice(&kind);
    if let Some(immutable) = head.immutable {
        body.extend_from_slice(if immutable { br#","immutable":true"# } else { br#","immutable":false"# });
    }
    body.extend_from_slice(br#","data":{"#);
    for (index, (key, value)) in data.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut *body, key).map_err(unwritable)?;
        body.extend_from_slice(b":\"");
        let start = body.len();
        let length = value.len().div_ceil(3) * 4;
        body.resize(start + length, 0);
        STANDARD.encode_slice(value.expose(), &mut body[start..]).map_err(|_| ApiError::Unreadable)?;
        body.push(b'"');
    }
    body.extend_from_slice(b"}}");
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_a_secret_and_fits_its_buffer() {
        let owner = OwnerRef { uid: "u".to_owned(), controller: true, ..OwnerRef::default() };
        let head = Head {
            kind: "Opaque".to_owned(),
            immutable: Some(true),
            labels: [("a".to_owned(), "\"quoted\"".to_owned())].into(),
            owners: vec![owner],
            ..Head::default()
        };
        let mut data = Values::new();
        for length in [0, 1, 2, 3, 1000] {
            data.insert(format!("key-{length}"), Plaintext::new(vec![0xA5; length]));
        }
        let metadata = Metadata { name: Some("n"), ..Metadata::of("ns", &head) };
        let body = body(&metadata, &head, data.iter()).unwrap();
        let secret: Secret = serde_json::from_slice(&body).unwrap();
        assert_eq!(secret.immutable, Some(true));
        assert_eq!(secret.metadata.labels.unwrap()["a"], "\"quoted\"");
        let written = secret.data.unwrap();
        assert_eq!(written.len(), 5);
        assert!(written.iter().all(|(key, value)| data[key].same_as(&value.0)));
    }
}
