//! `provider`: exactly one key, which says what kind of store it is.

use std::fmt;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{AwsProvider, FakeProvider, FileProvider, KubernetesProvider, VaultProvider};

/// Where remote secrets live.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum StoreProvider {
    /// AWS Secrets Manager or Parameter Store.
    Aws(Box<AwsProvider>),
    /// HashiCorp Vault.
    Vault(Box<VaultProvider>),
    /// `OpenBao`, which has Vault's settings.
    OpenBao(Box<VaultProvider>),
    /// The Secrets of a namespace.
    Kubernetes(Box<KubernetesProvider>),
    /// Values written in the store itself.
    Fake(FakeProvider),
    /// An age-encrypted YAML file.
    File(Box<FileProvider>),
    /// Another provider, by its key; its settings are not kept.
    Other(String),
    /// More than one provider, by their keys; no settings are kept.
    Several(Vec<String>),
    /// None at all.
    #[default]
    Missing,
}

impl StoreProvider {
    /// The key under `provider`; of several the first, and nothing where there is none.
    pub fn key(&self) -> &str {
        match self {
            Self::Aws(_) => "aws",
            Self::Vault(_) => "vault",
            Self::OpenBao(_) => "openBao",
            Self::Kubernetes(_) => "kubernetes",
            Self::Fake(_) => "fake",
            Self::File(_) => "file",
            Self::Other(key) => key,
            Self::Several(keys) => keys.first().map_or("", String::as_str),
            Self::Missing => "",
        }
    }
}

impl Serialize for StoreProvider {
    /// What was not kept is written as an empty object.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing = std::collections::BTreeMap::<String, String>::new();
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Aws(settings) => map.serialize_entry(self.key(), settings)?,
            Self::Vault(settings) | Self::OpenBao(settings) => map.serialize_entry(self.key(), settings)?,
            Self::Kubernetes(settings) => map.serialize_entry(self.key(), settings)?,
            Self::Fake(settings) => map.serialize_entry(self.key(), settings)?,
            Self::File(settings) => map.serialize_entry(self.key(), settings)?,
            Self::Other(key) => map.serialize_entry(key, &nothing)?,
            Self::Several(keys) => {
                for key in keys {
                    map.serialize_entry(key, &nothing)?;
                }
            }
            Self::Missing => {}
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for StoreProvider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = StoreProvider;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one provider")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<StoreProvider, A::Error> {
        let mut provider = StoreProvider::Missing;
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            provider = match key.as_str() {
                "aws" => StoreProvider::Aws(map.next_value()?),
                "vault" => StoreProvider::Vault(map.next_value()?),
                "openBao" => StoreProvider::OpenBao(map.next_value()?),
                "kubernetes" => StoreProvider::Kubernetes(map.next_value()?),
                "fake" => StoreProvider::Fake(map.next_value()?),
                "file" => StoreProvider::File(map.next_value()?),
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                    StoreProvider::Other(key.clone())
                }
            };
            keys.push(key);
        }
        if keys.len() > 1 {
            keys.sort();
            provider = StoreProvider::Several(keys);
        }
        Ok(provider)
    }
}
