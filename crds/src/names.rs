//! Labels and annotations: the words by which objects, tools and controllers find each other.

/// The value that switches one of upstream's annotations on; anything else is off.
pub const TRUE: &str = "true";

/// On a SealedSecret: sealed for any name in any namespace. Wins over [`NAMESPACE_WIDE`].
pub const CLUSTER_WIDE: &str = "sealedsecrets.bitnami.com/cluster-wide";
/// On a SealedSecret: sealed for any name in one namespace.
pub const NAMESPACE_WIDE: &str = "sealedsecrets.bitnami.com/namespace-wide";
/// On a live Secret: a SealedSecret may take it over.
pub const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
/// On a live Secret: merge into it instead of replacing what it holds.
pub const PATCH: &str = "sealedsecrets.bitnami.com/patch";
/// In `spec.template.metadata.annotations`: the produced Secret gets no owner reference.
pub const SKIP_SET_OWNER_REFERENCES: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";
/// Label on a Secret that holds one of upstream's sealing keys; `active` seals, any other value does not.
pub const UPSTREAM_SEALING_KEY: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";
/// The value of [`UPSTREAM_SEALING_KEY`] on keys in use.
pub const UPSTREAM_SEALING_KEY_ACTIVE: &str = "active";

/// Label on a Secret that holds one of our sealing keys; see [`KEY_ACTIVE`], [`KEY_OPENING`], [`KEY_RETIRED`] and
/// [`KEY_COMPROMISED`].
pub const SEALING_KEY: &str = "bulla.dev/sealing-key";
/// Value of [`SEALING_KEY`]: new values are sealed to this key.
pub const KEY_ACTIVE: &str = "active";
/// Value of [`SEALING_KEY`]: opens what was sealed to it, seals nothing new.
pub const KEY_OPENING: &str = "opening";
/// Value of [`SEALING_KEY`]: neither opens nor seals.
pub const KEY_RETIRED: &str = "retired";
/// Value of [`SEALING_KEY`] and of [`UPSTREAM_SEALING_KEY`]: neither opens nor seals, since others may hold it.
pub const KEY_COMPROMISED: &str = "compromised";
/// Annotation on a key Secret that the controller made: when, by the controller's clock (RFC 3339).
pub const KEY_CREATED_AT: &str = "bulla.dev/created-at";
/// Annotation on a key Secret that was asked for: the value of [`ROTATE_REQUESTED_AT`] that it answers.
pub const KEY_REQUESTED_AT: &str = "bulla.dev/requested-at";
/// Annotation on a key Secret whose private half is wrapped: by what.
pub const KEY_WRAPPED_BY: &str = "bulla.dev/wrapped-by";
/// Annotation on a key Secret: the ids of its keys, separated by commas, so that it is found without its private half.
pub const KEY_IDS: &str = "bulla.dev/key-id";
/// Annotation on a key Secret: how many live values it opened, as far as the controller has seen.
pub const KEY_VALUES: &str = "bulla.dev/values";
/// Annotation on a key Secret: in how many objects those values are.
pub const KEY_OBJECTS: &str = "bulla.dev/objects";
/// Annotation on the ConfigMap of the public keys that asks for a new key now: a moment (RFC 3339).
pub const ROTATE_REQUESTED_AT: &str = "bulla.dev/rotate-requested-at";
/// Annotation on the ConfigMap of the public keys: the last value of [`ROTATE_REQUESTED_AT`] that was served.
pub const ROTATE_HANDLED_AT: &str = "bulla.dev/rotate-handled-at";
/// Annotation on the ConfigMap of the public keys: the highest number that the name of a native key's Secret ever had.
pub const HIGHEST_NATIVE_KEY: &str = "bulla.dev/highest-native-key";
/// Annotation on the ConfigMap of the public keys: the same of the certificates that the controller made.
pub const HIGHEST_CERTIFICATE: &str = "bulla.dev/highest-certificate";

/// Label on every Secret that we write; the watch on targets selects by it.
pub const MANAGED_BY: &str = "bulla.dev/managed-by";
/// Value of [`MANAGED_BY`] on the Secret of a SealedSecret.
pub const MANAGED_BY_SEALED_SECRET: &str = "sealed-secret";

/// Flux's annotation that asks for a reconciliation now; its last handled value goes to `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Labels, annotations and finalizers of External Secrets. What it writes, we write, to the letter: a cluster may go
/// from one to the other and back.
pub mod external_secrets {
    /// Label on a target: an ExternalSecret writes it. The value is [`super::TRUE`].
    pub const MANAGED: &str = "reconcile.external-secrets.io/managed";
    /// Label on a target that an ExternalSecret owns: the hash of `namespace/name` of that ExternalSecret.
    pub const CREATED_BY: &str = "reconcile.external-secrets.io/created-by";
    /// Annotation on a target: the hash of the data that was written. Anybody who may read the target's metadata reads
    /// it, so it says whether two Secrets are equal; compatibility wants it all the same.
    pub const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";

    /// Finalizer on every ExternalSecret.
    pub const FINALIZER: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";
    /// Finalizer on every ClusterExternalSecret.
    pub const CLUSTER_FINALIZER: &str = "externalsecrets.external-secrets.io/clusterexternalsecret-cleanup";
    /// Before a ClusterExternalSecret's name in the finalizer on the namespaces that it serves.
    pub const NAMESPACE_FINALIZER_PREFIX: &str = "externalsecrets.external-secrets.io/ces-";
    /// Finalizer on a store that a PushSecret refers to.
    pub const STORE_FINALIZER: &str = "secretstore.externalsecrets.io/finalizer";

    /// Annotation that asks for a sync now, by any new value; a ClusterExternalSecret hands it on.
    pub const FORCE_SYNC: &str = "external-secrets.io/force-sync";
    /// Annotation on a store that silences what is said about providers nobody maintains.
    pub const IGNORE_MAINTENANCE_CHECKS: &str = "external-secrets.io/ignore-maintenance-checks";

    /// Annotation on a ServiceAccount: the AWS role that its tokens are exchanged for.
    pub const AWS_ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
    /// Annotation on a ServiceAccount: for whom its tokens are, if not for [`AWS_AUDIENCE_DEFAULT`].
    pub const AWS_AUDIENCE: &str = "eks.amazonaws.com/audience";
    /// For whom tokens are without [`AWS_AUDIENCE`].
    pub const AWS_AUDIENCE_DEFAULT: &str = "sts.amazonaws.com";
}
