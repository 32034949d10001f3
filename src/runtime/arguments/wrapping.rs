//! How private halves of sealing keys are wrapped at rest. Secrets are named by their files, never given.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::controllers::{AgeWrapping, KmsWrapping, TransitWrapping, VaultLogin, Wrapper, Wrapping};
use crate::seal::{KeyKind, Recipient};

/// Flags for wrapping. What is set up besides the chosen wrapper unwraps keys that are there.
#[derive(Debug, Args)]
pub struct WrappingArguments {
    /// What wraps the private halves of new native keys.
    #[arg(long, env = "BULLA_KEY_WRAPPING", value_enum, default_value_t = Chosen::None, value_name = "WRAPPER")]
    pub key_wrapping: Chosen,
    /// age: the identity file that unwraps, mounted from outside the cluster.
    #[arg(long, env = "BULLA_KEY_WRAPPING_IDENTITY_FILE", value_name = "FILE")]
    pub key_wrapping_identity_file: Option<PathBuf>,
    /// age: who can unwrap, such as age1...; repeatable, all of one kind.
    #[arg(
        long = "key-wrapping-recipient", env = "BULLA_KEY_WRAPPING_RECIPIENT", value_delimiter = ',',
        value_name = "RECIPIENT", required_if_eq("key_wrapping", "age"), value_parser = recipient
    )]
    pub key_wrapping_recipients: Vec<Recipient>,
    /// Vault Transit: the key, as `mount/key`.
    #[arg(
        long, env = "BULLA_KEY_WRAPPING_VAULT_TRANSIT", value_name = "KEY",
        required_if_eq("key_wrapping", "vault-transit"), requires = "key_wrapping_vault_address", value_parser = transit
    )]
    pub key_wrapping_vault_transit: Option<String>,
    /// Vault Transit: the server, such as `https://vault.example.com:8200`.
    #[arg(long, env = "BULLA_KEY_WRAPPING_VAULT_ADDRESS", value_name = "URL", requires = "key_wrapping_vault_transit")]
    pub key_wrapping_vault_address: Option<String>,
    /// Vault Transit: PEM certificates that the server's is checked against [default: the system's].
    #[arg(long, env = "BULLA_KEY_WRAPPING_VAULT_CA_FILE", value_name = "FILE")]
    pub key_wrapping_vault_ca_file: Option<PathBuf>,
    /// Vault Transit: the namespace.
    #[arg(long, env = "BULLA_KEY_WRAPPING_VAULT_NAMESPACE", value_name = "NAMESPACE")]
    pub key_wrapping_vault_namespace: Option<String>,
    /// Vault Transit: log in with the controller's service account, as this role of the auth method kubernetes.
    #[arg(
        long, env = "BULLA_KEY_WRAPPING_VAULT_ROLE", value_name = "ROLE", default_value = "bulla",
        conflicts_with_all = ["key_wrapping_vault_token_file", "key_wrapping_vault_role_id"]
    )]
    pub key_wrapping_vault_role: String,
    /// Vault Transit: log in with this role id of the auth method approle.
    #[arg(
        long,
        env = "BULLA_KEY_WRAPPING_VAULT_ROLE_ID",
        value_name = "ID",
        requires = "key_wrapping_vault_secret_id_file",
        conflicts_with = "key_wrapping_vault_token_file"
    )]
    pub key_wrapping_vault_role_id: Option<String>,
    /// Vault Transit: the file with the secret id that belongs to the role id.
    #[arg(
        long,
        env = "BULLA_KEY_WRAPPING_VAULT_SECRET_ID_FILE",
        value_name = "FILE",
        requires = "key_wrapping_vault_role_id"
    )]
    pub key_wrapping_vault_secret_id_file: Option<PathBuf>,
    /// Vault Transit: use the token in this file.
    #[arg(long, env = "BULLA_KEY_WRAPPING_VAULT_TOKEN_FILE", value_name = "FILE")]
    pub key_wrapping_vault_token_file: Option<PathBuf>,
    /// Vault Transit: where the auth method is mounted [default: kubernetes or approle].
    #[arg(long, env = "BULLA_KEY_WRAPPING_VAULT_AUTH_MOUNT", value_name = "MOUNT")]
    pub key_wrapping_vault_auth_mount: Option<String>,
    /// AWS KMS: the key's id, ARN or `alias/name`; credentials are had as the AWS SDK has them.
    #[arg(
        long,
        env = "BULLA_KEY_WRAPPING_AWS_KMS",
        value_name = "KEY",
        required_if_eq("key_wrapping", "aws-kms"),
        requires = "key_wrapping_aws_region"
    )]
    pub key_wrapping_aws_kms: Option<String>,
    /// AWS KMS: the region.
    #[arg(long, env = "BULLA_KEY_WRAPPING_AWS_REGION", value_name = "REGION")]
    pub key_wrapping_aws_region: Option<String>,
    /// AWS KMS: where it answers [default: the region's own address].
    #[arg(long, env = "BULLA_KEY_WRAPPING_AWS_ENDPOINT", value_name = "URL")]
    pub key_wrapping_aws_endpoint: Option<String>,
    /// AWS KMS: a role to assume.
    #[arg(long, env = "BULLA_KEY_WRAPPING_AWS_ROLE_ARN", value_name = "ARN")]
    pub key_wrapping_aws_role_arn: Option<String>,
}

/// What wraps new keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chosen {
    /// Nothing: who reads the Secrets of the controller's namespace, or a backup of them, has the keys.
    None,
    /// An age recipient.
    Age,
    /// A key of Vault's Transit engine.
    VaultTransit,
    /// A key of AWS KMS.
    AwsKms,
}

fn recipient(text: &str) -> Result<Recipient, String> {
    let recipient: Recipient = text.parse().map_err(|error| format!("{error}"))?;
    if recipient.kind() == KeyKind::Rsa { Err("a certificate wraps nothing".to_owned()) } else { Ok(recipient) }
}

fn transit(text: &str) -> Result<String, String> {
    let has_both =
        text.trim_matches('/').rsplit_once('/').is_some_and(|(mount, key)| !mount.is_empty() && !key.is_empty());
    if has_both { Ok(text.to_owned()) } else { Err("write it as <mount>/<key>".to_owned()) }
}

impl WrappingArguments {
    pub(super) fn config(&self) -> Wrapping {
        let chosen = match self.key_wrapping {
            Chosen::None => None,
            Chosen::Age => Some(Wrapper::Age),
            Chosen::VaultTransit => Some(Wrapper::VaultTransit),
            Chosen::AwsKms => Some(Wrapper::AwsKms),
        };
        let has_age = self.key_wrapping_identity_file.is_some() || !self.key_wrapping_recipients.is_empty();
        let age = has_age.then(|| AgeWrapping {
            identity_file: self.key_wrapping_identity_file.clone(),
            recipients: self.key_wrapping_recipients.clone(),
        });
        let vault = self.key_wrapping_vault_transit.clone().zip(self.key_wrapping_vault_address.clone());
        let transit = vault.map(|(key, address)| TransitWrapping {
            key,
            address,
            ca_file: self.key_wrapping_vault_ca_file.clone(),
            namespace: self.key_wrapping_vault_namespace.clone(),
            login: self.login(),
        });
        let kms = self.key_wrapping_aws_kms.clone().zip(self.key_wrapping_aws_region.clone());
        let kms = kms.map(|(key, region)| KmsWrapping {
            key,
            region,
            endpoint: self.key_wrapping_aws_endpoint.clone(),
            role_arn: self.key_wrapping_aws_role_arn.clone(),
        });
        Wrapping { chosen, age, transit, kms }
    }

    fn login(&self) -> VaultLogin {
        let mount = |usual: &str| self.key_wrapping_vault_auth_mount.clone().unwrap_or_else(|| usual.to_owned());
        if let Some(file) = &self.key_wrapping_vault_token_file {
            return VaultLogin::TokenFile(file.clone());
        }
        let approle = self.key_wrapping_vault_role_id.clone().zip(self.key_wrapping_vault_secret_id_file.clone());
        match approle {
            Some((role_id, secret_id_file)) => VaultLogin::AppRole { mount: mount("approle"), role_id, secret_id_file },
            None => VaultLogin::Kubernetes { mount: mount("kubernetes"), role: self.key_wrapping_vault_role.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        wrapping: WrappingArguments,
    }

    fn config(arguments: &[&str]) -> Result<Wrapping, String> {
        let line = Line::try_parse_from([&["test"], arguments].concat());
        line.map(|line| line.wrapping.config()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_wrapped_unless_it_is_said_and_then_what_is_needed_is_asked_for() {
        let none = config(&[]).unwrap();
        assert!(none.chosen.is_none() && none.age.is_none() && none.transit.is_none() && none.kms.is_none());
        for (chosen, missing) in [
            ("age", "--key-wrapping-recipient"),
            ("vault-transit", "--key-wrapping-vault-transit"),
            ("aws-kms", "--key-wrapping-aws-kms"),
        ] {
            assert!(config(&["--key-wrapping", chosen]).is_err_and(|error| error.contains(missing)), "{chosen}");
        }
        assert!(config(&["--key-wrapping-vault-transit", "transit/bulla"]).is_err_and(|e| e.contains("address")));
        let vault = ["--key-wrapping-vault-address", "https://vault", "--key-wrapping-vault-transit"];
        assert!(config(&[&vault[..], &["bulla"]].concat()).is_err_and(|error| error.contains("<mount>/<key>")));
    }

    #[test]
    fn what_is_set_up_but_not_chosen_unwraps() {
        let recipient = crate::seal::Identity::generate_x25519().unwrap().recipient().to_string();
        let age = ["--key-wrapping-recipient", &recipient, "--key-wrapping-identity-file", "/k"];
        let vault = ["--key-wrapping-vault-address", "https://vault", "--key-wrapping-vault-transit", "transit/bulla"];
        let both = config(&[&["--key-wrapping", "vault-transit"][..], &age, &vault].concat()).unwrap();
        assert_eq!(both.chosen, Some(Wrapper::VaultTransit));
        assert_eq!(both.age.unwrap().recipients.len(), 1);
        assert!(matches!(both.transit.unwrap().login, VaultLogin::Kubernetes { role, .. } if role == "bulla"));
        let secret = "AGE-SECRET-KEY-1QQQQ";
        assert!(config(&["--key-wrapping-recipient", secret]).is_err_and(|error| error.contains("private key")));
    }

    #[test]
    fn there_is_one_way_to_log_in() {
        let vault = ["--key-wrapping-vault-address", "https://vault", "--key-wrapping-vault-transit", "transit/bulla"];
        let with = |more: &[&str]| config(&[&vault[..], more].concat());
        let token = with(&["--key-wrapping-vault-token-file", "/t"]).unwrap().transit.unwrap().login;
        assert!(matches!(token, VaultLogin::TokenFile(_)));
        let approle = ["--key-wrapping-vault-role-id", "id", "--key-wrapping-vault-secret-id-file", "/s"];
        let login = with(&approle).unwrap().transit.unwrap().login;
        assert!(matches!(login, VaultLogin::AppRole { mount, .. } if mount == "approle"));
        assert!(with(&["--key-wrapping-vault-role-id", "id"]).is_err());
        assert!(with(&[&approle[..], &["--key-wrapping-vault-token-file", "/t"]].concat()).is_err());
    }
}
