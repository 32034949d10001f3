//! `provider.vault` and `provider.openBao`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{CaProvider, SecretKeySelector, ServiceAccountSelector};

/// HashiCorp Vault, or `OpenBao`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultProvider {
    /// The server's URL.
    pub server: String,
    /// Where the KV engine is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The KV engine's version; absent means 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<KvVersion>,
    /// The namespace of an enterprise server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Certificates of authorities, PEM in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// Where certificates of authorities are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
    /// Our certificate for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// Whether a read must see our last write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_your_writes: Option<bool>,
    /// Whether the active node answers where another is behind; needs `read_your_writes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_inconsistent: Option<bool>,
    /// Headers for every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Whether writes name the version that they replace; only for pushing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_and_set: Option<CheckAndSet>,
    /// How to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<VaultAuth>,
}

/// Versions of the KV engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KvVersion {
    /// Without versions of a secret.
    V1,
    /// With versions of a secret.
    #[default]
    V2,
}

/// Our certificate and its key; both or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// The certificate; the usual key is `tls.crt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<SecretKeySelector>,
    /// The private key; the usual key is `tls.key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<SecretKeySelector>,
}

/// Whether writes name the version that they replace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckAndSet {
    /// Whether they must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

/// How to log in. The first that is set, in this order, is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuth {
    /// The namespace to log in to; absent means the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeySelector>,
    /// AppRole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_role: Option<VaultAppRole>,
    /// A service account of this cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<VaultKubernetes>,
    /// LDAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<VaultLdap>,
    /// A user and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_pass: Option<VaultUserPass>,
    /// A token of some issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<VaultJwt>,
    /// A TLS certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<VaultCert>,
    /// AWS identities: known by name only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam: Option<Unsupported>,
    /// Google identities: known by name only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcp: Option<Unsupported>,
}

impl VaultAuth {
    /// The method that is used, by its field: the first that is set and that we know.
    pub fn method(&self) -> Option<&'static str> {
        let methods = [
            ("tokenSecretRef", self.token_secret_ref.is_some()),
            ("appRole", self.app_role.is_some()),
            ("kubernetes", self.kubernetes.is_some()),
            ("ldap", self.ldap.is_some()),
            ("userPass", self.user_pass.is_some()),
            ("jwt", self.jwt.is_some()),
            ("cert", self.cert.is_some()),
        ];
        methods.into_iter().find_map(|(name, is_set)| is_set.then_some(name))
    }
}

/// Settings that are known by name only: any object is read, and nothing of it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsupported;

impl Serialize for Unsupported {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(std::iter::empty::<(&str, &str)>())
    }
}

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A role's id and its secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAppRole {
    /// Where the method is mounted; absent means `approle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The role's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,
    /// Where the role's id is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_ref: Option<SecretKeySelector>,
    /// Where the role's secret is.
    pub secret_ref: SecretKeySelector,
}

/// A service account of this cluster: the selected one, a kept token, or the controller's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultKubernetes {
    /// Where the method is mounted, in `provider.vault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// Where the method is mounted, in `provider.openBao`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The role to log in as.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
    /// Where a token is; the usual key is `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

impl VaultKubernetes {
    /// Where the method is mounted: `kubernetes` unless another place is set.
    pub fn mount(&self) -> &str {
        self.mount_path.as_deref().or(self.path.as_deref()).unwrap_or("kubernetes")
    }
}

/// A user of an LDAP directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultLdap {
    /// Where the method is mounted; absent means `ldap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The user.
    pub username: String,
    /// Where the password is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

/// A user that the server knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultUserPass {
    /// Where the method is mounted; absent means `userpass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The user.
    pub username: String,
    /// Where the password is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

/// A token of some issuer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultJwt {
    /// Where the method is mounted; absent means `jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The role to log in as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where the token is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
    /// A service account whose token is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_service_account_token: Option<VaultServiceAccountToken>,
}

/// A service account whose token is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultServiceAccountToken {
    /// The service account.
    pub service_account_ref: ServiceAccountSelector,
    /// Deprecated: for whom the token is; absent means `vault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// Deprecated: how long it lives, in seconds; absent means 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_seconds: Option<i64>,
}

/// A TLS certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultCert {
    /// Where the method is mounted; absent means `cert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The role to log in as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_role: Option<String>,
    /// Where the certificate is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<SecretKeySelector>,
    /// Where its private key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}
