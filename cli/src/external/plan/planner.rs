//! One ExternalSecret: ask the stores that can be asked, lay out what comes of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bulla::providers::{Cause, ProviderError};
use bulla::resource::external_secret::{self as resource, Asked, TemplateObject};
use bulla::secret::template::Delimiters;
use bulla::secret::{Plaintext, Target, Values};
use bulla::sync::external::{self, Assembled, ItemCause, Place, Source};
use bulla::sync::remote::{Answer, Request};
use bulla_crds::cluster_external_secret;
use bulla_crds::external_secret::{DeletionPolicy, ExternalSecretSpec, MergePolicy};
use jiff::Timestamp;

use super::super::check::{Finding, open_questions};
use super::super::documents::{Documents, External, Store};
use super::super::offline::Opened;
use super::{DataPlan, Plan, State, StorePlan, TargetPlan, ValuePlan};
use crate::memory::Memory;

/// A store by its manifest, and the namespace whose objects it names where that matters.
pub(super) fn id(store: &Store, external: &External) -> (String, String) {
    let user = if store.is_cluster || store.namespace.is_empty() { external.namespace() } else { "" };
    let place = &store.place;
    (format!("{}:{}:{}", place.file, place.line.unwrap_or_default(), place.object), user.to_owned())
}

pub(super) struct Planner<'a> {
    pub(super) documents: &'a Documents,
    pub(super) external: &'a External,
    pub(super) spec: &'a ExternalSecretSpec,
    pub(super) asked: &'a Asked,
    pub(super) stores: &'a [&'a Store],
    pub(super) opened: &'a HashMap<(String, String), Opened>,
    pub(super) memory: &'a Memory,
    pub(super) now: Timestamp,
}

/// What the stores that were asked brought.
struct Brought {
    values: Assembled,
    failed: Vec<Place>,
}

impl Planner<'_> {
    pub(super) async fn plan(&self) -> (Plan, Vec<Finding>) {
        let mut findings = Vec::new();
        let brought = self.fetch(&mut findings).await;
        let mut notes = open_questions(self.documents, self.external, self.stores);
        if self.external.place.object.starts_with(cluster_external_secret::KIND) {
            notes.push("written in every namespace that the ClusterExternalSecret selects".to_owned());
        }
        let all_asked = self.stores.iter().enumerate().all(|(index, _)| self.is_open(index));
        let nothing = all_asked && findings.is_empty() && brought.values.values.is_empty();
        if nothing {
            notes.push(match self.spec.deletion_policy() {
                DeletionPolicy::Delete => "the stores have nothing: the Secret would be deleted".to_owned(),
                DeletionPolicy::Retain | DeletionPolicy::Merge => {
                    "the stores have nothing: the Secret would stay as it is".to_owned()
                }
            });
        }
        let values = self.values(&brought);
        let secret = if all_asked && findings.is_empty() && !nothing {
            self.target(brought.values.values, &mut notes, &mut findings)
        } else {
            None
        };
        let (data, complete) = self.data(&values, secret.as_ref());
        let place = &self.external.place;
        let plan = Plan {
            file: place.file.clone(),
            line: place.line,
            object: place.object.clone(),
            target: self.target_plan(),
            stores: self.stores.iter().enumerate().map(|(index, store)| self.store_plan(index, store)).collect(),
            values,
            data,
            complete,
            notes,
        };
        (plan, findings)
    }

    fn opened(&self, index: usize) -> Option<&Opened> {
        self.opened.get(&id(self.stores.get(index)?, self.external))
    }

    fn is_open(&self, index: usize) -> bool {
        matches!(self.opened(index), Some(Opened::Yes(_)))
    }

    /// Asks every store that can be, once.
    async fn fetch(&self, findings: &mut Vec<Finding>) -> Brought {
        let mut asked = self.asked.clone();
        // What goes to a store that is not asked is answered by nobody, and brings nothing.
        let unasked = |store: usize| !self.is_open(store);
        let (data, data_from) = (&self.asked.items.data, &self.asked.items.data_from);
        let data_at: Vec<usize> = (0..data.len()).filter(|index| !unasked(data[*index].store)).collect();
        let from_at: Vec<usize> = (0..data_from.len()).filter(|index| !unasked(data_from[*index].store)).collect();
        asked.items.data.retain(|item| !unasked(item.store));
        asked.items.data_from.retain(|item| !unasked(item.store));
        let mut by_store: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
        for (store, request) in external::requests(&asked.items) {
            by_store.entry(store).or_default().push(request);
        }
        let mut answers: HashMap<(usize, Request), Result<Arc<Answer>, ProviderError>> = HashMap::new();
        for (store, requests) in by_store {
            if let Some(Opened::Yes(provider)) = self.opened(store) {
                let replies = provider.fetch(requests.clone()).await;
                let replies = replies.into_iter().map(|reply| reply.map(Arc::new));
                answers.extend(requests.into_iter().map(|request| (store, request)).zip(replies));
            }
        }
        let mut answer = |store: usize, request: &Request| {
            let lost = || Err(ProviderError::new(Cause::Unavailable, "no answer"));
            answers.get(&(store, request.clone())).cloned().unwrap_or_else(lost)
        };
        // Items keep the numbers that they have in the manifest.
        let renumber = |place: &mut Place| match place {
            Place::Extract { index, .. } | Place::Find { index } => {
                *index = from_at.get(*index).copied().unwrap_or(*index)
            }
            Place::Data { index, .. } => *index = data_at.get(*index).copied().unwrap_or(*index),
        };
        match resource::assemble(&asked, &mut answer, self.now) {
            Ok(mut values) => {
                values.origins.values_mut().for_each(|origin| renumber(&mut origin.place));
                values.skipped.iter_mut().for_each(|skipped| renumber(&mut skipped.place));
                Brought { values, failed: Vec::new() }
            }
            Err(errors) => {
                let mut failed = Vec::new();
                for mut error in errors.0 {
                    renumber(&mut error.place);
                    let why = match &error.cause {
                        ItemCause::Provider(error) => error.message.clone(),
                        ItemCause::Projection(error) => error.to_string(),
                        ItemCause::WrongAnswer => "the provider answered another question".to_owned(),
                    };
                    findings.push(Finding::of(&self.external.place, path(&error.place), why));
                    failed.push(error.place);
                }
                Brought { values: Assembled::default(), failed }
            }
        }
    }

    fn digest(&self, key: &str, value: &Plaintext) -> Option<String> {
        let place = format!("{}/{}", self.external.namespace(), self.asked.target);
        let parts = [("external", place.as_bytes()), ("key", key.as_bytes()), ("value", value.expose())];
        let digest = self.memory.digest(parts)?;
        let (key, mac) = digest.split_once(':')?;
        // 64 bits tell values apart, and are not worth a brute force even to whoever has the key.
        Some(format!("{key}:{}", mac.get(..16)?))
    }

    fn values(&self, brought: &Brought) -> Vec<ValuePlan> {
        let mut plans = Vec::new();
        let items = &self.asked.items;
        let many = items.data_from.iter().enumerate().map(|(index, item)| match &item.source {
            Source::Extract(remote) => {
                (Place::Extract { index, key: remote.key.clone() }, item.store, None, Some(remote))
            }
            Source::Find { .. } => (Place::Find { index }, item.store, None, None),
        });
        let single = items.data.iter().enumerate().map(|(index, item)| {
            let place = Place::Data { index, key: item.remote.key.clone() };
            (place, item.store, Some(item.secret_key.clone()), Some(&item.remote))
        });
        for (place, store, key, remote) in many.chain(single) {
            let brought_by = |origin: &&external::Origin| origin.place == place;
            let mut of_item = brought.values.origins.iter().filter(|(_, origin)| brought_by(origin)).peekable();
            if of_item.peek().is_some() {
                for (key, origin) in of_item {
                    let value = brought.values.values.get(key);
                    plans.push(ValuePlan {
                        key: Some(key.clone()),
                        item: path(&place),
                        store,
                        remote_key: origin.key.clone(),
                        property: origin.property.clone(),
                        version: origin.version.clone().or_else(|| remote.and_then(|remote| remote.version.clone())),
                        state: State::There,
                        digest: value.and_then(|value| self.digest(key, value)),
                    });
                }
                continue;
            }
            let state = if !self.is_open(store) {
                State::NotAsked
            } else if brought.failed.contains(&place) {
                State::Failed
            } else if brought.values.skipped.iter().any(|skipped| skipped.place == place) {
                State::LeftOut
            } else if brought.failed.is_empty() {
                State::Overridden
            } else {
                State::There
            };
            plans.push(ValuePlan {
                key,
                item: path(&place),
                store,
                remote_key: remote.map(|remote| remote.key.clone()),
                property: remote.and_then(|remote| remote.property.clone()),
                version: remote.and_then(|remote| remote.version.clone()),
                state,
                digest: None,
            });
        }
        plans
    }

    /// The Secret as the controller would write it.
    fn target(&self, fetched: Values, notes: &mut Vec<String>, findings: &mut Vec<Finding>) -> Option<Target> {
        let mut texts = BTreeMap::new();
        for object in resource::template_objects(self.spec) {
            let TemplateObject { is_secret, name } = &object;
            let namespace = self.external.namespace();
            let (kind, found) = match is_secret {
                true => ("Secret", self.documents.secret(namespace, name)),
                false => ("ConfigMap", self.documents.config_map(namespace, name)),
            };
            let Some(found) = found else {
                notes.push(format!("the template is not rendered: {kind} {name} is not in the given files"));
                return None;
            };
            let copies = found.iter().map(|(key, value)| (key.clone(), Plaintext::copy_of(value.expose())));
            texts.insert(object.clone(), copies.collect());
        }
        match resource::target(&self.external.object, self.asked, fetched, &texts, self.now, Delimiters::default()) {
            Ok(target) => Some(target),
            Err(errors) => {
                let path = if self.has_template() { "spec.target.template" } else { "spec.target" };
                findings.extend(errors.iter().map(|error| Finding::of(&self.external.place, path, error.to_string())));
                None
            }
        }
    }

    fn has_template(&self) -> bool {
        self.spec.target.as_ref().is_some_and(|target| target.template.is_some())
    }

    /// The keys of the Secret, and whether these are all.
    fn data(&self, values: &[ValuePlan], secret: Option<&Target>) -> (Vec<DataPlan>, bool) {
        let template = self.spec.target.as_ref().and_then(|target| target.template.as_ref());
        if let Some(secret) = secret {
            let fetched: HashMap<&str, &Option<String>> =
                values.iter().filter_map(|value| Some((value.key.as_deref()?, &value.digest))).collect();
            let plan = |(key, value): (&String, &Plaintext)| {
                let digest = self.digest(key, value);
                let from_template = template.is_some() && fetched.get(key.as_str()) != Some(&&digest);
                DataPlan { key: key.clone(), from_template, digest }
            };
            return (secret.data.iter().map(plan).collect(), true);
        }
        let rendered = template.iter().flat_map(|template| template.data.keys());
        let mut complete = template.is_none_or(|template| template.template_from.is_empty());
        let replaces = template.is_some_and(|template| {
            let nothing_rendered = template.data.is_empty() && template.template_from.is_empty();
            template.merge_policy != Some(MergePolicy::Merge) && !nothing_rendered
        });
        let mut data: BTreeMap<String, bool> = BTreeMap::new();
        if !replaces {
            complete &= values.iter().all(|value| value.key.is_some());
            let there = values.iter().filter(|value| !matches!(value.state, State::LeftOut | State::Failed));
            data.extend(there.filter_map(|value| Some((value.key.clone()?, false))));
        }
        data.extend(rendered.map(|key| (key.clone(), true)));
        let plan = |(key, from_template): (String, bool)| {
            let value = values.iter().rfind(|value| value.key.as_ref() == Some(&key) && !from_template);
            DataPlan { digest: value.and_then(|value| value.digest.clone()), key, from_template }
        };
        (data.into_iter().map(plan).collect(), complete)
    }

    fn target_plan(&self) -> TargetPlan {
        let target = self.spec.target.as_ref();
        let kind = target.and_then(|target| target.template.as_ref()).and_then(|template| template.r#type.clone());
        TargetPlan {
            namespace: self.external.object.metadata.namespace.clone(),
            name: self.asked.target.clone(),
            kind: kind.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "Opaque".to_owned()),
            creation_policy: format!("{:?}", self.spec.creation_policy()),
            deletion_policy: format!("{:?}", self.spec.deletion_policy()),
            refresh_policy: format!("{:?}", self.spec.refresh_policy()),
            refresh_interval: self.spec.refresh_interval.clone().unwrap_or_else(|| "1h".to_owned()),
            immutable: target.and_then(|target| target.immutable).unwrap_or_default(),
            has_template: self.has_template(),
        }
    }

    fn store_plan(&self, index: usize, store: &Store) -> StorePlan {
        StorePlan {
            kind: if store.is_cluster { "ClusterSecretStore" } else { "SecretStore" },
            name: store.name.clone(),
            provider: store.spec.as_ref().map(|spec| spec.provider.key().to_owned()).unwrap_or_default(),
            not_asked: match self.opened(index) {
                Some(Opened::Yes(_)) => None,
                Some(Opened::No(why)) => Some(why.clone()),
                Some(Opened::Broken(_)) | None => Some("the store cannot be used".to_owned()),
            },
        }
    }
}

/// The item without its remote key.
fn path(place: &Place) -> String {
    match place {
        Place::Data { index, .. } => format!("spec.data[{index}]"),
        Place::Extract { .. } | Place::Find { .. } => place.to_string(),
    }
}
