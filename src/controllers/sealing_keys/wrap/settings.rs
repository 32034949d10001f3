//! What wraps private halves, and how it is reached. Secrets are in files, and read when they are needed.

use std::path::PathBuf;

use crate::seal::Recipient;

/// What wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrapper {
    /// An age recipient.
    Age,
    /// Vault's Transit engine.
    VaultTransit,
    /// AWS KMS.
    AwsKms,
}

impl Wrapper {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Age, Self::VaultTransit, Self::AwsKms];

    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "an age recipient",
            Self::VaultTransit => "Vault Transit",
            Self::AwsKms => "AWS KMS",
        }
    }

    /// The data key in the Secret.
    pub(super) const fn form(self) -> &'static str {
        match self {
            Self::Age => "identity.age",
            Self::VaultTransit => "identity.vault",
            Self::AwsKms => "identity.kms",
        }
    }

    /// The flag without which it cannot unwrap.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::Age => "--key-wrapping-identity-file",
            Self::VaultTransit => "--key-wrapping-vault-transit",
            Self::AwsKms => "--key-wrapping-aws-kms",
        }
    }
}

/// How private halves are wrapped at rest; the default is not at all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Wrapping {
    /// What wraps new keys; `None` is nothing.
    pub chosen: Option<Wrapper>,
    /// An age recipient.
    pub age: Option<AgeWrapping>,
    /// Vault's Transit engine.
    pub transit: Option<TransitWrapping>,
    /// AWS KMS.
    pub kms: Option<KmsWrapping>,
}

/// An age recipient whose identity is held outside the cluster.
#[derive(Clone, Debug, Default)]
pub struct AgeWrapping {
    /// The identity file, mounted from outside.
    pub identity_file: Option<PathBuf>,
    /// Who can open what is wrapped: the identity in the file, and perhaps one kept offline.
    pub recipients: Vec<Recipient>,
}

/// A key of Vault's Transit engine.
#[derive(Clone, Debug)]
pub struct TransitWrapping {
    /// `<mount>/<key>`.
    pub key: String,
    /// `https://vault.example.com:8200`.
    pub address: String,
    /// PEM certificates that the server's is checked against; the system's own unless given.
    pub ca_file: Option<PathBuf>,
    /// The namespace (Vault Enterprise, OpenBao).
    pub namespace: Option<String>,
    /// How we log in.
    pub login: VaultLogin,
}

/// How we log in to Vault.
#[derive(Clone, Debug)]
pub enum VaultLogin {
    /// The token in this file.
    TokenFile(PathBuf),
    /// AppRole.
    AppRole {
        /// Where the method is mounted, usually `approle`.
        mount: String,
        /// The role id.
        role_id: String,
        /// The file with the secret id.
        secret_id_file: PathBuf,
    },
    /// The token of the controller's own service account.
    Kubernetes {
        /// Where the method is mounted, usually `kubernetes`.
        mount: String,
        /// The role.
        role: String,
    },
}

/// A key of AWS KMS; credentials are had as the AWS SDK has them (IRSA, Pod Identity, environment).
#[derive(Clone, Debug)]
pub struct KmsWrapping {
    /// Its id, ARN or alias (`alias/<name>`).
    pub key: String,
    /// The region.
    pub region: String,
    /// Where KMS answers, instead of the region's own address.
    pub endpoint: Option<String>,
    /// A role to assume for it.
    pub role_arn: Option<String>,
}
