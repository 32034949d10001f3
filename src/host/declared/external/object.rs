//! One ExternalSecret: what it asks for, and the way to its Secret.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::ExternalSecret;
use bulla_crds::external_secret::DeletionPolicy;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::around::Around;
use super::{Full, Request, copy};
use crate::providers::{Session, Urgency};
use crate::resource::external_secret::{self as resource, Asked, TemplateObject};
use crate::secret::template::Delimiters;
use crate::secret::{Target, Values};
use crate::stores::{StoreError, StoreId, fetch};
use crate::sync::external::hash;
use crate::sync::remote;
use crate::sync::schedule::Class;
use crate::sync::target::Creation;

/// Why there is no Secret. Without values: it is shown to people.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) problem: String,
    /// How soon another try makes sense; nothing where only another commit helps.
    pub(super) class: Option<Class>,
}

/// What the stores and the template come to.
pub(super) enum Made {
    /// A Secret.
    Target(Target),
    /// The stores have nothing: the Secret stays as it is.
    Nothing,
    /// The stores have nothing, and the Secret is to go.
    Gone,
}

/// An ExternalSecret that can be worked on.
pub(super) struct Job {
    pub(super) object: Arc<ExternalSecret>,
    pub(super) full: Full,
    pub(super) asked: Arc<Asked>,
    /// Changes with everything that calls for a sync at once.
    pub(super) version: String,
    texts: Arc<BTreeMap<TemplateObject, Values>>,
}

/// The sessions with the stores that jobs name, as their namespaces see them.
pub(super) type Open = HashMap<(StoreId, String), Result<Arc<Session>, StoreError>>;

impl Job {
    /// What `request` asks for, with what is around it.
    pub(super) fn new(request: &Request, full: &Full, around: &Around) -> Result<Self, Failure> {
        let hopeless = |problem: String| Failure { problem, class: None };
        let Request { object, asked } = request;
        let asked = asked.as_ref().map_err(|error| hopeless(error.to_string()))?;
        match asked.creation {
            Creation::Owner | Creation::Orphan | Creation::CreateOrMerge => {}
            Creation::None => {
                return Err(hopeless(
                    "creationPolicy None makes no Secret, so there is nothing that a file \
                of the host could hold: use Owner"
                        .to_owned(),
                ));
            }
            Creation::Merge => {
                return Err(hopeless(
                    "creationPolicy Merge adds to a Secret that somebody else makes; on a \
                host every secret has one maker: use Owner, and a template over both secrets in the Host document"
                        .to_owned(),
                ));
            }
        }
        let (namespace, _) = full;
        let mut texts = BTreeMap::new();
        if let Ok(spec) = &object.spec {
            for object in resource::template_objects(spec) {
                let values = around.texts(namespace, &object).map_err(|problem| Failure {
                    problem: format!("could not apply template: error fetching templateFrom data: {problem}"),
                    // Another ExternalSecret may make it.
                    class: Some(Class::Blocked),
                })?;
                texts.insert(object, values);
            }
        }
        let version = version(object, asked, namespace, around, &texts);
        let (object, asked, texts) = (Arc::clone(object), Arc::clone(asked), Arc::new(texts));
        Ok(Self { object, full: full.clone(), asked, version, texts })
    }

    /// The stores that it names.
    pub(super) fn stores(&self) -> impl Iterator<Item = StoreId> {
        self.asked.stores.iter().map(|store| StoreId::new(store.kind(), &self.full.0, &store.name))
    }

    /// Asks the stores, for `patience` at most, and lays out the Secret.
    pub(super) async fn run(
        &self,
        open: &Open,
        began: (Timestamp, Instant),
        patience: Duration,
    ) -> Result<Made, Failure> {
        let namespace = self.full.0.as_str();
        let ask = |id: StoreId, requests: Vec<remote::Request>| async move {
            let session = open.get(&(id.clone(), namespace.to_owned())).cloned();
            let session = session.unwrap_or_else(|| Err(StoreError::NotFound { store: id.to_string() }))?;
            Ok(session.fetch(&requests, Urgency::Soon, began.1).await)
        };
        let fetching = fetch(&self.asked, namespace, began.0, ask);
        let assembled = match tokio::time::timeout(patience, fetching).await {
            Ok(Ok(assembled)) => assembled,
            Ok(Err(error)) => return Err(Failure { problem: error.to_string(), class: Some(error.class()) }),
            Err(_) => {
                let problem = format!("its stores did not answer within {} s", patience.as_secs());
                return Err(Failure { problem, class: Some(Class::Transient) });
            }
        };
        let deletion = self.object.spec.as_ref().map(|spec| spec.deletion_policy()).unwrap_or_default();
        match deletion {
            DeletionPolicy::Delete if assembled.values.is_empty() => return Ok(Made::Gone),
            DeletionPolicy::Retain if assembled.values.is_empty() => return Ok(Made::Nothing),
            DeletionPolicy::Delete | DeletionPolicy::Retain | DeletionPolicy::Merge => {}
        }
        self.lay_out(assembled.values, began.0).await
    }

    /// Templates are others' programs: they run beside the runtime's own threads.
    async fn lay_out(&self, values: Values, now: Timestamp) -> Result<Made, Failure> {
        let (object, asked, texts) = (Arc::clone(&self.object), Arc::clone(&self.asked), Arc::clone(&self.texts));
        let rendering = tokio::task::spawn_blocking(move || {
            resource::target(&object, &asked, values, &texts, now, Delimiters::default())
        });
        let refused = |problem: String| Failure { problem, class: Some(Class::Refused) };
        match rendering.await {
            Ok(Ok(target)) => Ok(Made::Target(target)),
            Ok(Err(errors)) => Err(refused(format!("could not apply template: {errors}"))),
            Err(_) => Err(refused("the template could not be rendered; this is a bug".to_owned())),
        }
    }
}

fn version(
    object: &ExternalSecret,
    asked: &Asked,
    namespace: &str,
    around: &Around,
    texts: &BTreeMap<TemplateObject, Values>,
) -> String {
    let mut hash = Sha256::new();
    if let Ok(spec) = &object.spec {
        hash.update(serde_json::to_vec(spec).unwrap_or_default());
    }
    for store in &asked.stores {
        around.describe(&StoreId::new(store.kind(), namespace, &store.name), namespace, &mut hash);
    }
    for (object, values) in texts {
        for (key, text) in values {
            for part in [object.name.as_bytes(), key.as_bytes(), text.expose()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
    }
    let digest = hash.finalize();
    let generation = digest.iter().take(7).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    let of = |map: Option<&BTreeMap<String, String>>| map.cloned().unwrap_or_default();
    let metadata = &object.metadata;
    hash::synced_resource_version(generation, &of(metadata.labels.as_ref()), &of(metadata.annotations.as_ref()))
}

/// Whether two Secrets are the same.
pub(super) fn same(a: &Target, b: &Target) -> bool {
    let values = || a.data.iter().zip(&b.data).all(|((a, x), (b, y))| a == b && x.same_as(y.expose()));
    a.name == b.name && a.shape == b.shape && a.data.len() == b.data.len() && values()
}

/// Another one of the same.
pub(super) fn duplicate(target: &Target) -> Target {
    let Target { namespace, name, shape, data } = target;
    Target { namespace: namespace.clone(), name: name.clone(), shape: shape.clone(), data: copy(data) }
}
