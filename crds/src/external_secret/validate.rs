//! The rules that an ExternalSecret must keep beyond its schema, and those of its schema that a file may break.
//!
//! The sentences of External Secrets are kept where it has one.

use std::collections::BTreeSet;

use super::{
    CreationPolicy, DataFrom, DeletionPolicy, EngineVersion, ExternalSecretSpec, MergeStrategy, Rewrite, SourceRef,
    Template,
};
use crate::validation::{Violation, is_duration};

/// The longest data key of a Secret, in bytes.
const LONGEST_DATA_KEY: usize = 253;
/// A type of Secret that lets its holder join nodes to the cluster.
const BOOTSTRAP_TOKEN: &str = "bootstrap.kubernetes.io/token";
/// A type of Secret that the cluster fills with a token of the service account that it names.
const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
/// The annotation by which it names one.
const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// Every rule that the spec breaks, in the order of the spec. An empty list means that it can be tried.
pub fn validate(spec: &ExternalSecretSpec) -> Vec<Violation> {
    let mut broken = Vec::new();
    if spec.refresh_interval.as_ref().is_some_and(|interval| !is_duration(interval)) {
        broken.push(Violation::new("spec.refreshInterval", "must be a duration such as 1h30m"));
    }
    if let Some(windows) = &spec.sync_windows
        && windows.windows.is_empty()
    {
        broken.push(Violation::new("spec.syncWindows.windows", "must have at least one window"));
    }
    policies(spec, &mut broken);
    if let Some(target) = &spec.target
        && let Some(template) = &target.template
    {
        template_rules(template, target.manifest.is_some(), &mut broken);
    }
    if spec.data.is_empty() && spec.data_from.is_empty() {
        broken.push(Violation::new("spec", "either data or dataFrom should be specified"));
    }
    data(spec, &mut broken);
    for (index, item) in spec.data_from.iter().enumerate() {
        data_from(&format!("spec.dataFrom[{index}]"), item, has_store(spec), &mut broken);
    }
    broken
}

fn policies(spec: &ExternalSecretSpec, broken: &mut Vec<Violation>) {
    let (creation, deletion) = (spec.creation_policy(), spec.deletion_policy());
    let shared = matches!(creation, CreationPolicy::Merge | CreationPolicy::None | CreationPolicy::CreateOrMerge);
    if deletion == DeletionPolicy::Delete && shared {
        broken.push(Violation::new(
            "spec.target.deletionPolicy",
            "deletionPolicy=Delete must not be used when the controller doesn't own the secret. \
             Please set creationPolicy=Owner",
        ));
    }
    if deletion == DeletionPolicy::Merge && creation == CreationPolicy::None {
        broken.push(Violation::new(
            "spec.target.deletionPolicy",
            "deletionPolicy=Merge must not be used with creationPolicy=None. There is no Secret to merge with",
        ));
    }
}

/// Templates must not make Secrets that give away more of the cluster than whoever writes them has.
fn template_rules(template: &Template, is_manifest: bool, broken: &mut Vec<Violation>) {
    const ROOT: &str = "spec.target.template";
    if template.engine_version == Some(EngineVersion::V1) {
        let sentence = "engine version v1 does not exist any more: use v2, which is also what an absent field means";
        broken.push(Violation::new(format!("{ROOT}.engineVersion"), sentence));
    }
    let target_of = |target: &Option<String>| target.as_deref().unwrap_or_default().to_ascii_lowercase();
    if !is_manifest {
        for (index, from) in template.template_from.iter().enumerate() {
            if !matches!(target_of(&from.target).as_str(), "" | "data" | "annotations" | "labels") {
                let path = format!("{ROOT}.templateFrom[{index}].target");
                broken.push(Violation::new(path, "must be Data, Annotations or Labels where the target is a Secret"));
            }
        }
    }
    let r#type = template.r#type.as_deref().unwrap_or_default();
    if r#type == BOOTSTRAP_TOKEN {
        broken.push(Violation::new(format!("{ROOT}.type"), format!("{BOOTSTRAP_TOKEN} is not allowed")));
    }
    let names_account = template.metadata.as_ref().is_some_and(|m| m.annotations.contains_key(SERVICE_ACCOUNT_NAME));
    let makes_annotations = template.template_from.iter().any(|from| target_of(&from.target) == "annotations");
    if r#type == SERVICE_ACCOUNT_TOKEN && names_account {
        let sentence = format!("{SERVICE_ACCOUNT_TOKEN} is not allowed with the annotation {SERVICE_ACCOUNT_NAME}");
        broken.push(Violation::new(format!("{ROOT}.type"), sentence));
    }
    if r#type == SERVICE_ACCOUNT_TOKEN && makes_annotations {
        let sentence = format!("{SERVICE_ACCOUNT_TOKEN} is not allowed with a templateFrom that makes annotations");
        broken.push(Violation::new(format!("{ROOT}.type"), sentence));
    }
}

fn data(spec: &ExternalSecretSpec, broken: &mut Vec<Violation>) {
    let mut seen = BTreeSet::new();
    for (index, item) in spec.data.iter().enumerate() {
        let path = format!("spec.data[{index}]");
        if !is_data_key(&item.secret_key) {
            let sentence = "must be 1 to 253 letters, digits, '-', '.' and '_'";
            broken.push(Violation::new(format!("{path}.secretKey"), sentence));
        }
        if !seen.insert(item.secret_key.as_str()) && spec.deletion_policy() == DeletionPolicy::Retain {
            let sentence = format!("duplicate secretKey found: {}", item.secret_key);
            broken.push(Violation::new(format!("{path}.secretKey"), sentence));
        }
        if let Some(SourceRef { generator_ref: Some(_), .. }) = item.source_ref {
            let sentence = "a generator gives many keys: use it in dataFrom";
            broken.push(Violation::new(format!("{path}.sourceRef.generatorRef"), sentence));
        } else if !has_store(spec) && !names_store(item.source_ref.as_ref()) {
            broken.push(no_store(&path));
        }
    }
}

fn data_from(path: &str, item: &DataFrom, has_store: bool, broken: &mut Vec<Violation>) {
    let source = item.source_ref.as_ref();
    let has_generator = source.is_some_and(|source| source.generator_ref.is_some());
    let sources = [item.extract.is_some(), item.find.is_some(), has_generator].into_iter().filter(|set| *set).count();
    if sources > 1 {
        broken.push(Violation::new(path, "extract, find, or generatorRef cannot be set at the same time"));
    }
    if item.extract.is_none() && item.find.is_none() && source.is_none() {
        broken.push(Violation::new(path, "either extract, find, or sourceRef must be set to dataFrom"));
    }
    match source {
        Some(SourceRef { store_ref: None, generator_ref: None }) => {
            let sentence = "generatorRef or storeRef must be set when using sourceRef in dataFrom";
            broken.push(Violation::new(format!("{path}.sourceRef"), sentence));
        }
        Some(SourceRef { store_ref: Some(_), generator_ref: Some(_) }) => {
            let sentence = "generatorRef and storeRef cannot be set at the same time";
            broken.push(Violation::new(format!("{path}.sourceRef"), sentence));
        }
        Some(SourceRef { store_ref: Some(_), generator_ref: None }) if sources == 0 => {
            broken.push(Violation::new(path, "extract or find must be set beside sourceRef.storeRef"));
        }
        Some(_) | None => {}
    }
    if !has_store && !has_generator && !names_store(source) {
        broken.push(no_store(path));
    }
    for (index, rewrite) in item.rewrite.iter().enumerate() {
        rewrite_rules(&format!("{path}.rewrite[{index}]"), rewrite, broken);
    }
}

fn rewrite_rules(path: &str, rewrite: &Rewrite, broken: &mut Vec<Violation>) {
    let Rewrite { regexp, transform, merge } = rewrite;
    if [regexp.is_some(), transform.is_some(), merge.is_some()].into_iter().filter(|set| *set).count() != 1 {
        broken.push(Violation::new(path, "exactly one of regexp, transform and merge must be set"));
    }
    if let Some(merge) = merge
        && merge.strategy == Some(MergeStrategy::Json)
        && merge.into.as_deref().unwrap_or_default().is_empty()
    {
        broken.push(Violation::new(format!("{path}.merge.into"), "must be set with strategy JSON"));
    }
}

fn has_store(spec: &ExternalSecretSpec) -> bool {
    spec.secret_store_ref.as_ref().is_some_and(|store| !store.name.is_empty())
}

fn names_store(source: Option<&SourceRef>) -> bool {
    source.and_then(|source| source.store_ref.as_ref()).is_some_and(|store| !store.name.is_empty())
}

fn no_store(path: &str) -> Violation {
    Violation::new(path, "names no store: set spec.secretStoreRef.name or sourceRef.storeRef.name")
}

fn is_data_key(key: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=LONGEST_DATA_KEY).contains(&key.len()) && key.bytes().all(legal)
}
