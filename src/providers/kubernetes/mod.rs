//! The Secrets of a namespace, of this cluster or another.

/// A store in a namespace of a cluster.
pub struct Settings {
    /// Speaks to the cluster with the right credentials.
    pub client: kube::Client,
    /// The namespace whose Secrets are read.
    pub namespace: String,
}
