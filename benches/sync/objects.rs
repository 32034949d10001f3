//! The SealedSecrets that are measured.

use std::sync::Arc;

use bulla::seal::{Binding, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::cluster::bed::{Bed, Kind, NAMESPACE, Object};

/// What is measured.
pub(crate) const KIND: Kind =
    Kind { plural: "sealedsecrets", api_version: "bitnami.com/v1alpha1", condition: "Synced" };
/// The data key of the one value of each object.
pub(crate) const DATA_KEY: &str = "password";
/// The value.
pub(crate) const VALUE: &[u8] = b"correct horse battery staple 123";

/// A server with Bulla's CRD.
pub(crate) async fn bed() -> anyhow::Result<Bed> {
    Bed::new(KIND, &[serde_json::to_vec(&bulla_crds::sealed_secret_crd())?]).await
}

/// Makes `count` SealedSecrets of one value each, then lets the server come to rest.
pub(crate) async fn fill(bed: &Bed, count: usize, recipient: &Recipient) -> anyhow::Result<Vec<Object>> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let recipient = Arc::new([recipient.clone()]);
    bed.fill(count, move |_, name| {
        let place = Place { namespace: NAMESPACE, name, key: DATA_KEY };
        let binding = Binding::new(Scope::Strict, place, today);
        let sealed = seal(recipient.as_slice(), &Plaintext::copy_of(VALUE), &binding)?;
        Ok(json!({
            "apiVersion": KIND.api_version,
            "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"encryptedData": {DATA_KEY: sealed}},
        }))
    })
    .await
}
