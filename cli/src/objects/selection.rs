//! Which objects are meant, and a list of them page by page.

use std::collections::BTreeSet;

use bulla_crds::{ExternalSecret, SealedSecret};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};

use crate::args::{Pick, SyncedKind, WhereArguments};
use crate::failure::{OrFail as _, Outcome, usage};

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// The resource of a kind.
pub(crate) fn resource(kind: SyncedKind) -> ApiResource {
    match kind {
        SyncedKind::ExternalSecret => ApiResource::erase::<ExternalSecret>(&()),
        SyncedKind::SealedSecret => ApiResource::erase::<SealedSecret>(&()),
    }
}

/// The objects that are meant.
pub(crate) struct Selection {
    pub(crate) client: Client,
    /// `None` is all of them.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    /// What was picked by kind or name; empty is everything.
    picks: Vec<Pick>,
}

impl Selection {
    /// What the arguments mean, in the namespace of the kubeconfig's context where they name none.
    pub(crate) fn new(client: Client, place: &WhereArguments, picks: Vec<Pick>) -> Self {
        let own = || client.default_namespace().to_owned();
        let namespace = (!place.all_namespaces).then(|| place.namespace.clone().unwrap_or_else(own));
        Self { namespace, labels: place.selector.clone(), picks, client }
    }

    /// The kinds to look at.
    pub(crate) fn kinds(&self) -> Vec<SyncedKind> {
        let is_meant = |kind: &SyncedKind| {
            self.picks.is_empty() || self.picks.iter().any(|pick| pick.kind.is_none_or(|own| own == *kind))
        };
        SyncedKind::ALL.into_iter().filter(is_meant).collect()
    }

    /// Whether that object is among them.
    pub(crate) fn covers(&self, kind: SyncedKind, name: &str) -> bool {
        let fits =
            |pick: &Pick| pick.kind.is_none_or(|own| own == kind) && pick.name.as_deref().is_none_or(|own| own == name);
        self.picks.is_empty() || self.picks.iter().any(fits)
    }

    /// The field selector that saves the server from sending more of a kind than the one object that is meant.
    pub(crate) fn field(&self, kind: SyncedKind) -> Option<String> {
        let picks = self.picks.iter().filter(|pick| pick.kind.is_none_or(|own| own == kind));
        let names: Option<BTreeSet<&str>> = picks.map(|pick| pick.name.as_deref()).collect();
        match names?.into_iter().collect::<Vec<_>>().as_slice() {
            [name] => Some(format!("metadata.name={name}")),
            _ => None,
        }
    }

    /// The one name that was picked, if it is the only pick.
    pub(crate) fn single_name(&self) -> Option<&str> {
        match self.picks.as_slice() {
            [pick] => pick.name.as_deref(),
            _ => None,
        }
    }

    /// The objects of a kind.
    pub(crate) fn api(&self, kind: SyncedKind) -> Api<DynamicObject> {
        let resource = resource(kind);
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Where it is looked, in words.
    pub(crate) fn place(&self) -> String {
        self.namespace.as_ref().map_or_else(|| "any namespace".to_owned(), |name| format!("namespace {name}"))
    }

    /// Hands every object to `take`, one page at a time. A kind that the cluster does not have is passed over where
    /// it was not asked for by name.
    pub(crate) async fn each(&self, mut take: impl FnMut(SyncedKind, DynamicObject)) -> Outcome {
        let mut served = 0;
        let kinds = self.kinds();
        for kind in &kinds {
            served += usize::from(self.each_of(*kind, &mut take).await?);
        }
        if served == 0 {
            let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            return Err(usage!("the cluster does not know {}: are the CRDs installed?", names.join(" and ")));
        }
        Ok(())
    }

    /// The same for one kind; says whether the cluster has it.
    async fn each_of(&self, kind: SyncedKind, take: &mut impl FnMut(SyncedKind, DynamicObject)) -> Outcome<bool> {
        let api = self.api(kind);
        let mut parameters = ListParams { label_selector: self.labels.clone(), ..ListParams::default() }.limit(PAGE);
        parameters.field_selector = self.field(kind);
        loop {
            let page = match api.list(&parameters).await {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
                // Between two pages the server may have forgotten where it was; what was seen is seen again.
                Err(kube::Error::Api(status)) if status.code == 410 && parameters.continue_token.is_some() => {
                    return Err(usage!(
                        "the list of {}s took longer than the server keeps it: try again, or one namespace at a time",
                        kind.as_str()
                    ));
                }
                Err(error) => {
                    return Err(error).or_usage(format!("listing the {}s in {}", kind.as_str(), self.place()));
                }
            };
            for object in page.items {
                if self.covers(kind, object.metadata.name.as_deref().unwrap_or_default()) {
                    take(kind, object);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => return Ok(true),
            }
        }
    }
}
