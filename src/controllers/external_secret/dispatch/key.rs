//! What of an ExternalSecret decides about its Secret, in one number.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bulla_crds::ExternalSecret;

/// Identity, generation, labels and annotations. The status does not count.
pub(super) fn fingerprint(object: &ExternalSecret) -> u64 {
    let mut hasher = DefaultHasher::new();
    let metadata = &object.metadata;
    (&metadata.uid, metadata.generation, metadata.deletion_timestamp.is_some()).hash(&mut hasher);
    (&metadata.annotations, &metadata.labels, &metadata.finalizers).hash(&mut hasher);
    hasher.finish()
}
