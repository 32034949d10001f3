//! What an ExternalSecret asks for: from the API's words to those of `sync` and `secret`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bulla_crds::external_secret as api;
use bulla_crds::external_secret::{ExternalSecret, ExternalSecretSpec, StoreRef, validate};
use bulla_crds::{Unreadable, Violation};
use jiff::Timestamp;

use super::render;
use crate::secret::template::Delimiters;
use crate::secret::{Plaintext, Target, TargetErrors, Values, external as layout};
use crate::sync::external::window::{Effect, Windows};
use crate::sync::external::{
    self, Answers, Assembled, DataItem, Fault, ItemErrors, Items, MissingPolicy, RemoteRef, Source, SourceItem,
    duration, refresh,
};
use crate::sync::projection::{
    self, ConflictPolicy, Conversion, Decoding, Merge, MergeStrategy, NullBytes, PriorityPolicy, Rewrite,
};
use crate::sync::remote::Find;
use crate::sync::target::Creation;

/// How often an ExternalSecret is refreshed that does not say.
const HOUR: Duration = Duration::from_secs(3600);

/// Why an ExternalSecret cannot work, whatever its stores hold: only who edits it can mend that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// The spec cannot be read.
    Unreadable(Unreadable),
    /// It breaks rules.
    Violations(Vec<Violation>),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(unreadable) => unreadable.fmt(f),
            Self::Violations(violations) => {
                for (index, violation) in violations.iter().enumerate() {
                    write!(f, "{}{violation}", if index > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for SpecError {}

/// What an ExternalSecret asks for, in the words of the sync engine.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The stores that the items name by their index.
    pub stores: Vec<StoreRef>,
    /// What to fetch and what to make of it.
    pub items: Items,
    /// What becomes of a remote secret that does not exist.
    pub missing: MissingPolicy,
    /// The Secret's name.
    pub target: String,
    /// How the Secret comes to be.
    pub creation: Creation,
    /// When to fetch again.
    pub policy: refresh::Policy,
    /// How often.
    pub interval: Duration,
    /// When a refresh may happen.
    pub windows: Windows,
}

/// Reads what `object` asks for.
///
/// # Errors
/// Every rule that it breaks.
pub fn read(object: &ExternalSecret) -> Result<Asked, SpecError> {
    let spec = object.spec.as_ref().map_err(|unreadable| SpecError::Unreadable(unreadable.clone()))?;
    let mut violations = validate(spec);
    let mut stores = Stores::default();
    let items = items(spec, &mut stores, &mut violations);
    let interval = interval(spec, &mut violations);
    if let Some(manifest) = spec.target.as_ref().and_then(|target| target.manifest.as_ref()) {
        let (path, kind) = ("spec.target.manifest", &manifest.kind);
        violations.push(Violation::new(path, format!("only Secrets are written; {kind} is not supported")));
    }
    if !violations.is_empty() {
        return Err(SpecError::Violations(violations));
    }
    let target = spec.target.as_ref().and_then(|target| target.name.clone()).filter(|name| !name.is_empty());
    Ok(Asked {
        stores: stores.known,
        items,
        missing: match spec.deletion_policy() {
            api::DeletionPolicy::Retain => MissingPolicy::Error,
            api::DeletionPolicy::Delete | api::DeletionPolicy::Merge => MissingPolicy::Skip,
        },
        target: target.or_else(|| object.metadata.name.clone()).unwrap_or_default(),
        creation: match spec.creation_policy() {
            api::CreationPolicy::Owner => Creation::Owner,
            api::CreationPolicy::Orphan => Creation::Orphan,
            api::CreationPolicy::Merge => Creation::Merge,
            api::CreationPolicy::None => Creation::None,
            api::CreationPolicy::CreateOrMerge => Creation::CreateOrMerge,
        },
        policy: match spec.refresh_policy() {
            api::RefreshPolicy::CreatedOnce => refresh::Policy::CreatedOnce,
            api::RefreshPolicy::Periodic => refresh::Policy::Periodic,
            api::RefreshPolicy::OnChange => refresh::Policy::OnChange,
        },
        interval,
        windows: windows(spec),
    })
}

fn interval(spec: &ExternalSecretSpec, violations: &mut Vec<Violation>) -> Duration {
    let Some(text) = spec.refresh_interval.as_deref().filter(|text| !text.is_empty()) else { return HOUR };
    duration::interval(text).unwrap_or_else(|error| {
        violations.push(Violation::new("spec.refreshInterval", error.to_string()));
        HOUR
    })
}

/// Windows that cannot be understood stand in nobody's way, as with the External Secrets Operator.
fn windows(spec: &ExternalSecretSpec) -> Windows {
    let Some(windows) = &spec.sync_windows else { return Windows::default() };
    let effect = match windows.kind {
        api::SyncWindowKind::Allow => Effect::Allow,
        api::SyncWindowKind::Deny => Effect::Deny,
    };
    let pairs = windows.windows.iter().map(|window| (window.schedule.as_str(), window.duration.as_str()));
    Windows::parse(effect, pairs).0
}

/// Every store once.
#[derive(Default)]
struct Stores {
    known: Vec<StoreRef>,
}

impl Stores {
    fn index(&mut self, reference: &StoreRef) -> usize {
        let reference = StoreRef { name: reference.name.clone(), kind: Some(reference.kind()) };
        self.known.iter().position(|known| *known == reference).unwrap_or_else(|| {
            self.known.push(reference);
            self.known.len() - 1
        })
    }
}

fn items(spec: &ExternalSecretSpec, stores: &mut Stores, violations: &mut Vec<Violation>) -> Items {
    let usual = spec.secret_store_ref.as_ref().filter(|store| !store.name.is_empty());
    let mut items = Items::default();
    let mut store_of = |source: Option<&api::SourceRef>, path: String, violations: &mut Vec<Violation>| {
        if source.is_some_and(|source| source.generator_ref.is_some()) {
            violations.push(Violation::new(format!("{path}.sourceRef.generatorRef"), "generators are not supported"));
            return None;
        }
        let store = source.and_then(|source| source.store_ref.as_ref()).filter(|store| !store.name.is_empty());
        match store.or(usual) {
            Some(store) => Some(stores.index(store)),
            None => {
                violations
                    .push(Violation::new(path, "no store: spec.secretStoreRef or sourceRef.storeRef must be set"));
                None
            }
        }
    };
    for (index, item) in spec.data.iter().enumerate() {
        let Some(store) = store_of(item.source_ref.as_ref(), format!("spec.data[{index}]"), violations) else {
            continue;
        };
        let (secret_key, remote) = (item.secret_key.clone(), remote(&item.remote_ref));
        items.data.push(DataItem { secret_key, remote, store });
    }
    for (index, item) in spec.data_from.iter().enumerate() {
        let path = format!("spec.dataFrom[{index}]");
        let Some(store) = store_of(item.source_ref.as_ref(), path.clone(), violations) else { continue };
        let source = match (&item.extract, &item.find) {
            (Some(extract), _) => Source::Extract(remote(extract)),
            (None, Some(find)) => found(find),
            // `validate` has said so.
            (None, None) => continue,
        };
        let rewrites = item.rewrite.iter().enumerate().filter_map(|(step, one)| {
            let rewrite = rewrite(one);
            if rewrite.is_none() {
                let path = format!("{path}.rewrite[{step}]");
                violations.push(Violation::new(path, "one of regexp, transform and merge must be set"));
            }
            rewrite
        });
        items.data_from.push(SourceItem { source, rewrites: rewrites.collect(), store });
    }
    items
}

fn remote(reference: &api::RemoteRef) -> RemoteRef {
    RemoteRef {
        key: reference.key.clone(),
        property: reference.property.clone().filter(|property| !property.is_empty()),
        version: reference.version.clone().filter(|version| !version.is_empty()),
        metadata: reference.metadata_policy.unwrap_or_default() == api::MetadataPolicy::Fetch,
        decoding: decoding(reference.decoding_strategy),
        conversion: conversion(reference.conversion_strategy),
        null_bytes: null_bytes(reference.null_byte_policy),
    }
}

fn found(find: &api::Find) -> Source {
    Source::Find {
        find: Find {
            path: find.path.clone().filter(|path| !path.is_empty()),
            name: find.name.as_ref().map(|name| name.regexp.clone().unwrap_or_default()),
            tags: find.tags.clone().unwrap_or_default(),
        },
        decoding: decoding(find.decoding_strategy),
        conversion: conversion(find.conversion_strategy),
        null_bytes: null_bytes(find.null_byte_policy),
    }
}

fn decoding(strategy: Option<api::DecodingStrategy>) -> Decoding {
    match strategy.unwrap_or_default() {
        api::DecodingStrategy::Auto => Decoding::Auto,
        api::DecodingStrategy::Base64 => Decoding::Base64,
        api::DecodingStrategy::Base64Url => Decoding::Base64Url,
        api::DecodingStrategy::None => Decoding::None,
    }
}

fn conversion(strategy: Option<api::ConversionStrategy>) -> Conversion {
    match strategy.unwrap_or_default() {
        api::ConversionStrategy::Default => Conversion::Default,
        api::ConversionStrategy::Unicode => Conversion::Unicode,
    }
}

fn null_bytes(policy: Option<api::NullBytePolicy>) -> NullBytes {
    match policy.unwrap_or_default() {
        api::NullBytePolicy::Ignore => NullBytes::Ignore,
        api::NullBytePolicy::Fail => NullBytes::Fail,
    }
}

fn rewrite(step: &api::Rewrite) -> Option<Rewrite> {
    if let Some(regexp) = &step.regexp {
        return Some(Rewrite::Regexp { source: regexp.source.clone(), target: regexp.target.clone() });
    }
    if let Some(transform) = &step.transform {
        return Some(Rewrite::Transform { template: transform.template.clone() });
    }
    let merge = step.merge.as_ref()?;
    Some(Rewrite::Merge(Merge {
        into: merge.into.clone().unwrap_or_default(),
        priority: merge.priority.clone(),
        priority_policy: match merge.priority_policy.unwrap_or_default() {
            api::MergePriorityPolicy::Strict => PriorityPolicy::Strict,
            api::MergePriorityPolicy::IgnoreNotFound => PriorityPolicy::IgnoreNotFound,
        },
        conflict: match merge.conflict_policy.unwrap_or_default() {
            api::MergeConflictPolicy::Error => ConflictPolicy::Error,
            api::MergeConflictPolicy::Ignore => ConflictPolicy::Ignore,
        },
        strategy: match merge.strategy.unwrap_or_default() {
            api::MergeStrategy::Extract => MergeStrategy::Extract,
            api::MergeStrategy::Json => MergeStrategy::Json,
        },
    }))
}

/// Makes values of what the stores answered.
///
/// # Errors
/// Every item that failed.
pub fn assemble<E: Fault>(
    asked: &Asked,
    answers: &mut Answers<'_, E>,
    now: Timestamp,
) -> Result<Assembled, ItemErrors<E>> {
    // A template that renames a key sees the key only, as `.value`; in these, delimiters are always Go's.
    let mut transform = |template: &str, key: &str| {
        let values = Values::from([("value".to_owned(), Plaintext::from(key.to_owned()))]);
        let renamed = render(template, &values, now, Delimiters::default())?;
        String::from_utf8(renamed.expose().to_vec()).map_err(|_| "the new key is not text".to_owned())
    };
    external::assemble(&asked.items, answers, asked.missing, &mut transform)
}

/// An object that holds templates.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateObject {
    /// Whether it is a Secret; else it is a ConfigMap.
    pub is_secret: bool,
    /// Its name, in the namespace of the ExternalSecret.
    pub name: String,
}

/// The objects that the template reads, each once.
#[must_use]
pub fn template_objects(spec: &ExternalSecretSpec) -> Vec<TemplateObject> {
    let from = template_of(spec).into_iter().flat_map(|template| &template.template_from);
    let of = |source: Option<&api::TemplateSource>, is_secret| {
        source.map(|source| TemplateObject { is_secret, name: source.name.clone() })
    };
    let mut objects: Vec<_> =
        from.flat_map(|from| [of(from.config_map.as_ref(), false), of(from.secret.as_ref(), true)]).flatten().collect();
    objects.sort();
    objects.dedup();
    objects
}

fn template_of(spec: &ExternalSecretSpec) -> Option<&api::Template> {
    spec.target.as_ref().and_then(|target| target.template.as_ref())
}

/// Whether the target's metadata may change with the values.
#[must_use]
pub fn renders_metadata(spec: &ExternalSecretSpec) -> bool {
    template_of(spec).is_some_and(|template| {
        let metadata = template.metadata.as_ref();
        metadata.is_some_and(|metadata| !metadata.labels.is_empty() || !metadata.annotations.is_empty())
            || !template.template_from.is_empty()
    })
}

/// Lays out the target. `texts` are the objects of [`template_objects`] as they were read.
///
/// # Errors
/// Every fault of the templates and of what they make.
pub fn target(
    object: &ExternalSecret,
    asked: &Asked,
    fetched: Values,
    texts: &BTreeMap<TemplateObject, Values>,
    now: Timestamp,
    delimiters: Delimiters<'_>,
) -> Result<Target, TargetErrors> {
    let metadata = &object.metadata;
    let spec = object.spec.as_ref().ok();
    let request = layout::Request {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: asked.target.clone(),
        immutable: spec.and_then(|spec| spec.target.as_ref()).and_then(|target| target.immutable),
        labels: metadata.labels.clone().unwrap_or_default(),
        annotations: metadata.annotations.clone().unwrap_or_default(),
        fetched,
    };
    let template = spec.and_then(template_of).map(|template| from_api(template, texts));
    layout::assemble_external(request, template.as_ref(), |text, values| render(text, values, now, delimiters))
}

fn from_api(template: &api::Template, texts: &BTreeMap<TemplateObject, Values>) -> layout::Template {
    let metadata = template.metadata.clone().unwrap_or_default();
    layout::Template {
        kind: template.r#type.clone(),
        labels: metadata.labels,
        annotations: metadata.annotations,
        finalizers: metadata.finalizers,
        merge_policy: match template.merge_policy.unwrap_or_default() {
            api::MergePolicy::Replace => layout::MergePolicy::Replace,
            api::MergePolicy::Merge => layout::MergePolicy::Merge,
        },
        data: template.data.clone(),
        template_from: template.template_from.iter().flat_map(|from| template_from(from, texts)).collect(),
    }
}

fn template_from(from: &api::TemplateFrom, texts: &BTreeMap<TemplateObject, Values>) -> Vec<layout::TemplateFrom> {
    let target = from.target.clone().unwrap_or_default();
    let decode = decode(from.values_decoding_strategy);
    let object = |source: &api::TemplateSource, is_secret: bool| {
        let values = texts.get(&TemplateObject { is_secret, name: source.name.clone() });
        let item = |item: &api::TemplateItem| layout::Item {
            key: item.key.clone(),
            text: values.and_then(|values| values.get(&item.key)).map(|text| Plaintext::copy_of(text.expose())),
            template_as: match item.template_as.unwrap_or_default() {
                api::TemplateAs::Values => layout::TemplateAs::Values,
                api::TemplateAs::KeysAndValues => layout::TemplateAs::KeysAndValues,
            },
        };
        let kind = if is_secret { "secret" } else { "configmap" };
        let (object, items) = (format!("{kind} {}", source.name), source.items.iter().map(item).collect());
        layout::Source::Object { object, items }
    };
    let literal = from.literal.clone().map(|text| layout::Source::Literal { text });
    let sources = [
        from.config_map.as_ref().map(|source| object(source, false)),
        from.secret.as_ref().map(|source| object(source, true)),
        literal,
    ];
    sources
        .into_iter()
        .flatten()
        .map(|source| layout::TemplateFrom { target: target.clone(), source, decode })
        .collect()
}

fn decode(strategy: Option<api::DecodingStrategy>) -> Option<layout::Decode> {
    fn by(strategy: Decoding, value: Plaintext) -> Result<Plaintext, &'static str> {
        projection::decode(strategy, value)
            .map_err(|_| "the value is not in the encoding that valuesDecodingStrategy says")
    }
    match decoding(strategy) {
        Decoding::None => None,
        Decoding::Auto => Some(|value| by(Decoding::Auto, value)),
        Decoding::Base64 => Some(|value| by(Decoding::Base64, value)),
        Decoding::Base64Url => Some(|value| by(Decoding::Base64Url, value)),
    }
}
