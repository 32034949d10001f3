//! What a Vault provider is made from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::providers::TokenSource;
use crate::secret::Plaintext;

/// A store of a Vault server.
pub struct Settings {
    /// `https://vault.example.com:8200`.
    pub server: String,
    /// The mount of the KV engine; without it keys begin with the mount.
    pub mount: Option<String>,
    /// Which KV engine.
    pub version: KvVersion,
    /// The namespace (Vault Enterprise, OpenBao).
    pub namespace: Option<String>,
    /// The namespace to log in to; the same one unless given.
    pub auth_namespace: Option<String>,
    /// PEM certificates that the server's is checked against; the system's own unless given.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate (mTLS).
    pub client_certificate: Option<ClientCertificate>,
    /// Headers sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Ask the active node where a standby does not have our own write yet.
    pub forward_inconsistent: bool,
    /// How we log in.
    pub auth: Auth,
    /// Tries after the first one of a call that failed for now; 0 is none.
    pub retries: u32,
    /// The wait between tries.
    pub retry_interval: Duration,
}

/// Which KV engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvVersion {
    /// Without versions.
    V1,
    /// With versions and metadata.
    #[default]
    V2,
}

/// A certificate to show, PEM.
pub struct ClientCertificate {
    /// The certificate and what signed it.
    pub certificate: Plaintext,
    /// Its private key.
    pub key: Plaintext,
}

/// How we log in. `mount` is that of the auth method.
pub enum Auth {
    /// A token as it is: neither renewed past its life nor revoked by us.
    Token(Plaintext),
    /// AppRole.
    AppRole {
        /// Usually `approle`.
        mount: String,
        /// The role id.
        role_id: Plaintext,
        /// The secret id.
        secret_id: Plaintext,
    },
    /// A service account's token, checked by Vault at the Kubernetes API.
    Kubernetes {
        /// Usually `kubernetes`.
        mount: String,
        /// The role.
        role: String,
        /// Gives the token.
        token: Arc<dyn TokenSource>,
    },
    /// A token that Vault checks by itself.
    Jwt {
        /// Usually `jwt`.
        mount: String,
        /// The role; the method's default one unless given.
        role: Option<String>,
        /// Gives the token.
        token: Arc<dyn TokenSource>,
    },
    /// User name and password.
    UserPass {
        /// Usually `userpass`.
        mount: String,
        /// The user.
        username: String,
        /// The password.
        password: Plaintext,
    },
    /// User name and password of a directory.
    Ldap {
        /// Usually `ldap`.
        mount: String,
        /// The user.
        username: String,
        /// The password.
        password: Plaintext,
    },
    /// The client certificate of the connection.
    Certificate {
        /// Usually `cert`.
        mount: String,
        /// The role; any that fits unless given.
        role: Option<String>,
        /// The certificate to log in with.
        certificate: ClientCertificate,
    },
}
