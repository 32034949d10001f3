//! `provider.fake`: values written in the store itself, for tests.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Values written in the store itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FakeProvider {
    /// The values.
    #[serde(default)]
    pub data: Vec<FakeData>,
    /// What checking the store says: 0 good, 1 unknown, 2 bad; absent means 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_result: Option<i64>,
}

/// One remote secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FakeData {
    /// Its name.
    pub key: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<FakeValue>,
    /// Its value as a map; only `v1beta1` had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_map: Option<BTreeMap<String, FakeValue>>,
    /// Its version; a request must name it exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A value that does not print. It is as secret as the store that it stands in.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FakeValue(String);

impl FakeValue {
    /// A value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FakeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeValue(hidden)")
    }
}
