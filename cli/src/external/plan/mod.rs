//! What each ExternalSecret would write: names, sources, versions and keyed digests, and never a value.

mod planner;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bulla::resource::external_secret as resource;
use jiff::Timestamp;
use serde::Serialize;

use self::planner::{Planner, id};
use super::check::{Finding, allowed};
use super::documents::Documents;
use super::offline::{Offline, Opened, open};
use crate::failure::Outcome;
use crate::memory::Memory;

/// What one ExternalSecret would write.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    pub(crate) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// Kind, namespace and name of the ExternalSecret.
    pub(crate) object: String,
    pub(crate) target: TargetPlan,
    pub(crate) stores: Vec<StorePlan>,
    /// What is fetched.
    pub(crate) values: Vec<ValuePlan>,
    /// What the Secret holds, as far as it is known.
    pub(crate) data: Vec<DataPlan>,
    /// Whether `data` is all of it.
    pub(crate) complete: bool,
    pub(crate) notes: Vec<String>,
}

/// The Secret and the rules that it is written by.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetPlan {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) creation_policy: String,
    pub(crate) deletion_policy: String,
    pub(crate) refresh_policy: String,
    pub(crate) refresh_interval: String,
    pub(crate) immutable: bool,
    pub(crate) has_template: bool,
}

/// A store and whether it was asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorePlan {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) provider: String,
    /// Why it was not asked; null where it was.
    pub(crate) not_asked: Option<String>,
}

/// Whether a value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    There,
    /// It is not, which the deletion policy allows.
    LeftOut,
    /// It cannot be had: a finding says why.
    Failed,
    /// Another item brings the same key and wins.
    Overridden,
    NotAsked,
}

/// A value and where it comes from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ValuePlan {
    /// The data key; null where only asking tells which there are.
    pub(crate) key: Option<String>,
    /// Which item, such as `spec.data[0]`.
    pub(crate) item: String,
    /// Index into `stores`.
    pub(crate) store: usize,
    pub(crate) remote_key: Option<String>,
    pub(crate) property: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) state: State,
    /// Equal digests on one machine mean that the value of this key of this Secret is the same.
    pub(crate) digest: Option<String>,
}

/// A key of the Secret.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataPlan {
    pub(crate) key: String,
    pub(crate) from_template: bool,
    pub(crate) digest: Option<String>,
}

/// Plans every ExternalSecret that can be read and whose stores it may use; [`check`](super::check()) says what is wrong with
/// the others. Findings are what only asking the stores brings to light.
pub(crate) async fn plan(
    documents: &Documents,
    offline: &Offline,
    memory: &Memory,
    now: Timestamp,
) -> Outcome<(Vec<Plan>, Vec<Finding>)> {
    let (mut plans, mut findings) = (Vec::new(), Vec::new());
    let mut opened: HashMap<(String, String), Opened> = HashMap::new();
    for external in &documents.externals {
        let Ok(asked) = resource::read(&external.object) else { continue };
        let Ok(spec) = &external.object.spec else { continue };
        let stores: Result<Vec<_>, _> = asked.stores.iter().map(|store| allowed(documents, external, store)).collect();
        let Ok(stores) = stores else { continue };
        for store in &stores {
            let name = id(store, external);
            if let Entry::Vacant(unknown) = opened.entry(name) {
                let known = open(documents, store, external.namespace(), offline).await?;
                if let Opened::Broken(broken) = &known {
                    findings.extend(broken.iter().cloned());
                }
                unknown.insert(known);
            }
        }
        let planner =
            Planner { documents, external, spec, asked: &asked, stores: &stores, opened: &opened, memory, now };
        let (plan, found) = planner.plan().await;
        plans.push(plan);
        findings.extend(found);
    }
    Ok((plans, findings))
}
